"use client";

import { ConfirmDialog } from "@/components/ui/confirm-dialog";
import { useSignal } from "@/lib/signal";
import { useDesk } from "../workspace/use-desk";

/** Shows where a link in a terminal leads before it is opened: a program may write one thing and link to another. */
export function LinkDialog() {
  const desk = useDesk();
  const url = useSignal(desk.terminals.link);
  const close = () => desk.terminals.link.set(undefined);
  if (!url) return null;
  return (
    <ConfirmDialog
      title="Open this address?"
      action="Open in a new tab"
      onConfirm={() => {
        window.open(url, "_blank", "noopener,noreferrer");
        close();
      }}
      onCancel={close}
    >
      <p className="break-all rounded-md bg-sunken px-3 py-2 font-mono text-ink text-sm">{url}</p>
      <p>It was written by a program in the terminal and leads away from Vivarium.</p>
    </ConfirmDialog>
  );
}
