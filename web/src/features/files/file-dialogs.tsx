"use client";

import { useMutation } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { ApiError, isStatus, messageOf } from "@/api/errors";
import { makeFolder, moveItem, removeItem, writeFile } from "@/api/queries/files";
import { Button } from "@/components/ui/button";
import { ConfirmDialog } from "@/components/ui/confirm-dialog";
import { Dialog, DialogButtons } from "@/components/ui/dialog";
import { Field } from "@/components/ui/field";
import { useSignal } from "@/lib/signal";
import type { Desk } from "../workspace/desk";
import { useDesk } from "../workspace/use-desk";
import { baseName, isBelow, isIgnored, pathProblem } from "./path";
import { upload } from "./upload";

/** The dialog that the explorer asks for at the moment. */
export function FileDialogs() {
  const desk = useDesk();
  const asking = useSignal(desk.asking);
  const close = () => desk.asking.set(undefined);
  switch (asking?.ask) {
    case "file":
    case "folder":
      return (
        <PathDialog
          title={asking.ask === "file" ? "New file" : "New folder"}
          action="Create"
          label="Name"
          hint="Slashes make folders: data/raw/a.csv"
          initial={asking.folder === "" ? "" : `${asking.folder}/`}
          onSubmit={(path) => create(desk, asking.ask, path)}
          onClose={close}
        />
      );
    case "rename":
      return (
        <PathDialog
          title={`Rename or move ${baseName(asking.path)}`}
          action="Rename"
          label="Path"
          hint="Another folder in the path moves it there."
          initial={asking.path}
          from={asking.path}
          onSubmit={(path) => move(desk, asking.path, path)}
          onClose={close}
        />
      );
    case "delete":
      return <DeleteItemDialog path={asking.path} folder={asking.folder} onClose={close} />;
    case "replace": {
      const { uploads, existing } = asking;
      return (
        <Dialog
          onClose={close}
          title={
            existing.length === 1 ? `Replace ${baseName(existing[0] ?? "")}?` : `Replace ${existing.length} files?`
          }
          description={
            <>
              {existing.length === 1 ? "A file of this name is" : "Files of these names are"} in the workspace already.
              What is replaced stays in the history.
            </>
          }
        >
          <DialogButtons>
            <Button onClick={close}>Cancel</Button>
            {uploads.length > existing.length ? (
              <Button
                onClick={() => {
                  close();
                  const taken = new Set(existing);
                  void upload(
                    desk,
                    uploads.filter((u) => !taken.has(u.path)),
                    "new",
                  );
                }}
              >
                Only the others
              </Button>
            ) : null}
            <Button
              variant="primary"
              onClick={() => {
                close();
                void upload(desk, uploads, "replace");
              }}
            >
              Replace
            </Button>
          </DialogButtons>
        </Dialog>
      );
    }
    case undefined:
      return null;
  }
}

async function create(desk: Desk, kind: "file" | "folder", path: string): Promise<void> {
  if (kind === "folder") {
    const item = await makeFolder(desk.id, path);
    desk.patch([{ type: "item", item }]);
    desk.selected.set(path);
    return;
  }
  const item = await writeFile(desk.id, path, "", "absent").catch((error: unknown) => {
    throw isStatus(error, 409) ? new ApiError(409, "There is something of this name already.") : error;
  });
  desk.patch([{ type: "item", item }]);
  desk.selected.set(path);
  desk.openFile(path);
}

export async function move(desk: Desk, from: string, to: string): Promise<void> {
  if (from === to) return;
  const item = await moveItem(desk.id, from, to);
  desk.files.moved(from, to);
  desk.patch([
    { type: "moved", from, to },
    { type: "item", item },
  ]);
  desk.selected.set(to);
}

interface PathDialogProps {
  title: string;
  action: string;
  label: string;
  hint: string;
  initial: string;
  /** The item that gets the new path, if there is one. */
  from?: string;
  onSubmit: (path: string) => Promise<void>;
  onClose: () => void;
}

function PathDialog({ title, action, label, hint, initial, from, onSubmit, onClose }: PathDialogProps) {
  const desk = useDesk();
  const [path, setPath] = useState(initial);
  const [touched, setTouched] = useState(false);
  const mutation = useMutation({ mutationFn: onSubmit, onSuccess: onClose });

  const trimmed = path.trim().normalize("NFC");
  const taken = trimmed !== from && desk.item(trimmed) !== undefined;
  const problem =
    pathProblem(trimmed) ??
    (isIgnored(trimmed) ? "Caches of this name are not stored." : undefined) ??
    (taken ? "There is something of this name already." : undefined) ??
    (from && isBelow(trimmed, from) ? "A folder cannot be moved into itself." : undefined);

  const submit = (event: FormEvent) => {
    event.preventDefault();
    setTouched(true);
    if (!problem) mutation.mutate(trimmed);
  };
  return (
    <Dialog onClose={onClose} title={title}>
      <form onSubmit={submit} className="flex flex-col gap-4" noValidate>
        <Field
          label={label}
          value={path}
          autoComplete="off"
          autoCapitalize="none"
          spellCheck={false}
          className="font-mono text-sm"
          onFocus={(e) => select(e.target, from !== undefined)}
          onChange={(e) => {
            setPath(e.target.value);
            // An unfinished path is no mistake yet: only what can never become one is told while typing.
            setTouched(false);
            mutation.reset();
          }}
          error={
            mutation.error
              ? messageOf(mutation.error)
              : problem && (touched || taken || (trimmed !== "" && !trimmed.endsWith("/")))
                ? problem
                : undefined
          }
          hint={hint}
        />
        <DialogButtons>
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" variant="primary" busy={mutation.isPending}>
            {action}
          </Button>
        </DialogButtons>
      </form>
    </Dialog>
  );
}

/** Selects the name without its folder and extension, which is what is mostly changed. */
function select(input: HTMLInputElement, name: boolean): void {
  const { value } = input;
  const start = value.lastIndexOf("/") + 1;
  const dot = value.lastIndexOf(".");
  input.setSelectionRange(name ? start : value.length, name && dot > start ? dot : value.length);
}

function DeleteItemDialog({ path, folder, onClose }: { path: string; folder: boolean; onClose: () => void }) {
  const desk = useDesk();
  const below = folder ? desk.items.filter((i) => isBelow(i.path, path) && i.kind !== "folder").length : 0;
  const mutation = useMutation({
    mutationFn: () => removeItem(desk.id, path),
    onSuccess: () => {
      desk.patch([{ type: "removed", path }]);
      // What was deleted here on purpose needs no tab that says so, unless edits would go with it.
      for (const file of desk.files.tabs.get().files) {
        if ((file.path === path || isBelow(file.path, path)) && !file.unsaved) desk.files.close(file);
      }
      desk.selected.set(undefined);
      onClose();
    },
  });
  return (
    <ConfirmDialog
      danger
      title={`Delete ${baseName(path)}?`}
      action="Delete"
      busy={mutation.isPending}
      error={mutation.error ? messageOf(mutation.error) : undefined}
      onConfirm={() => mutation.mutate()}
      onCancel={onClose}
    >
      {below > 0 ? <p>The folder and the {below === 1 ? "one file" : `${below} files`} in it are deleted.</p> : null}
      <p>Its saved versions stay in the history.</p>
    </ConfirmDialog>
  );
}
