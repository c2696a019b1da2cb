import type { ComponentProps, ReactNode } from "react";
import { cn } from "@/lib/cn";
import { Tooltip } from "./tooltip";

export interface IconButtonProps extends Omit<ComponentProps<"button">, "aria-label"> {
  /** Its name, for screen readers and the tooltip. */
  label: string;
  /** Shown in the tooltip behind the name. */
  keys?: string;
  side?: "top" | "bottom" | "left" | "right";
  children: ReactNode;
}

/** A button that shows an icon only. */
export function IconButton({ label, keys, side = "bottom", className, children, ...props }: IconButtonProps) {
  return (
    <Tooltip text={label} keys={keys} side={side}>
      <button
        type="button"
        aria-label={label}
        {...props}
        className={cn(
          "inline-flex size-7 shrink-0 items-center justify-center rounded-md text-muted transition-colors",
          "hover:not-disabled:bg-sunken hover:not-disabled:text-ink disabled:cursor-not-allowed disabled:opacity-40",
          className,
        )}
      >
        {children}
      </button>
    </Tooltip>
  );
}
