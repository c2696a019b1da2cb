"use client";

import { X } from "lucide-react";
import { Dialog as Primitive } from "radix-ui";
import type { ReactNode } from "react";
import { cn } from "@/lib/cn";

export interface DialogProps {
  open: boolean;
  onClose: () => void;
  title: string;
  description?: ReactNode;
  children: ReactNode;
  className?: string;
  /** What to focus when it opens, instead of the first control. */
  onOpenAutoFocus?: (event: Event) => void;
}

export function Dialog({ open, onClose, title, description, children, className, onOpenAutoFocus }: DialogProps) {
  return (
    <Primitive.Root open={open} onOpenChange={(next) => (next ? undefined : onClose())}>
      <Primitive.Portal>
        <Primitive.Overlay className="fixed inset-0 z-40 bg-shade" />
        <Primitive.Content
          {...(description ? {} : { "aria-describedby": undefined })}
          {...(onOpenAutoFocus ? { onOpenAutoFocus } : {})}
          className={cn(
            "pop fixed inset-x-3 top-[12vh] z-50 mx-auto flex max-h-[80vh] max-w-md flex-col gap-4 overflow-y-auto rounded-xl border border-line bg-raised p-5 shadow-pop",
            className,
          )}
        >
          <div className="flex items-start justify-between gap-4">
            <div className="flex min-w-0 flex-col gap-1">
              <Primitive.Title className="break-words font-semibold text-lg">{title}</Primitive.Title>
              {description ? (
                <Primitive.Description asChild>
                  <div className="text-muted">{description}</div>
                </Primitive.Description>
              ) : null}
            </div>
            <Primitive.Close
              aria-label="Close"
              className="-mt-1 -mr-1 inline-flex size-7 shrink-0 items-center justify-center rounded-md text-muted hover:bg-sunken hover:text-ink"
            >
              <X size={16} aria-hidden="true" />
            </Primitive.Close>
          </div>
          {children}
        </Primitive.Content>
      </Primitive.Portal>
    </Primitive.Root>
  );
}

export const DialogButtons = ({ children }: { children: ReactNode }) => (
  <div className="mt-1 flex flex-wrap justify-end gap-2">{children}</div>
);
