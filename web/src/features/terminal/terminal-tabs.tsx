"use client";

import { Play, SquareTerminal } from "lucide-react";
import type { Terminal } from "@/api/types";
import { cn } from "@/lib/cn";
import { close } from "../workspace/actions";
import { useDesk } from "../workspace/use-desk";

/** How a program ended, in a word or two. */
function exitText({ exit }: Terminal): string | undefined {
  if (!exit) return undefined;
  if (exit.signal) return exit.signal;
  return exit.code === 0 ? "finished" : `exit ${exit.code}`;
}

export function TerminalTabs({
  terminals,
  active,
  onShow,
}: {
  terminals: readonly Terminal[];
  active: string | undefined;
  onShow: (id: string) => void;
}) {
  const desk = useDesk();
  // Shells are counted: "bash", "bash 2".
  const shells = terminals.filter((t) => t.kind === "shell");
  const nameOf = (t: Terminal) => {
    const n = shells.indexOf(t);
    return n > 0 ? `${t.title} ${n + 1}` : t.title;
  };
  const step = (from: HTMLElement, by: number) => {
    const at = terminals.findIndex((t) => t.id === active);
    const next = terminals[(at + by + terminals.length) % terminals.length];
    if (!next) return;
    desk.terminals.show(next.id);
    const tabs = [...(from.parentElement?.querySelectorAll<HTMLElement>("[role=tab]") ?? [])];
    tabs[(at + by + terminals.length) % terminals.length]?.focus();
  };
  if (terminals.length === 0) return <h2 className="flex items-center px-4 font-semibold text-xs">Terminal</h2>;
  return (
    <div role="tablist" aria-label="Terminals" className="flex min-w-0 overflow-x-auto [scrollbar-width:none]">
      {terminals.map((terminal) => {
        const selected = terminal.id === active;
        const ended = exitText(terminal);
        const failed = terminal.exit && terminal.exit.code !== 0;
        const Icon = terminal.kind === "run" ? Play : SquareTerminal;
        return (
          <button
            key={terminal.id}
            type="button"
            role="tab"
            aria-selected={selected}
            tabIndex={selected ? 0 : -1}
            title={terminal.title}
            onClick={() => onShow(terminal.id)}
            onAuxClick={(e) => {
              if (e.button === 1) void close(desk, terminal.id);
            }}
            onKeyDown={(e) => {
              if (e.key === "ArrowRight") step(e.currentTarget, 1);
              else if (e.key === "ArrowLeft") step(e.currentTarget, -1);
              else if (e.key === "Delete") void close(desk, terminal.id);
            }}
            className={cn(
              "relative flex max-w-52 shrink-0 items-center gap-1.5 border-line border-r px-3 text-sm focus-visible:-outline-offset-2",
              selected ? "bg-surface text-ink" : "text-muted hover:bg-surface/60 hover:text-ink",
            )}
          >
            {selected ? <span className="absolute inset-x-0 top-0 h-0.5 bg-accent" aria-hidden="true" /> : null}
            <Icon size={13} aria-hidden="true" className="shrink-0" />
            <span className="truncate">{nameOf(terminal)}</span>
            {ended ? (
              <span className={cn("shrink-0 text-xs", failed ? "text-danger" : "text-faint")}>{ended}</span>
            ) : terminal.kind === "run" ? (
              <span className="size-1.5 shrink-0 animate-pulse rounded-full bg-accent" title="Running" />
            ) : null}
          </button>
        );
      })}
    </div>
  );
}
