"use client";

import { X } from "lucide-react";
import { type ReactNode, useId } from "react";
import { Modal } from "./modal";

export interface DialogProps {
  /** Without it the window stays until what it asks for is done. */
  onClose?: () => void;
  title: string;
  description?: ReactNode;
  children: ReactNode;
}

/** A window with a title and a way out. */
export function Dialog({ onClose, title, description, children }: DialogProps) {
  const id = useId();
  return (
    <Modal
      onClose={() => onClose?.()}
      labelledBy={`${id}-title`}
      describedBy={description ? `${id}-text` : undefined}
      className="mt-[12vh] max-h-[80vh] max-w-md overflow-y-auto"
    >
      <div className="flex flex-col gap-4 p-5">
        <div className="flex min-w-0 flex-col gap-1 pr-8">
          <h2 id={`${id}-title`} className="break-words font-semibold text-lg">
            {title}
          </h2>
          {description ? (
            <div id={`${id}-text`} className="text-muted">
              {description}
            </div>
          ) : null}
        </div>
        {children}
        {onClose ? (
          // Last for the keyboard: it is not what somebody came for.
          <button
            type="button"
            aria-label="Close"
            onClick={onClose}
            className="absolute top-4 right-4 inline-flex size-7 items-center justify-center rounded-md text-muted hover:bg-sunken hover:text-ink"
          >
            <X size={16} aria-hidden="true" />
          </button>
        ) : null}
      </div>
    </Modal>
  );
}

export const DialogButtons = ({ children }: { children: ReactNode }) => (
  <div className="mt-1 flex flex-wrap justify-end gap-2">{children}</div>
);
