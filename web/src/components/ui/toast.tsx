"use client";

import { CircleAlert, CircleCheck, Info, TriangleAlert, X } from "lucide-react";
import { useEffect, useRef } from "react";
import { cn } from "@/lib/cn";
import { Signal, useSignal } from "@/lib/signal";
import { Spinner } from "./button";

type Tone = "info" | "success" | "warning" | "error" | "busy";

interface Toast {
  id: number;
  tone: Tone;
  text: string;
  description?: string | undefined;
  action?: { label: string; onClick: () => void } | undefined;
}

export interface ToastOptions {
  description?: string | undefined;
  action?: { label: string; onClick: () => void };
  /** Replaces an earlier one. */
  id?: number;
}

const toasts = new Signal<readonly Toast[]>([]);
/** More than these would cover the page; the oldest goes. */
const shownAtMost = 4;
let last = 0;

function show(tone: Tone, text: string, { id = ++last, description, action }: ToastOptions = {}): number {
  const toast: Toast = { id, tone, text, description, action };
  const others = toasts.get().filter((t) => t.id !== id);
  toasts.set([...others, toast].slice(-shownAtMost));
  return id;
}

const dismiss = (id: number) => toasts.set(toasts.get().filter((t) => t.id !== id));

/** Short messages at the edge of the page, about what has just happened. Nothing is told here alone that must not be missed. */
export const toast = {
  info: (text: string, options?: ToastOptions) => show("info", text, options),
  success: (text: string, options?: ToastOptions) => show("success", text, options),
  warning: (text: string, options?: ToastOptions) => show("warning", text, options),
  error: (text: string, options?: ToastOptions) => show("error", text, options),
  /** Stays until it is replaced by its id. */
  busy: (text: string, options?: ToastOptions) => show("busy", text, options),
};

const looks: Record<Tone, { Icon: typeof Info; color: string }> = {
  info: { Icon: Info, color: "text-muted" },
  success: { Icon: CircleCheck, color: "text-accent" },
  warning: { Icon: TriangleAlert, color: "text-warn" },
  error: { Icon: CircleAlert, color: "text-danger" },
  busy: { Icon: Info, color: "text-accent" },
};

export function Toasts() {
  const all = useSignal(toasts);
  return (
    <section
      aria-label="Notifications"
      aria-live="polite"
      className="pointer-events-none fixed right-4 bottom-9 z-50 flex w-[min(22rem,calc(100vw-2rem))] flex-col gap-2 max-md:right-1/2 max-md:bottom-24 max-md:translate-x-1/2"
    >
      {all.map((t) => (
        <ToastBox key={t.id} toast={t} />
      ))}
    </section>
  );
}

function ToastBox({ toast: { id, tone, text, description, action } }: { toast: Toast }) {
  const held = useRef(false);
  const { Icon, color } = looks[tone];

  // biome-ignore lint/correctness/useExhaustiveDependencies: another text is another message, which stays its own time
  useEffect(() => {
    if (tone === "busy") return;
    const time = (tone === "error" ? 9_000 : 5_000) + (action ? 4_000 : 0);
    let timer = setTimeout(function over() {
      // Nothing disappears while somebody is reading or reaching for it.
      if (held.current) timer = setTimeout(over, 1_000);
      else dismiss(id);
    }, time);
    return () => clearTimeout(timer);
  }, [id, tone, text]);

  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: being over it only keeps it
    <div
      onMouseEnter={() => {
        held.current = true;
      }}
      onMouseLeave={() => {
        held.current = false;
      }}
      onFocus={() => {
        held.current = true;
      }}
      onBlur={() => {
        held.current = false;
      }}
      className="pop pointer-events-auto flex items-start gap-2.5 rounded-lg border border-line bg-raised py-2.5 pr-2 pl-3 text-sm shadow-pop"
    >
      <span className={cn("mt-0.5 shrink-0", color)} aria-hidden="true">
        {tone === "busy" ? <Spinner className="size-4" /> : <Icon size={16} />}
      </span>
      <div className="min-w-0 flex-1">
        <p className="break-words font-medium">{text}</p>
        {description ? <p className="mt-0.5 break-words text-muted">{description}</p> : null}
        {action ? (
          <button
            type="button"
            className="mt-1.5 font-medium text-accent-ink underline"
            onClick={() => {
              dismiss(id);
              action.onClick();
            }}
          >
            {action.label}
          </button>
        ) : null}
      </div>
      <button
        type="button"
        aria-label="Dismiss"
        onClick={() => dismiss(id)}
        className="-my-0.5 inline-flex size-6 shrink-0 items-center justify-center rounded text-faint hover:bg-sunken hover:text-ink"
      >
        <X size={14} aria-hidden="true" />
      </button>
    </div>
  );
}
