"use client";

import { type ReactNode, useEffect } from "react";
import { Group, Panel, Separator, useDefaultLayout, usePanelRef } from "react-resizable-panels";
import { cn } from "@/lib/cn";
import { useSignal } from "@/lib/signal";
import { EditorPane } from "../editor/editor-pane";
import { Explorer } from "../files/explorer";
import { TerminalPanel } from "../terminal/terminal-panel";
import type { Desk } from "./desk";
import { useDesk } from "./use-desk";

/** Files on the left, the editor, and the terminal below it, with sizes that the user sets and the browser remembers. */
export function DesktopLayout() {
  const desk = useDesk();
  const columns = useDefaultLayout({ id: "vivarium.columns", onlySaveAfterUserInteractions: true });
  const rows = useDefaultLayout({ id: "vivarium.rows", onlySaveAfterUserInteractions: true });
  return (
    <Group
      id="columns"
      className="min-h-0 flex-1"
      defaultLayout={columns.defaultLayout}
      onLayoutChanged={columns.onLayoutChanged}
    >
      <Collapsible id="files" desk={desk} shown="explorerShown" defaultSize={250} minSize={160} maxSize="50%">
        <Explorer />
      </Collapsible>
      <Line vertical label="Width of the files" />
      <Panel id="work" minSize={320}>
        <Group
          id="rows"
          orientation="vertical"
          className="h-full"
          defaultLayout={rows.defaultLayout}
          onLayoutChanged={rows.onLayoutChanged}
        >
          <Panel id="editor" minSize={100}>
            <EditorPane />
          </Panel>
          <Line label="Height of the terminal" />
          <Collapsible id="terminal" desk={desk} shown="terminalShown" defaultSize="36%" minSize={110} maxSize="85%">
            <TerminalPanel />
          </Collapsible>
        </Group>
      </Panel>
    </Group>
  );
}

/** A panel that a command, or dragging its edge to the end, folds away. */
function Collapsible({
  desk,
  shown,
  children,
  ...size
}: {
  id: string;
  desk: Desk;
  shown: "explorerShown" | "terminalShown";
  defaultSize: number | string;
  minSize: number;
  maxSize: string;
  children: ReactNode;
}) {
  const panel = usePanelRef();
  const open = useSignal(desk[shown]);
  useEffect(() => {
    const at = panel.current;
    if (!at || at.isCollapsed() === !open) return;
    if (open) at.expand();
    else at.collapse();
  }, [open, panel]);
  return (
    <Panel
      {...size}
      panelRef={panel}
      collapsible
      collapsedSize={0}
      groupResizeBehavior={size.id === "files" ? "preserve-pixel-size" : "preserve-relative-size"}
      onResize={() => {
        const at = panel.current;
        if (at) desk[shown].set(!at.isCollapsed());
      }}
    >
      {/* What is folded away is out of reach for the keyboard too. */}
      <div className="h-full" inert={!open}>
        {children}
      </div>
    </Panel>
  );
}

function Line({ vertical, label }: { vertical?: boolean; label: string }) {
  return (
    <Separator
      aria-label={label}
      className={cn(
        "relative bg-line outline-none transition-colors hover:bg-accent focus-visible:bg-accent data-[separator=active]:bg-accent",
        vertical ? "w-px" : "h-px",
      )}
    />
  );
}
