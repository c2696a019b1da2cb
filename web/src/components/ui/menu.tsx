"use client";

import { Check } from "lucide-react";
import { ContextMenu as CM, DropdownMenu as DM } from "radix-ui";
import type { ReactNode } from "react";
import { cn } from "@/lib/cn";
import { shortcut } from "@/lib/platform";

const content =
  "pop z-50 min-w-44 max-w-80 overflow-hidden rounded-lg border border-line bg-raised p-1 text-sm text-ink shadow-pop";
const itemClass =
  "flex min-h-7 select-none items-center gap-2 rounded-md px-2 py-1 outline-none data-[highlighted]:bg-accent-soft " +
  "data-[highlighted]:text-accent-ink data-[disabled]:opacity-45";

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

interface Parts {
  Item: typeof DM.Item | typeof CM.Item;
  CheckboxItem: typeof DM.CheckboxItem | typeof CM.CheckboxItem;
  Separator: typeof DM.Separator | typeof CM.Separator;
}

function Entries({ entries, parts }: { entries: MenuEntries; parts: Parts }) {
  const { Item, CheckboxItem, Separator } = parts;
  return entries.map((entry, i) => {
    if (!entry) {
      // biome-ignore lint/suspicious/noArrayIndexKey: lines have nothing else
      return <Separator key={`line-${i}`} className="mx-1 my-1 h-px bg-line" />;
    }
    const inner = (
      <>
        <span className="flex size-4 items-center justify-center text-faint" aria-hidden="true">
          {entry.checked ? <Check size={14} /> : entry.icon}
        </span>
        <span className="flex-1 truncate">{entry.label}</span>
        {entry.keys ? <span className="text-faint text-xs">{shortcut(entry.keys)}</span> : null}
      </>
    );
    const props = {
      disabled: entry.disabled ?? false,
      onSelect: entry.onSelect,
      className: cn(
        itemClass,
        entry.danger && "text-danger data-[highlighted]:bg-danger-soft data-[highlighted]:text-danger",
      ),
    };
    return entry.checked === undefined ? (
      <Item key={entry.label} {...props}>
        {inner}
      </Item>
    ) : (
      <CheckboxItem key={entry.label} checked={entry.checked} {...props}>
        {inner}
      </CheckboxItem>
    );
  });
}

interface MenuProps {
  entries: MenuEntries;
  children: ReactNode;
  /** Keeps the focus where the chosen entry has put it, instead of giving it back. */
  keepFocus?: () => boolean;
}

const keep = (keepFocus?: () => boolean) => (event: Event) => {
  if (keepFocus?.()) event.preventDefault();
};

/** A menu below a button, which is the child. */
export function Menu({
  entries,
  children,
  keepFocus,
  align = "end",
  header,
}: MenuProps & { align?: "start" | "end"; header?: ReactNode }) {
  return (
    <DM.Root>
      <DM.Trigger asChild>{children}</DM.Trigger>
      <DM.Portal>
        <DM.Content
          align={align}
          sideOffset={4}
          collisionPadding={8}
          className={content}
          onCloseAutoFocus={keep(keepFocus)}
        >
          {header ? <DM.Label className="truncate px-2 py-1.5 text-muted text-xs">{header}</DM.Label> : null}
          <Entries entries={entries} parts={DM} />
        </DM.Content>
      </DM.Portal>
    </DM.Root>
  );
}

/** A menu at the place of a right click, a long press or the menu key, on the child. */
export function ContextMenu({ entries, children, keepFocus }: MenuProps) {
  return (
    <CM.Root>
      <CM.Trigger asChild>{children}</CM.Trigger>
      <CM.Portal>
        <CM.Content collisionPadding={8} className={content} onCloseAutoFocus={keep(keepFocus)}>
          <Entries entries={entries} parts={CM} />
        </CM.Content>
      </CM.Portal>
    </CM.Root>
  );
}
