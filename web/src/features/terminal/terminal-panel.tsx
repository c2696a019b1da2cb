"use client";

import { Plus, RotateCw, SquareTerminal, X } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { messageOf } from "@/api/errors";
import { Button, Spinner } from "@/components/ui/button";
import { Empty } from "@/components/ui/empty";
import { IconButton } from "@/components/ui/icon-button";
import { useSignal } from "@/lib/signal";
import { close, newTerminal, restart, run } from "../workspace/actions";
import { useDesk, useSession } from "../workspace/use-desk";
import { TerminalView } from "./lazy";
import { LinkDialog } from "./link-dialog";
import { SessionNotices } from "./session-notices";
import { TerminalTabs } from "./terminal-tabs";

/** The terminals of the session. Opening the page shows those that are there, or opens a first shell. */
export function TerminalPanel() {
  const desk = useDesk();
  const session = useSession();
  const wanted = useSignal(desk.terminals.active);
  const [opening, setOpening] = useState(false);
  const [problem, setProblem] = useState<string>();
  const begun = useRef(false);
  const switched = useRef(false);

  const terminals = session.data?.terminals ?? [];
  const active = terminals.find((t) => t.id === wanted) ?? terminals.findLast((t) => !t.exit) ?? terminals.at(-1);

  const open = async () => {
    if (opening) return;
    setOpening(true);
    setProblem(await newTerminal(desk));
    setOpening(false);
  };

  // An answer that is still on its way would not know of a terminal that is opened now.
  const known = session.isSuccess && !session.isFetching;
  // biome-ignore lint/correctness/useExhaustiveDependencies: once, when the session is known for the first time
  useEffect(() => {
    if (!known || begun.current) return;
    begun.current = true;
    if (terminals.length === 0) void open();
  }, [known]);

  useEffect(() => {
    if (session.data) desk.terminals.keep(new Set(session.data.terminals.map((t) => t.id)));
  }, [desk, session.data]);

  const openInFront = () => {
    switched.current = true;
    void open();
  };

  // What is in front because the wanted one is gone becomes the wanted one.
  const front = active?.id;
  useEffect(() => {
    if (front) desk.terminals.show(front);
  }, [desk, front]);

  // What was chosen in the tabs is typed into at once; what the page opens by itself leaves the focus where it is.
  const show = (id: string) => {
    switched.current = true;
    desk.terminals.show(id);
  };

  const state = session.data?.session;
  const ended = terminals.length === 0 && !opening && (state?.state === "ended" || state === undefined);
  return (
    <section aria-label="Terminal" className="flex h-full min-h-0 min-w-0 flex-col bg-surface">
      <div className="flex h-9 shrink-0 items-stretch border-line border-b bg-canvas">
        <TerminalTabs terminals={terminals} active={active?.id} onShow={show} />
        <div className="ml-auto flex shrink-0 items-center gap-0.5 px-1.5">
          {active?.kind === "run" && active.exit ? (
            <IconButton label={`Rerun ${active.title}`} onClick={() => void run(desk, active.title)}>
              <RotateCw size={15} aria-hidden="true" />
            </IconButton>
          ) : null}
          <IconButton label="New terminal" disabled={opening} onClick={openInFront}>
            {opening && terminals.length > 0 ? <Spinner /> : <Plus size={16} aria-hidden="true" />}
          </IconButton>
          <IconButton label="Close terminal" disabled={!active} onClick={() => active && void close(desk, active.id)}>
            <X size={16} aria-hidden="true" />
          </IconButton>
        </div>
      </div>
      <SessionNotices />
      <div className="relative min-h-0 flex-1">
        {active ? (
          <div role="tabpanel" aria-label={active.title} className="absolute inset-0 pt-1.5 pl-3">
            <TerminalView id={active.id} focus={switched.current} />
          </div>
        ) : session.isError ? (
          <Empty
            className="h-full"
            title="The session cannot be seen"
            actions={<Button onClick={() => void session.refetch()}>Try again</Button>}
          >
            {messageOf(session.error)}
          </Empty>
        ) : opening || session.isPending || state?.state === "starting" ? (
          <Starting />
        ) : problem ? (
          <Empty
            className="h-full"
            title="The sandbox did not start"
            actions={
              <Button variant="primary" onClick={() => void open()}>
                Try again
              </Button>
            }
          >
            {problem} Your files are safe, and the editor works without it.
          </Empty>
        ) : state?.state === "ending" ? (
          <Empty className="h-full" title="The sandbox is ending" icon={<Spinner className="size-6" />}>
            {state.reason ?? "Your files are being stored."}
          </Empty>
        ) : ended && state ? (
          <SessionEnded reason={state.reason} />
        ) : (
          <Empty
            className="h-full"
            icon={<SquareTerminal size={32} strokeWidth={1.5} />}
            title="No terminal is open"
            actions={
              <Button variant="primary" onClick={() => void open()}>
                Open a terminal
              </Button>
            }
          />
        )}
      </div>
      <LinkDialog />
    </section>
  );
}

function Starting() {
  return (
    <div className="flex h-full items-center justify-center gap-2.5 text-muted" role="status">
      <Spinner className="size-4 text-accent" />
      Starting the sandbox…
    </div>
  );
}

function SessionEnded({ reason }: { reason: string | undefined }) {
  const desk = useDesk();
  const [busy, setBusy] = useState(false);
  return (
    <Empty
      className="h-full"
      title="The sandbox ended"
      actions={
        <Button
          variant="primary"
          busy={busy}
          onClick={async () => {
            setBusy(true);
            await restart(desk);
            setBusy(false);
          }}
        >
          <RotateCw size={15} aria-hidden="true" />
          Restart
        </Button>
      }
    >
      {reason ?? "Its sandbox is gone."} Your saved files are all here.
    </Empty>
  );
}
