"use client";

import { FolderTree, SquarePen, SquareTerminal } from "lucide-react";
import { cn } from "@/lib/cn";
import { useSignal } from "@/lib/signal";
import { EditorPane } from "../editor/editor-pane";
import { Explorer } from "../files/explorer";
import { TerminalPanel } from "../terminal/terminal-panel";
import type { Pane } from "./desk";
import { useDesk } from "./use-desk";

const panes = [
  { pane: "files", label: "Files", Icon: FolderTree },
  { pane: "editor", label: "Editor", Icon: SquarePen },
  { pane: "terminal", label: "Terminal", Icon: SquareTerminal },
] as const satisfies { pane: Pane; label: string; Icon: typeof FolderTree }[];

/** One part at a time, with a bar to switch. All stay as they are while another is shown. */
export function PhoneLayout() {
  const desk = useDesk();
  const shown = useSignal(desk.pane);
  const view = (
    pane: Pane, // Monaco makes some of its parts visible again: what is in front also covers the others.
  ) => cn("absolute inset-0", shown === pane ? "z-10" : "invisible");
  return (
    <>
      <div className="relative min-h-0 flex-1">
        <div className={view("files")}>
          <Explorer />
        </div>
        <div className={view("editor")}>
          <EditorPane />
        </div>
        <div className={view("terminal")}>
          <TerminalPanel />
        </div>
      </div>
      <nav aria-label="Parts of the page" className="flex h-14 shrink-0 border-line border-t bg-surface">
        {panes.map(({ pane, label, Icon }) => (
          <button
            key={pane}
            type="button"
            aria-current={shown === pane ? "page" : undefined}
            onClick={() => desk.pane.set(pane)}
            className={cn(
              "flex flex-1 flex-col items-center justify-center gap-0.5 font-medium text-2xs focus-visible:-outline-offset-2",
              shown === pane ? "text-accent-ink" : "text-muted",
            )}
          >
            <Icon size={19} strokeWidth={1.75} aria-hidden="true" />
            {label}
          </button>
        ))}
      </nav>
    </>
  );
}
