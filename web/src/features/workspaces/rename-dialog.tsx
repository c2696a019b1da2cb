"use client";

import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { messageOf } from "@/api/errors";
import { keys } from "@/api/keys";
import { renameWorkspace } from "@/api/queries/workspaces";
import type { Workspace } from "@/api/types";
import { Button } from "@/components/ui/button";
import { Dialog, DialogButtons } from "@/components/ui/dialog";
import { Field } from "@/components/ui/field";

export function RenameDialog({ workspace, onClose }: { workspace: Workspace; onClose: () => void }) {
  const client = useQueryClient();
  const [name, setName] = useState(workspace.name);
  const mutation = useMutation({
    mutationFn: () => renameWorkspace(workspace.id, name.trim()),
    onSuccess: (renamed) => {
      client.setQueryData(keys.workspace(workspace.id), renamed);
      void client.invalidateQueries({ queryKey: keys.workspaces });
      onClose();
    },
  });
  const onSubmit = (event: FormEvent) => {
    event.preventDefault();
    if (name.trim() === workspace.name) onClose();
    else mutation.mutate();
  };
  return (
    <Dialog onClose={onClose} title="Rename workspace">
      <form onSubmit={onSubmit} className="flex flex-col gap-4" noValidate>
        <Field
          label="Name"
          value={name}
          maxLength={200}
          autoComplete="off"
          onFocus={(e) => e.target.select()}
          onChange={(e) => setName(e.target.value)}
          error={mutation.error ? messageOf(mutation.error) : undefined}
        />
        <DialogButtons>
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" variant="primary" busy={mutation.isPending} disabled={name.trim() === ""}>
            Rename
          </Button>
        </DialogButtons>
      </form>
    </Dialog>
  );
}
