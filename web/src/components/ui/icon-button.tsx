import type { ComponentProps, ReactNode } from "react";
import { cn } from "@/lib/cn";
import { shortcut } from "@/lib/platform";

export interface IconButtonProps extends Omit<ComponentProps<"button">, "aria-label" | "title"> {
  /** Its name, for screen readers and as a tooltip. */
  label: string;
  /** Shown in the tooltip behind the name. */
  keys?: string;
  large?: boolean;
  children: ReactNode;
}

/** A button that shows an icon only. */
export function IconButton({ label, keys, large, className, children, ...props }: IconButtonProps) {
  return (
    <button
      type="button"
      aria-label={label}
      title={keys ? `${label} (${shortcut(keys)})` : label}
      {...props}
      className={cn(
        "inline-flex shrink-0 items-center justify-center rounded-md text-muted transition-colors",
        "hover:not-disabled:bg-sunken hover:not-disabled:text-ink disabled:cursor-not-allowed disabled:opacity-40",
        large ? "size-8" : "size-7",
        className,
      )}
    >
      {children}
    </button>
  );
}
