import { type ComponentProps, type ReactNode, useId } from "react";
import { cn } from "@/lib/cn";

export const inputClass =
  "h-9 w-full min-w-0 rounded-md border border-line-strong bg-surface px-3 text-base text-ink placeholder:text-faint " +
  "focus-visible:outline-2 focus-visible:outline-offset-0 aria-invalid:border-danger disabled:opacity-60";

export interface FieldProps extends ComponentProps<"input"> {
  label: string;
  hint?: ReactNode;
  error?: string | undefined;
  /** Put into the field's right end. */
  trailing?: ReactNode;
}

/** A labelled input with a hint and an error that screen readers read with it. */
export function Field({ label, hint, error, trailing, className, ...props }: FieldProps) {
  const id = useId();
  const note = `${id}-note`;
  return (
    <div className="flex flex-col gap-1.5">
      <label htmlFor={id} className="font-medium text-sm">
        {label}
      </label>
      <div className="relative">
        <input
          id={id}
          {...props}
          aria-invalid={error ? true : undefined}
          aria-describedby={error || hint ? note : undefined}
          className={cn(inputClass, trailing ? "pr-10" : null, className)}
        />
        {trailing ? <div className="absolute inset-y-0 right-1 flex items-center">{trailing}</div> : null}
      </div>
      {error || hint ? (
        <div
          id={note}
          className={cn("text-sm", error ? "text-danger" : "text-muted")}
          role={error ? "alert" : undefined}
        >
          {error ?? hint}
        </div>
      ) : null}
    </div>
  );
}
