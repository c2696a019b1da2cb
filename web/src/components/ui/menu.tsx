"use client";

import { Check } from "lucide-react";
import {
  type KeyboardEvent,
  type ReactElement,
  type ReactNode,
  useEffect,
  useId,
  useLayoutEffect,
  useRef,
  useState,
} from "react";
import { cn } from "@/lib/cn";
import { shortcut } from "@/lib/platform";

/** One entry of a menu; a null is a line between groups. */
export interface MenuItem {
  label: string;
  icon?: ReactNode;
  keys?: string;
  danger?: boolean;
  disabled?: boolean;
  /** Makes it one of several choices. */
  checked?: boolean;
  onSelect: () => void;
}

export type MenuEntries = readonly (MenuItem | null)[];

/** Where a menu opens: at a point, or below a box. */
type Anchor = { x: number; y: number } | DOMRect;

/** The least distance to the window's edge. */
const margin = 8;

interface PopupProps {
  anchor: Anchor;
  align: "start" | "end";
  entries: MenuEntries;
  label: string;
  header?: ReactNode;
  id?: string;
  onClose: (chosen?: MenuItem) => void;
}

/**
 * The open menu, in the browser's top layer: a popover is closed by Escape and by a click beside it. Arrow keys, Home, End
 * and the first letters move; Enter and Space choose; Tab leaves.
 */
function Popup({ anchor, align, entries, label, header, id, onClose }: PopupProps) {
  const menu = useRef<HTMLDivElement>(null);
  const typed = useRef({ text: "", at: 0 });
  const close = useRef(onClose);
  close.current = onClose;

  useLayoutEffect(() => {
    const at = menu.current;
    if (!at) return;
    at.showPopover();
    place(at, anchor, align);
    const onToggle = (event: Event) => {
      if ((event as ToggleEvent).newState === "closed") close.current();
    };
    at.addEventListener("toggle", onToggle);
    items(at)[0]?.focus({ preventScroll: true });
    return () => at.removeEventListener("toggle", onToggle);
  }, [anchor, align]);

  useEffect(() => {
    // What it stands beside moves away under it.
    const onMove = () => close.current();
    window.addEventListener("resize", onMove);
    return () => window.removeEventListener("resize", onMove);
  }, []);

  const onKeyDown = (event: KeyboardEvent<HTMLDivElement>) => {
    const all = items(event.currentTarget);
    const at = all.indexOf(document.activeElement as HTMLElement);
    const go = (to: number) => {
      event.preventDefault();
      event.stopPropagation();
      all[(to + all.length) % all.length]?.focus();
    };
    switch (event.key) {
      case "ArrowDown":
        return go(at + 1);
      case "ArrowUp":
        return go(at < 0 ? all.length - 1 : at - 1);
      case "Home":
        return go(0);
      case "End":
        return go(all.length - 1);
      case "Tab":
        event.preventDefault();
        return onClose();
    }
    if (event.key.length !== 1 || event.ctrlKey || event.metaKey || event.altKey || event.key === " ") return;
    const now = Date.now();
    typed.current = {
      text: (now - typed.current.at < 600 ? typed.current.text : "") + event.key.toLowerCase(),
      at: now,
    };
    const { text } = typed.current;
    const from = text.length === 1 ? at + 1 : at;
    for (let i = 0; i < all.length; i++) {
      const candidate = (from + i + all.length) % all.length;
      if (all[candidate]?.dataset.label?.startsWith(text)) return go(candidate);
    }
  };

  return (
    <div
      ref={menu}
      id={id}
      popover="auto"
      role="menu"
      tabIndex={-1}
      aria-label={label}
      onKeyDown={onKeyDown}
      onContextMenu={(event) => event.preventDefault()}
      className="pop fixed m-0 min-w-44 max-w-80 overflow-y-auto rounded-lg border border-line bg-raised p-1 text-ink text-sm shadow-pop outline-none"
    >
      {header ? (
        <div role="presentation" className="truncate px-2 py-1.5 text-muted text-xs">
          {header}
        </div>
      ) : null}
      {entries.map((entry, i) =>
        entry ? (
          <Entry key={entry.label} entry={entry} onChoose={() => onClose(entry)} />
        ) : (
          // biome-ignore lint/suspicious/noArrayIndexKey: lines have nothing else
          <hr key={`line-${i}`} className="mx-1 my-1 border-line" />
        ),
      )}
    </div>
  );
}

function Entry({ entry, onChoose }: { entry: MenuItem; onChoose: () => void }) {
  return (
    // biome-ignore lint/a11y/useAriaPropsSupportedByRole: with a choice its role is that of one
    <button
      type="button"
      role={entry.checked === undefined ? "menuitem" : "menuitemradio"}
      aria-checked={entry.checked}
      aria-disabled={entry.disabled || undefined}
      tabIndex={-1}
      data-label={entry.label.toLowerCase()}
      onClick={() => {
        if (!entry.disabled) onChoose();
      }}
      onPointerMove={(event) => event.currentTarget.focus({ preventScroll: true })}
      className={cn(
        "flex min-h-7 w-full select-none items-center gap-2 rounded-md px-2 py-1 text-left outline-none aria-disabled:cursor-default aria-disabled:opacity-45",
        entry.danger
          ? "text-danger focus:bg-danger-soft"
          : "focus:bg-accent-soft focus:text-accent-ink aria-disabled:focus:bg-transparent",
      )}
    >
      <span className="flex size-4 items-center justify-center text-faint" aria-hidden="true">
        {entry.checked ? <Check size={14} /> : entry.icon}
      </span>
      <span className="flex-1 truncate">{entry.label}</span>
      {entry.keys ? <kbd className="font-sans text-muted text-xs">{shortcut(entry.keys)}</kbd> : null}
    </button>
  );
}

const items = (menu: Element): HTMLElement[] => [...menu.querySelectorAll<HTMLElement>("[role^=menuitem]")];

/** Puts the menu below its anchor, or above where there is no room, and inside of the window. */
function place(menu: HTMLElement, anchor: Anchor, align: "start" | "end"): void {
  const box = "width" in anchor ? anchor : new DOMRect(anchor.x, anchor.y, 0, 0);
  const { offsetWidth: width, offsetHeight: height } = menu;
  const gap = box.width > 0 ? 4 : 0;
  const left = align === "end" ? box.right - width : box.left;
  const below = box.bottom + gap;
  const above = box.top - gap - height;
  const top = below + height + margin <= window.innerHeight || above < margin ? below : above;
  menu.style.left = `${Math.max(margin, Math.min(left, window.innerWidth - width - margin))}px`;
  menu.style.top = `${Math.max(margin, Math.min(top, window.innerHeight - height - margin))}px`;
  menu.style.maxHeight = `${window.innerHeight - 2 * margin}px`;
}

/** Runs what was chosen once the menu is gone, so that a dialog that it opens has the focus to itself. */
function choose(entry: MenuItem | undefined, giveBack: () => void): void {
  giveBack();
  if (entry) setTimeout(entry.onSelect, 0);
}

interface TriggerProps {
  id: string;
  "aria-haspopup": "menu";
  "aria-expanded": boolean;
  "aria-controls": string | undefined;
  onClick: (event: { currentTarget: HTMLElement }) => void;
  onKeyDown: (event: KeyboardEvent<HTMLElement>) => void;
}

/** A menu below a button, which is made by the function that gets the properties that it needs. */
export function Menu({
  entries,
  label,
  header,
  align = "end",
  trigger,
}: {
  entries: MenuEntries;
  /** The menu's name. */
  label: string;
  header?: ReactNode;
  align?: "start" | "end";
  trigger: (props: TriggerProps) => ReactElement;
}) {
  const id = useId();
  const [anchor, setAnchor] = useState<DOMRect>();
  // A click on the button closes the open menu before it arrives there; it must not open it again.
  const closedAt = useRef(0);
  const open = (button: HTMLElement) => {
    if (Date.now() - closedAt.current > 200) setAnchor(button.getBoundingClientRect());
  };
  return (
    <>
      {trigger({
        id,
        "aria-haspopup": "menu",
        "aria-expanded": anchor !== undefined,
        "aria-controls": anchor ? `${id}-menu` : undefined,
        onClick: (event) => open(event.currentTarget),
        onKeyDown: (event) => {
          if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
          event.preventDefault();
          open(event.currentTarget);
        },
      })}
      {anchor ? (
        <Popup
          id={`${id}-menu`}
          anchor={anchor}
          align={align}
          entries={entries}
          label={label}
          header={header}
          onClose={(entry) => {
            closedAt.current = Date.now();
            setAnchor(undefined);
            choose(entry, () => document.getElementById(id)?.focus());
          }}
        />
      ) : null}
    </>
  );
}

export interface ContextMenuState {
  x: number;
  y: number;
  /** Gets the focus back. */
  from: HTMLElement | null;
}

/** A menu at a point. Its parent shows it by rendering it. */
export function ContextMenu({
  at,
  entries,
  label,
  onClose,
}: {
  at: ContextMenuState;
  entries: MenuEntries;
  label: string;
  onClose: () => void;
}) {
  return (
    <Popup
      anchor={at}
      align="start"
      entries={entries}
      label={label}
      onClose={(entry) => {
        onClose();
        choose(entry, () => at.from?.focus({ preventScroll: true }));
      }}
    />
  );
}
