"use client";

import { useMutation } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { ApiError, messageOf } from "@/api/errors";
import { changePassword } from "@/api/queries/auth";
import { Button } from "@/components/ui/button";
import { Dialog, DialogButtons } from "@/components/ui/dialog";
import { toast } from "@/components/ui/toast";
import { PasswordField, passwordHint } from "./password-field";

export function PasswordDialog({ onClose }: { onClose: () => void }) {
  const [current, setCurrent] = useState("");
  const [next, setNext] = useState("");
  const mutation = useMutation({
    mutationFn: () => changePassword(current, next),
    onSuccess: () => {
      toast.success("The password is changed. Other devices are signed out.");
      onClose();
    },
  });
  const { error } = mutation;
  const field = (...names: string[]) =>
    error instanceof ApiError ? names.map((n) => error.field(n)).find((m) => m !== undefined) : undefined;
  const currentError = field("current");
  const nextError = field("next", "password");

  const onSubmit = (event: FormEvent) => {
    event.preventDefault();
    mutation.mutate();
  };
  return (
    <Dialog onClose={onClose} title="Change password" description="All your other devices will be signed out.">
      <form onSubmit={onSubmit} className="flex flex-col gap-4" noValidate>
        <PasswordField
          label="Current password"
          autoComplete="current-password"
          value={current}
          onChange={(e) => setCurrent(e.target.value)}
          error={currentError}
        />
        <PasswordField
          label="New password"
          autoComplete="new-password"
          value={next}
          onChange={(e) => setNext(e.target.value)}
          hint={passwordHint(next)}
          error={nextError}
        />
        {error && !currentError && !nextError ? (
          <p role="alert" className="text-danger">
            {messageOf(error)}
          </p>
        ) : null}
        <DialogButtons>
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" variant="primary" busy={mutation.isPending} disabled={current === "" || next === ""}>
            Change password
          </Button>
        </DialogButtons>
      </form>
    </Dialog>
  );
}
