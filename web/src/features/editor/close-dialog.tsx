"use client";

import { useState } from "react";
import { Button } from "@/components/ui/button";
import { Dialog, DialogButtons } from "@/components/ui/dialog";
import { useSignal } from "@/lib/signal";
import { baseName } from "../files/path";
import { save } from "../workspace/actions";
import { useDesk } from "../workspace/use-desk";

/** Asks what to do with unsaved edits before their tab is closed. */
export function CloseDialog() {
  const desk = useDesk();
  const file = useSignal(desk.closing);
  const [busy, setBusy] = useState(false);
  if (!file) return null;
  const cancel = () => desk.closing.set(undefined);
  const discard = () => {
    desk.closing.set(undefined);
    desk.files.close(file);
  };
  const keep = async () => {
    setBusy(true);
    const done = await save(desk, file);
    setBusy(false);
    desk.closing.set(undefined);
    if (done) desk.files.close(file);
  };
  return (
    <Dialog
      onClose={cancel}
      title={`Save ${baseName(file.path)} before closing?`}
      description="Otherwise your latest edits to it are lost."
    >
      <DialogButtons>
        <Button onClick={discard} className="mr-auto text-danger">
          Discard edits
        </Button>
        <Button onClick={cancel}>Cancel</Button>
        <Button variant="primary" busy={busy} onClick={() => void keep()}>
          Save and close
        </Button>
      </DialogButtons>
    </Dialog>
  );
}
