"use client";

import { useInfiniteQuery, useMutation, useQueryClient } from "@tanstack/react-query";
import { Plus } from "lucide-react";
import { useState } from "react";
import { messageOf } from "@/api/errors";
import { keys } from "@/api/keys";
import { endSession } from "@/api/queries/session";
import { workspacesQuery } from "@/api/queries/workspaces";
import type { Workspace } from "@/api/types";
import { Logo } from "@/components/logo";
import { ThemeMenu } from "@/components/theme-menu";
import { Button } from "@/components/ui/button";
import { Empty } from "@/components/ui/empty";
import { inputClass } from "@/components/ui/field";
import { toast } from "@/components/ui/toast";
import { cn } from "@/lib/cn";
import { useMounted } from "@/lib/mounted";
import { UserMenu } from "../auth/user-menu";
import { CreateDialog } from "./create-dialog";
import { DeleteDialog } from "./delete-dialog";
import { RenameDialog } from "./rename-dialog";
import { WorkspaceRow } from "./workspace-row";

type Open = { dialog: "create" } | { dialog: "rename" | "delete"; workspace: Workspace };

/** From how many workspaces on a filter helps. */
const filterFrom = 8;

export function WorkspacesPage() {
  const mounted = useMounted();
  const list = useInfiniteQuery({ ...workspacesQuery(), enabled: mounted });
  const client = useQueryClient();
  const end = useMutation({
    mutationFn: (workspace: Workspace) => endSession(workspace.id),
    onSuccess: (_none, workspace) => toast.success(`The session of ${workspace.name} has ended`),
    onError: (error) => toast.error("Cannot end the session", { description: messageOf(error) }),
    onSettled: () => client.invalidateQueries({ queryKey: keys.workspaces }),
  });
  const [open, setOpen] = useState<Open>();
  const [filter, setFilter] = useState("");
  const close = () => setOpen(undefined);

  const all = list.data?.pages.flatMap((page) => page.items) ?? [];
  const shown = all.filter((w) => w.name.toLowerCase().includes(filter.trim().toLowerCase()));

  return (
    <div className="flex min-h-dvh flex-col">
      <header className="flex h-12 items-center gap-2.5 border-line border-b bg-surface px-4 sm:px-6">
        <span className="text-accent">
          <Logo size={22} />
        </span>
        <span className="font-semibold tracking-tight">Vivarium</span>
        <div className="ml-auto flex items-center gap-1">
          <ThemeMenu />
          <UserMenu />
        </div>
      </header>

      <main className="mx-auto w-full max-w-3xl flex-1 px-4 py-8 sm:px-6 sm:py-10">
        <div className="mb-5 flex flex-wrap items-center gap-3">
          <h1 className="mr-auto font-semibold text-xl tracking-tight">Workspaces</h1>
          {all.length >= filterFrom ? (
            <input
              type="search"
              aria-label="Filter workspaces"
              placeholder="Filter"
              value={filter}
              onChange={(e) => setFilter(e.target.value)}
              className={cn(inputClass, "w-44")}
            />
          ) : null}
          {all.length > 0 ? (
            <Button variant="primary" onClick={() => setOpen({ dialog: "create" })}>
              <Plus size={16} aria-hidden="true" />
              Create workspace
            </Button>
          ) : null}
        </div>

        {list.isPending ? (
          <Loading />
        ) : list.isError && all.length === 0 ? (
          <Empty
            className="rounded-xl border border-line bg-surface py-16"
            title="The workspaces could not be loaded"
            actions={
              <Button busy={list.isFetching} onClick={() => void list.refetch()}>
                Try again
              </Button>
            }
          >
            {messageOf(list.error)}
          </Empty>
        ) : all.length === 0 ? (
          <Empty
            className="rounded-xl border border-line bg-surface px-6 py-16"
            icon={<Logo size={44} />}
            title="Nothing grows here yet"
            actions={
              <Button variant="primary" onClick={() => setOpen({ dialog: "create" })}>
                <Plus size={16} aria-hidden="true" />
                Create workspace
              </Button>
            }
          >
            A workspace is a set of files with a Python machine of its own: edit, run and use the terminal, all in this
            browser.
          </Empty>
        ) : shown.length === 0 ? (
          <p className="py-10 text-center text-muted">No workspace is called “{filter.trim()}”.</p>
        ) : (
          <ul
            aria-label="Workspaces"
            className="divide-y divide-line overflow-hidden rounded-xl border border-line bg-surface"
          >
            {shown.map((workspace) => (
              <WorkspaceRow
                key={workspace.id}
                workspace={workspace}
                onRename={() => setOpen({ dialog: "rename", workspace })}
                onEnd={() => end.mutate(workspace)}
                onDelete={() => setOpen({ dialog: "delete", workspace })}
              />
            ))}
          </ul>
        )}

        {list.hasNextPage ? (
          <div className="mt-4 flex justify-center">
            <Button busy={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>
              Show more
            </Button>
          </div>
        ) : null}
      </main>

      {open?.dialog === "create" ? <CreateDialog taken={all.map((w) => w.name)} onClose={close} /> : null}
      {open?.dialog === "rename" ? <RenameDialog workspace={open.workspace} onClose={close} /> : null}
      {open?.dialog === "delete" ? <DeleteDialog workspace={open.workspace} onClose={close} /> : null}
    </div>
  );
}

function Loading() {
  return (
    <div className="divide-y divide-line overflow-hidden rounded-xl border border-line bg-surface">
      <span className="sr-only" role="status">
        Loading workspaces
      </span>
      {["w-40", "w-56", "w-32"].map((width) => (
        <div key={width} className="flex h-16 items-center gap-3 px-4">
          <div className="flex flex-col gap-2">
            <div className={cn("skeleton h-4", width)} />
            <div className="skeleton h-3 w-28" />
          </div>
        </div>
      ))}
    </div>
  );
}
