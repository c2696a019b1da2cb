"use client";

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useRouter } from "next/navigation";
import { type FormEvent, useState } from "react";
import { ApiError, messageOf } from "@/api/errors";
import { keys } from "@/api/keys";
import { createWorkspace, templatesQuery } from "@/api/queries/workspaces";
import { Button } from "@/components/ui/button";
import { Dialog, DialogButtons } from "@/components/ui/dialog";
import { Field } from "@/components/ui/field";
import { cn } from "@/lib/cn";
import { freePath } from "../files/path";

/** Asks for a name and a template, makes the workspace and opens it. */
export function CreateDialog({ taken, onClose }: { taken: readonly string[]; onClose: () => void }) {
  const client = useQueryClient();
  const router = useRouter();
  const templates = useQuery(templatesQuery());
  const [name, setName] = useState(() => freePath("My workspace", (n) => taken.includes(n)));
  const [chosen, setChosen] = useState<string>();
  const items = templates.data?.items ?? [];
  const template = chosen ?? (items.find((t) => t.id === "data-analysis") ?? items[0])?.id ?? "";

  const mutation = useMutation({
    mutationFn: () => createWorkspace(name.trim(), template),
    onSuccess: (workspace) => {
      client.setQueryData(keys.workspace(workspace.id), workspace);
      void client.invalidateQueries({ queryKey: keys.workspaces });
      router.push(`/w/${workspace.id}`);
    },
  });
  const nameError = mutation.error instanceof ApiError ? mutation.error.field("name") : undefined;

  const onSubmit = (event: FormEvent) => {
    event.preventDefault();
    if (name.trim() !== "") mutation.mutate();
  };
  return (
    <Dialog onClose={onClose} title="New workspace">
      <form onSubmit={onSubmit} className="flex flex-col gap-5" noValidate>
        <Field
          label="Name"
          value={name}
          maxLength={200}
          autoComplete="off"
          onFocus={(e) => e.target.select()}
          onChange={(e) => setName(e.target.value)}
          error={nameError}
        />
        <fieldset className="flex flex-col gap-1.5" disabled={templates.isPending}>
          <legend className="mb-1.5 font-medium text-sm">Start from</legend>
          {templates.isPending ? (
            <>
              <div className="skeleton h-[62px] rounded-lg" />
              <div className="skeleton h-[62px] rounded-lg" />
            </>
          ) : null}
          {templates.isError ? (
            <p className="text-muted">{messageOf(templates.error)} The workspace will start empty.</p>
          ) : null}
          {items.map((t) => (
            <label
              key={t.id}
              className={cn(
                "flex cursor-pointer gap-3 rounded-lg border p-3 has-focus-visible:outline-2 has-focus-visible:outline-accent",
                t.id === template ? "border-accent bg-accent-soft" : "border-line hover:bg-canvas",
              )}
            >
              <input
                type="radio"
                name="template"
                value={t.id}
                checked={t.id === template}
                onChange={() => setChosen(t.id)}
                className="mt-1 accent-accent outline-none"
              />
              <span className="min-w-0">
                <span className="block font-medium">{t.name}</span>
                <span className={cn("block text-sm", t.id === template ? "text-accent-ink" : "text-muted")}>
                  {t.description}
                </span>
              </span>
            </label>
          ))}
        </fieldset>
        {mutation.error && !nameError ? (
          <p role="alert" className="text-danger">
            {messageOf(mutation.error)}
          </p>
        ) : null}
        <DialogButtons>
          <Button onClick={onClose}>Cancel</Button>
          <Button
            type="submit"
            variant="primary"
            busy={mutation.isPending || mutation.isSuccess}
            disabled={name.trim() === "" || templates.isPending}
          >
            Create workspace
          </Button>
        </DialogButtons>
      </form>
    </Dialog>
  );
}
