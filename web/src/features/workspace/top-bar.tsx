"use client";

import { Play, Search, Square } from "lucide-react";
import Link from "next/link";
import { Logo } from "@/components/logo";
import { ThemeMenu } from "@/components/theme-menu";
import { Button } from "@/components/ui/button";
import { shortcut } from "@/lib/platform";
import { useSignal } from "@/lib/signal";
import { UserMenu } from "../auth/user-menu";
import { baseName } from "../files/path";
import { run, runnable, stop, stoppable } from "./actions";
import { useDesk, useSession } from "./use-desk";

export function TopBar({ name }: { name: string | undefined }) {
  const desk = useDesk();
  return (
    <header className="flex h-11 shrink-0 items-center gap-2 border-line border-b bg-surface pr-2 pl-3">
      <Link
        href="/workspaces"
        prefetch={false}
        aria-label="All workspaces"
        title="All workspaces"
        className="flex size-8 shrink-0 items-center justify-center rounded-md text-accent hover:bg-sunken"
      >
        <Logo size={22} />
      </Link>
      <h1 className="min-w-0 truncate font-semibold">{name ?? <span className="skeleton block h-4 w-28" />}</h1>
      <div className="ml-auto flex shrink-0 items-center gap-1.5">
        <button
          type="button"
          onClick={() => desk.palette.set("files")}
          className="hidden h-7 w-56 items-center gap-2 rounded-md border border-line bg-canvas px-2.5 text-muted text-sm hover:border-line-strong lg:flex"
        >
          <Search size={13} aria-hidden="true" />
          Go to file
          <kbd className="ml-auto font-sans text-2xs">{shortcut("Mod+P")}</kbd>
        </button>
        <RunButtons />
        <div className="mx-0.5 h-5 w-px bg-line max-sm:hidden" />
        <ThemeMenu />
        <UserMenu />
      </div>
    </header>
  );
}

function RunButtons() {
  const desk = useDesk();
  const session = useSession();
  // Watched, so that the buttons follow: which file is in front, which terminal, and whether a run is being started.
  useSignal(desk.files.tabs);
  useSignal(desk.lastRun);
  const active = useSignal(desk.terminals.active);
  const busy = useSignal(desk.running);
  const path = runnable(desk);
  const running = stoppable(session.data?.terminals ?? [], active);
  return (
    <>
      {running ? (
        <Button size="sm" aria-label="Stop" title={`Stop ${running.title}`} onClick={() => stop(desk)}>
          <Square size={12} aria-hidden="true" className="fill-current text-danger" />
          <span className="max-sm:sr-only">Stop</span>
        </Button>
      ) : null}
      {/* Not really disabled, so that it can say why. */}
      <Button
        size="sm"
        variant="primary"
        aria-label="Run"
        title={path ? `Save and run ${baseName(path)} (${shortcut("Mod+Enter")})` : "Open a Python file to run it"}
        busy={busy}
        aria-disabled={path === undefined || undefined}
        onClick={() => void run(desk)}
      >
        {busy ? null : <Play size={13} aria-hidden="true" className="fill-current" />}
        <span className="max-sm:sr-only">Run</span>
      </Button>
    </>
  );
}
