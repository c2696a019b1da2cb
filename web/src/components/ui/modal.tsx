"use client";

import { type ReactNode, useEffect, useRef } from "react";
import { cn } from "@/lib/cn";

export interface ModalProps {
  onClose: () => void;
  /** The id of the element that names it. */
  labelledBy: string;
  describedBy?: string | undefined;
  role?: "dialog" | "alertdialog";
  className?: string;
  children: ReactNode;
}

/**
 * A window above the page, in the browser's own way: a modal <dialog> keeps the focus inside, makes the page behind it inert
 * and is closed by Escape. Its parent shows it by rendering it. The focus goes back to where it was.
 */
export function Modal({ onClose, labelledBy, describedBy, role = "dialog", className, children }: ModalProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const at = dialog.current;
    const before = document.activeElement;
    at?.showModal();
    at?.querySelector<HTMLElement>("input:not([type=radio]):not([readonly]), textarea")?.focus();
    return () => {
      at?.close();
      // A menu's entry that opened it is gone by now; then whoever closes it decides.
      if (before instanceof HTMLElement && before.isConnected && document.activeElement === document.body)
        before.focus();
    };
  }, []);
  return (
    <dialog
      ref={dialog}
      role={role === "dialog" ? undefined : role}
      aria-labelledby={labelledBy}
      aria-describedby={describedBy}
      onCancel={(event) => {
        // React decides when it goes.
        event.preventDefault();
        onClose();
      }}
      onMouseDown={(event) => {
        // What is outside of the box is the dialog's backdrop.
        if (event.target === event.currentTarget) onClose();
      }}
      className={cn(
        "pop mx-auto w-[calc(100%-1.5rem)] rounded-xl border border-line bg-raised p-0 text-ink shadow-pop backdrop:bg-shade",
        className,
      )}
    >
      {children}
    </dialog>
  );
}
