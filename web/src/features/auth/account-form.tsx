"use client";

import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, type ReactNode, useState } from "react";
import { signedOut } from "@/api/client";
import { ApiError, messageOf } from "@/api/errors";
import { keys } from "@/api/keys";
import type { Credentials } from "@/api/queries/auth";
import type { User } from "@/api/types";
import { Button } from "@/components/ui/button";
import { Field } from "@/components/ui/field";
import { Notice } from "@/components/ui/notice";
import { PasswordField, passwordHint } from "./password-field";

interface AccountFormProps {
  /** The word on the button. */
  action: string;
  /** Whether an account is made, so that the password is a new one. */
  fresh?: boolean;
  submit: (credentials: Credentials) => Promise<User>;
  onDone: (user: User) => void;
  /** Fixed when somebody signs in again. */
  username?: string | undefined;
  disabled?: boolean;
  children?: ReactNode;
}

/** Username and password, for signing in, registering and setting up. */
export function AccountForm({ action, fresh, submit, onDone, username: fixed, disabled, children }: AccountFormProps) {
  const client = useQueryClient();
  const [username, setUsername] = useState(fixed ?? "");
  const [password, setPassword] = useState("");
  const [missing, setMissing] = useState(false);
  const mutation = useMutation({
    mutationFn: submit,
    onSuccess: (user) => {
      // What was loaded for somebody else is not this one's.
      if (fixed === undefined) client.removeQueries({ predicate: (q) => q.queryKey[0] !== keys.me[0] });
      client.setQueryData(keys.me, user);
      signedOut.set(false);
      onDone(user);
    },
  });

  const error = mutation.error;
  const field = (name: string) => (error instanceof ApiError ? error.field(name) : undefined);
  const fieldError = field("username") !== undefined || field("password") !== undefined;

  const onSubmit = (event: FormEvent) => {
    event.preventDefault();
    if (username.trim() === "" || password === "") {
      setMissing(true);
      return;
    }
    setMissing(false);
    mutation.mutate({ username: username.trim(), password });
  };

  return (
    <form onSubmit={onSubmit} className="flex flex-col gap-4" noValidate>
      {children}
      {error && !fieldError ? (
        <Notice tone="danger">
          {error instanceof ApiError && error.status === 429 && error.retryAfter
            ? `Too many attempts. Try again in ${error.retryAfter} seconds.`
            : messageOf(error)}
        </Notice>
      ) : null}
      <Field
        label="Username"
        name="username"
        autoComplete="username"
        autoCapitalize="none"
        spellCheck={false}
        autoFocus={fixed === undefined}
        readOnly={fixed !== undefined}
        required
        value={username}
        onChange={(e) => setUsername(e.target.value)}
        error={field("username") ?? (missing && username.trim() === "" ? "Enter a username." : undefined)}
      />
      <PasswordField
        label="Password"
        name="password"
        autoComplete={fresh ? "new-password" : "current-password"}
        required
        autoFocus={fixed !== undefined}
        value={password}
        onChange={(e) => setPassword(e.target.value)}
        hint={fresh ? passwordHint(password) : undefined}
        error={field("password") ?? (missing && password === "" ? "Enter a password." : undefined)}
      />
      <Button
        type="submit"
        variant="primary"
        size="lg"
        busy={mutation.isPending}
        disabled={disabled ?? false}
        className="mt-1"
      >
        {action}
      </Button>
    </form>
  );
}
