"use client";

import { X } from "lucide-react";
import { useState } from "react";
import { Button } from "@/components/ui/button";
import { cn } from "@/lib/cn";
import type { Desk } from "../workspace/desk";
import { useDesk, useSession } from "../workspace/use-desk";
import { baseName } from "./path";

/**
 * Files that were changed here and in the sandbox at once: both versions are there, the user decides what to keep. A program
 * that writes on and on makes many copies of one file; they share a note.
 */
export function ExplorerConflicts() {
  const desk = useDesk();
  const session = useSession();
  const [dismissed, setDismissed] = useState<ReadonlySet<string>>(new Set());
  const copies = new Map<string, string[]>();
  for (const { path, copy } of session.data?.conflicts ?? []) {
    if (dismissed.has(copy) || !desk.item(copy)) continue;
    copies.set(path, [...(copies.get(path) ?? []), copy]);
  }
  if (copies.size === 0) return null;
  return (
    <section
      aria-label="Conflicts"
      className="max-h-1/2 shrink-0 overflow-y-auto border-warn/30 border-t bg-warn-soft text-warn"
    >
      {[...copies].map(([path, all], i) => (
        <Note
          key={path}
          path={path}
          copies={all}
          className={i > 0 ? "border-warn/20 border-t" : ""}
          onDismiss={() => setDismissed(new Set([...dismissed, ...all]))}
        />
      ))}
    </section>
  );
}

interface NoteProps {
  path: string;
  copies: readonly string[];
  className: string;
  onDismiss: () => void;
}

function Note({ path, copies, className, onDismiss }: NoteProps) {
  const desk = useDesk();
  const latest = copies.at(-1) ?? "";
  return (
    <div className={cn("flex flex-col gap-2 px-3 py-2.5 text-sm", className)}>
      <div className="flex gap-2">
        <p className="min-w-0 flex-1 break-words">
          <strong className="font-semibold">{baseName(path)}</strong> was changed here and in the sandbox at once.{" "}
          {copies.length === 1
            ? "The sandbox’s version is kept as "
            : `The sandbox’s ${copies.length} versions are kept, the last as `}
          <span className="break-all">{baseName(latest)}</span>.
        </p>
        <button
          type="button"
          aria-label={`Dismiss the note about ${baseName(path)}`}
          className="-mt-0.5 inline-flex size-6 shrink-0 items-center justify-center rounded hover:bg-warn/10"
          onClick={onDismiss}
        >
          <X size={14} aria-hidden="true" />
        </button>
      </div>
      <div>
        <Button size="sm" onClick={() => compare(desk, path, latest)}>
          Compare
        </Button>
      </div>
    </div>
  );
}

function compare(desk: Desk, path: string, copy: string): void {
  desk.openFile(path);
  desk.comparison.set({
    title: path,
    left: { label: copy, path: copy },
    right: { label: path, path, open: true },
  });
}
