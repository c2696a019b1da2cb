"use client";

import { Eye, EyeOff } from "lucide-react";
import { useState } from "react";
import { Field, type FieldProps } from "@/components/ui/field";

/** A password with a button that shows it. */
export function PasswordField(props: Omit<FieldProps, "type" | "trailing">) {
  const [shown, setShown] = useState(false);
  const Icon = shown ? EyeOff : Eye;
  return (
    <Field
      {...props}
      type={shown ? "text" : "password"}
      spellCheck={false}
      autoCapitalize="none"
      trailing={
        <button
          type="button"
          aria-label={shown ? "Hide the password" : "Show the password"}
          aria-pressed={shown}
          onClick={() => setShown(!shown)}
          className="inline-flex size-7 items-center justify-center rounded-md text-muted hover:text-ink"
        >
          <Icon size={16} aria-hidden="true" />
        </button>
      }
    />
  );
}

/** The least number of characters that the server takes. Length is what makes a password good. */
export const minPassword = 8;

/** Says how a new password stands, by its length only. */
export function passwordHint(password: string): string {
  const length = [...password].length;
  if (length < minPassword) return `At least ${minPassword} characters. A few unrelated words are easy to remember.`;
  if (length < 14) return `${length} characters: fine. Longer is better.`;
  return `${length} characters: good.`;
}
