"use client";

import { useMutation, useQueryClient } from "@tanstack/react-query";
import { messageOf } from "@/api/errors";
import { keys } from "@/api/keys";
import { deleteWorkspace } from "@/api/queries/workspaces";
import type { Workspace } from "@/api/types";
import { ConfirmDialog } from "@/components/ui/confirm-dialog";

export function DeleteDialog({ workspace, onClose }: { workspace: Workspace; onClose: () => void }) {
  const client = useQueryClient();
  const mutation = useMutation({
    mutationFn: () => deleteWorkspace(workspace.id),
    onSuccess: () => {
      void client.invalidateQueries({ queryKey: keys.workspaces });
      onClose();
    },
  });
  return (
    <ConfirmDialog
      danger
      title={`Delete “${workspace.name}”?`}
      action="Delete workspace"
      busy={mutation.isPending}
      error={mutation.error ? messageOf(mutation.error) : undefined}
      onConfirm={() => mutation.mutate()}
      onCancel={onClose}
    >
      <p>Lost for good:</p>
      <ul className="list-disc pl-5">
        <li>all its files, with their history</li>
        <li>installed packages and the shell’s history</li>
        {workspace.state ? <li>what is running in it now, which is stopped</li> : null}
      </ul>
    </ConfirmDialog>
  );
}
