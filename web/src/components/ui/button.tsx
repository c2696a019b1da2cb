import type { ComponentProps } from "react";
import { cn } from "@/lib/cn";

const base =
  "inline-flex shrink-0 select-none items-center justify-center gap-1.5 whitespace-nowrap rounded-md font-medium transition-colors " +
  "disabled:cursor-not-allowed disabled:opacity-50 aria-disabled:cursor-not-allowed aria-disabled:opacity-50";

const variants = {
  primary: "bg-accent text-on-accent hover:not-disabled:bg-accent-hover",
  secondary: "border border-line-strong/60 bg-raised text-ink hover:not-disabled:bg-sunken",
  ghost: "text-muted hover:not-disabled:bg-sunken hover:not-disabled:text-ink",
  danger: "bg-danger text-surface hover:not-disabled:bg-danger-hover",
} as const;

const sizes = {
  sm: "h-7 px-2.5 text-sm",
  md: "h-9 px-3.5 text-base",
  lg: "h-10 px-4 text-base",
} as const;

interface Look {
  variant?: keyof typeof variants;
  size?: keyof typeof sizes;
}

/** The classes of a button, for a link that looks like one. */
export function buttonClass({ variant = "secondary", size = "md" }: Look = {}): string {
  return cn(base, variants[variant], sizes[size]);
}

export interface ButtonProps extends ComponentProps<"button">, Look {
  /** Shows that the click is being worked on, and takes no further ones. */
  busy?: boolean;
}

export function Button({ variant, size, busy, className, children, ...props }: ButtonProps) {
  return (
    <button
      type="button"
      {...props}
      className={cn(buttonClass({ ...(variant && { variant }), ...(size && { size }) }), className)}
      disabled={props.disabled || busy}
      aria-busy={busy || undefined}
    >
      {busy ? <Spinner /> : null}
      {children}
    </button>
  );
}

export function Spinner({ className }: { className?: string }) {
  return (
    <svg viewBox="0 0 16 16" aria-hidden="true" className={cn("size-3.5 animate-spin", className)}>
      <circle cx="8" cy="8" r="6" fill="none" stroke="currentColor" strokeWidth="2" opacity="0.25" />
      <path d="M14 8a6 6 0 0 0-6-6" fill="none" stroke="currentColor" strokeWidth="2" strokeLinecap="round" />
    </svg>
  );
}
