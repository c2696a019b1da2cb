"use client";

import { useQuery } from "@tanstack/react-query";
import { CircleAlert, TriangleAlert } from "lucide-react";
import type { ReactNode } from "react";
import { limitsQuery } from "@/api/queries/workspaces";
import type { Session, Usage } from "@/api/types";
import { formatBytes } from "@/lib/bytes";
import { cn } from "@/lib/cn";
import { Signal, useSignal } from "@/lib/signal";
import type { SocketState } from "@/lib/socket";
import { languageOf } from "../editor/content";
import type { OpenFile } from "../editor/open-file";
import { useDesk, useSession } from "./use-desk";

const noConnection = new Signal<SocketState>("connecting");

/** One line on how things are: the connection, the sandbox, what is saved, and where the cursor is. */
export function StatusBar() {
  const desk = useDesk();
  const session = useSession();
  const { active } = useSignal(desk.files.tabs);
  const notSaved = session.data?.notSaved.length ?? 0;
  return (
    <section
      aria-label="Status"
      className="flex h-6 shrink-0 items-center gap-4 overflow-hidden border-line border-t bg-canvas px-3 text-2xs text-muted max-md:h-7"
    >
      <Connection />
      <SessionState session={session.data?.session} />
      <SandboxUsage />
      {notSaved > 0 ? (
        <span
          className="flex items-center gap-1 whitespace-nowrap text-warn"
          title="In the sandbox only: the explorer tells why."
        >
          <TriangleAlert size={11} aria-hidden="true" />
          {notSaved} not saved
        </span>
      ) : null}
      <div className="ml-auto flex items-center gap-4 whitespace-nowrap">
        {active ? <FileStatus file={active} /> : null}
      </div>
    </section>
  );
}

function Dot({ className }: { className: string }) {
  return <span aria-hidden="true" className={cn("inline-block size-1.5 shrink-0 rounded-full", className)} />;
}

function Connection() {
  const desk = useDesk();
  const events = useSignal(desk.connection);
  const state = useSignal(events?.connection ?? noConnection);
  const good = state === "open";
  return (
    <span role="status" className={cn("flex items-center gap-1.5 whitespace-nowrap", !good && "font-medium text-warn")}>
      <Dot className={good ? "bg-accent" : "animate-pulse bg-warn"} />
      {good
        ? "Connected"
        : state === "closed"
          ? "Disconnected"
          : state === "connecting"
            ? "Connecting…"
            : "Reconnecting…"}
    </span>
  );
}

const sessionWords: Record<Session["state"], string> = {
  starting: "Sandbox starting",
  running: "Sandbox running",
  ending: "Sandbox ending",
  ended: "Sandbox ended",
};

function SessionState({ session }: { session: Session | undefined }) {
  const ends = session?.state === "running" ? session.endsAt : undefined;
  return (
    <>
      <span className="whitespace-nowrap">{session ? sessionWords[session.state] : "No sandbox"}</span>
      {ends ? (
        <span
          role="status"
          className="whitespace-nowrap font-medium text-warn"
          title="A session does not live for ever. Your files are kept; what runs then is stopped."
        >
          Ends at {new Date(ends).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })}
        </span>
      ) : null}
    </>
  );
}

const noUsage = new Signal<Usage | undefined>(undefined);
/** From this part of a limit on it is worth a look. */
const close = 0.85;

function SandboxUsage() {
  const desk = useDesk();
  const events = useSignal(desk.connection);
  const usage = useSignal(events?.usage ?? noUsage);
  const limits = useQuery(limitsQuery()).data?.sandbox;
  if (!usage) return null;
  const memory = formatBytes(usage.memoryBytes);
  const full = limits !== undefined && usage.memoryBytes > limits.memoryBytes * close;
  const title = [
    `Processor: ${usage.cpu.toFixed(2)}${limits ? ` of ${limits.cpus}` : ""} cores`,
    `Memory: ${memory}${limits ? ` of ${formatBytes(limits.memoryBytes)}` : ""}`,
    usage.processes > 0 ? `Processes: ${usage.processes}${limits ? ` of ${limits.processes}` : ""}` : "",
    usage.diskBytes > 0
      ? `Disk: ${formatBytes(usage.diskBytes)}${limits ? ` of ${formatBytes(limits.diskBytes)}` : ""}`
      : "",
  ];
  return (
    <span title={title.filter(Boolean).join("\n")} className="flex gap-3 whitespace-nowrap tabular-nums max-sm:hidden">
      <span>CPU {Math.round((usage.cpu / (limits?.cpus || 1)) * 100)} %</span>
      <span className={cn(full && "font-medium text-warn")}>
        Memory {memory}
        {full ? ` of ${formatBytes(limits.memoryBytes)}` : ""}
      </span>
    </span>
  );
}

function FileStatus({ file }: { file: OpenFile }) {
  const desk = useDesk();
  const cursor = useSignal(desk.cursor);
  const { path, shows, load } = useSignal(file.state);
  return (
    <>
      <Saved file={file} />
      {shows === "text" && load === "ready" ? (
        <>
          {cursor ? (
            <span className="tabular-nums">
              Ln {cursor.line}, Col {cursor.column}
              {cursor.selected > 0 ? ` (${cursor.selected} selected)` : ""}
            </span>
          ) : null}
          <span className="max-sm:hidden">{languageOf(path).name}</span>
        </>
      ) : null}
    </>
  );
}

/** The truth about the file in front. */
function Saved({ file }: { file: OpenFile }) {
  const { save, dirty, removed, saved, shows } = useSignal(file.state);
  if (shows !== "text") return null;
  let text: ReactNode = saved ? "Saved" : null;
  let tone = "";
  if (save.is === "saving") text = "Saving…";
  else if (save.is === "failed") {
    text = `Not saved: ${save.reason}`;
    tone = "text-danger font-medium";
  } else if (save.is === "conflict") {
    text = "Not saved: changed elsewhere";
    tone = "text-warn font-medium";
  } else if (removed) {
    text = "Deleted elsewhere";
    tone = "text-warn font-medium";
  } else if (dirty) text = "Unsaved edits";
  return (
    <span role="status" className={cn("flex max-w-72 items-center gap-1 truncate", tone)}>
      {tone ? <CircleAlert size={11} className="shrink-0" aria-hidden="true" /> : null}
      <span className="truncate">{text}</span>
    </span>
  );
}
