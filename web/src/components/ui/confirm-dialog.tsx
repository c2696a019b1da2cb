"use client";

import { type ReactNode, useEffect, useId, useRef } from "react";
import { Button } from "./button";
import { Modal } from "./modal";

export interface ConfirmDialogProps {
  title: string;
  /** What happens, and what is lost. */
  children: ReactNode;
  /** The word on the button, a verb. */
  action: string;
  danger?: boolean;
  busy?: boolean;
  error?: string | undefined;
  onConfirm: () => void;
  onCancel: () => void;
}

/** Asks before something that cannot be taken back. The harmless answer has the focus. */
export function ConfirmDialog({
  title,
  children,
  action,
  danger,
  busy,
  error,
  onConfirm,
  onCancel,
}: ConfirmDialogProps) {
  const id = useId();
  const cancel = useRef<HTMLButtonElement>(null);
  useEffect(() => cancel.current?.focus(), []);
  return (
    <Modal
      role="alertdialog"
      onClose={onCancel}
      labelledBy={`${id}-title`}
      describedBy={`${id}-text`}
      className="mt-[16vh] max-h-[80vh] max-w-md overflow-y-auto"
    >
      <div className="flex flex-col gap-4 p-5">
        <h2 id={`${id}-title`} className="break-words font-semibold text-lg">
          {title}
        </h2>
        <div id={`${id}-text`} className="flex flex-col gap-2 break-words text-muted">
          {children}
        </div>
        {error ? (
          <p role="alert" className="text-danger">
            {error}
          </p>
        ) : null}
        <div className="mt-1 flex flex-wrap justify-end gap-2">
          <Button ref={cancel} onClick={onCancel}>
            Cancel
          </Button>
          <Button variant={danger ? "danger" : "primary"} busy={busy ?? false} onClick={onConfirm}>
            {action}
          </Button>
        </div>
      </div>
    </Modal>
  );
}
