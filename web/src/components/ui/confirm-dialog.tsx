"use client";

import { AlertDialog as Primitive } from "radix-ui";
import type { ReactNode } from "react";
import { Button } from "./button";

export interface ConfirmDialogProps {
  open: boolean;
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
  open,
  title,
  children,
  action,
  danger,
  busy,
  error,
  onConfirm,
  onCancel,
}: ConfirmDialogProps) {
  return (
    <Primitive.Root open={open} onOpenChange={(next) => (next ? undefined : onCancel())}>
      <Primitive.Portal>
        <Primitive.Overlay className="fixed inset-0 z-40 bg-shade" />
        <Primitive.Content className="pop fixed inset-x-3 top-[16vh] z-50 mx-auto flex max-h-[80vh] max-w-md flex-col gap-4 overflow-y-auto rounded-xl border border-line bg-raised p-5 shadow-pop">
          <Primitive.Title className="break-words font-semibold text-lg">{title}</Primitive.Title>
          <Primitive.Description asChild>
            <div className="flex flex-col gap-2 break-words text-muted">{children}</div>
          </Primitive.Description>
          {error ? (
            <p role="alert" className="text-danger">
              {error}
            </p>
          ) : null}
          <div className="mt-1 flex flex-wrap justify-end gap-2">
            <Primitive.Cancel asChild>
              <Button>Cancel</Button>
            </Primitive.Cancel>
            <Button variant={danger ? "danger" : "primary"} busy={busy ?? false} onClick={onConfirm}>
              {action}
            </Button>
          </div>
        </Primitive.Content>
      </Primitive.Portal>
    </Primitive.Root>
  );
}
