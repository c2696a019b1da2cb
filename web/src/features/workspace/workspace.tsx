"use client";

import { useQuery, useQueryClient } from "@tanstack/react-query";
import Link from "next/link";
import { useEffect, useMemo, useState } from "react";
import { isStatus, messageOf } from "@/api/errors";
import { workspaceQuery } from "@/api/queries/workspaces";
import { CenteredPage } from "@/components/centered-page";
import { Button, buttonClass } from "@/components/ui/button";
import { Empty } from "@/components/ui/empty";
import { toast } from "@/components/ui/toast";
import { useMedia } from "@/lib/media";
import { useSignal } from "@/lib/signal";
import { useTheme } from "@/lib/theme";
import { unsavedEdits } from "@/lib/unsaved";
import { CloseDialog } from "../editor/close-dialog";
import { FileDialogs } from "../files/file-dialogs";
import { baseName } from "../files/path";
import { firstFile } from "../files/tree";
import { Palette } from "../palette/palette";
import { commandsOf } from "./commands";
import { Desk } from "./desk";
import { DesktopLayout } from "./desktop-layout";
import { PhoneLayout } from "./phone-layout";
import { StatusBar } from "./status-bar";
import { TopBar } from "./top-bar";
import { DeskContext, useDesk, useTree } from "./use-desk";
import { useShortcuts } from "./use-shortcuts";
import { WorkspaceSkeleton } from "./workspace-skeleton";

declare global {
  interface Window {
    /** For tests: reads what is on the screen, changes nothing. */
    __vivarium?: { terminalText: () => string };
  }
}

const conflictToast = -1;

/** One workspace: makes its desk, and clears it when the page goes elsewhere. */
export function Workspace({ id }: { id: string }) {
  const client = useQueryClient();
  const [desk, setDesk] = useState<Desk>();
  useEffect(() => {
    const made = new Desk(id, client);
    made.start();
    setDesk(made);
    window.__vivarium = { terminalText: () => made.terminals.text() };
    return () => {
      made.stop();
      delete window.__vivarium;
    };
  }, [id, client]);
  if (!desk) return <WorkspaceSkeleton />;
  return (
    <DeskContext value={desk}>
      <WorkspacePage />
    </DeskContext>
  );
}

function WorkspacePage() {
  const desk = useDesk();
  const { choose } = useTheme();
  const workspace = useQuery(workspaceQuery(desk.id));
  const ended = useSignal(desk.ended);
  const narrow = useMedia("(max-width: 767px)");
  const commands = useMemo(() => commandsOf(choose), [choose]);
  useShortcuts(desk, commands);
  useOpenFiles();
  useLeaveWarning();

  const name = workspace.data?.name;
  useEffect(() => {
    if (name) document.title = `${name} · Vivarium`;
  }, [name]);

  useEffect(() => {
    const tell = () => {
      const latest = desk.conflict.get();
      if (latest)
        toast.warning(`Both sides changed ${baseName(latest.path)}`, {
          description: `The sandbox’s version is kept as ${latest.copy}.`,
          // One that follows takes its place: the explorer lists them all.
          id: conflictToast,
        });
    };
    return desk.conflict.subscribe(tell);
  }, [desk]);

  if (ended === "gone" || ended === "denied" || isStatus(workspace.error, 404) || isStatus(workspace.error, 422)) {
    return (
      <Gone
        title={ended === "denied" ? "You have no access any more" : "There is no such workspace"}
        text={ended === "denied" ? "Your right to this workspace has ended." : "It was deleted, or it is not yours."}
      />
    );
  }
  if (workspace.isError && !workspace.data && !isStatus(workspace.error, 401)) {
    return (
      <Gone
        title="The workspace could not be loaded"
        text={messageOf(workspace.error)}
        retry={() => void workspace.refetch()}
      />
    );
  }
  return (
    <div className="flex h-dvh flex-col overflow-hidden">
      <TopBar name={name} />
      <main className="flex min-h-0 flex-1 flex-col">{narrow ? <PhoneLayout /> : <DesktopLayout />}</main>
      <StatusBar />
      <FileDialogs />
      <CloseDialog />
      <Palette commands={commands} />
    </div>
  );
}

/** Opens the files of the last visit, or the first sensible one, and tells open files what the server has. */
function useOpenFiles(): void {
  const desk = useDesk();
  const tree = useTree();
  const items = tree.data?.items;
  const [begun, setBegun] = useState(false);

  useEffect(() => {
    if (items) desk.files.sync(items);
  }, [desk, items]);

  useEffect(() => {
    if (!items || begun) return;
    setBegun(true);
    if (desk.files.tabs.get().files.length > 0) return;
    const byPath = new Map(items.map((i) => [i.path, i]));
    const { active, paths } = desk.rememberedTabs();
    const known = paths.filter((path) => byPath.has(path));
    for (const path of known) desk.files.open(path, byPath.get(path));
    const front = known.includes(active) ? active : (known[0] ?? firstFile(items));
    if (front) desk.files.open(front, byPath.get(front));
  }, [desk, items, begun]);
}

/** Warns before the page is left with unsaved edits. */
function useLeaveWarning(): void {
  const desk = useDesk();
  useEffect(() => {
    const update = () => unsavedEdits.set(desk.files.unsaved.length > 0);
    const stops = [desk.files.changes.subscribe(update), desk.files.tabs.subscribe(update)];
    const warn = (event: BeforeUnloadEvent) => {
      if (unsavedEdits.get()) event.preventDefault();
    };
    window.addEventListener("beforeunload", warn);
    return () => {
      for (const stop of stops) stop();
      window.removeEventListener("beforeunload", warn);
      unsavedEdits.set(false);
    };
  }, [desk]);
}

function Gone({ title, text, retry }: { title: string; text: string; retry?: () => void }) {
  return (
    <CenteredPage>
      <Empty
        page
        title={title}
        actions={
          <>
            {retry ? <Button onClick={retry}>Try again</Button> : null}
            <Link href="/workspaces" prefetch={false} className={buttonClass({ variant: "primary" })}>
              Your workspaces
            </Link>
          </>
        }
      >
        {text}
      </Empty>
    </CenteredPage>
  );
}
