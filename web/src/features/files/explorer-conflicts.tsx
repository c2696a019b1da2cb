"use client";

import { X } from "lucide-react";
import { useState } from "react";
import type { Conflict } from "@/api/types";
import { Button } from "@/components/ui/button";
import { cn } from "@/lib/cn";
import { useDesk, useSession } from "../workspace/use-desk";
import { baseName } from "./path";

const keyOf = (c: Conflict) => `${c.path}\0${c.copy}`;

/** Files that were changed here and in the sandbox at once: both versions are there, the user decides what to keep. */
export function ExplorerConflicts() {
  const desk = useDesk();
  const session = useSession();
  const [dismissed, setDismissed] = useState<ReadonlySet<string>>(new Set());
  const conflicts = (session.data?.conflicts ?? []).filter((c) => !dismissed.has(keyOf(c)) && desk.item(c.copy));
  if (conflicts.length === 0) return null;
  return (
    <section
      aria-label="Conflicts"
      className="max-h-1/2 shrink-0 overflow-y-auto border-warn/30 border-t bg-warn-soft text-warn"
    >
      {conflicts.map((conflict, i) => (
        <div
          key={keyOf(conflict)}
          className={cn("flex flex-col gap-2 px-3 py-2.5 text-sm", i > 0 && "border-warn/20 border-t")}
        >
          <div className="flex gap-2">
            <p className="min-w-0 flex-1 break-words">
              <strong className="font-semibold">{baseName(conflict.path)}</strong> was changed here and in the sandbox
              at once. The sandbox’s version is kept as <span className="break-all">{baseName(conflict.copy)}</span>.
            </p>
            <button
              type="button"
              aria-label={`Dismiss the note about ${baseName(conflict.path)}`}
              className="-mt-0.5 inline-flex size-6 shrink-0 items-center justify-center rounded hover:bg-warn/10"
              onClick={() => setDismissed(new Set([...dismissed, keyOf(conflict)]))}
            >
              <X size={14} aria-hidden="true" />
            </button>
          </div>
          <div>
            <Button
              size="sm"
              onClick={() => {
                desk.files.open(conflict.path, desk.item(conflict.path));
                desk.pane.set("editor");
                desk.comparison.set({
                  title: conflict.path,
                  left: { label: conflict.copy, path: conflict.copy },
                  right: { label: conflict.path, path: conflict.path, open: true },
                });
              }}
            >
              Compare
            </Button>
          </div>
        </div>
      ))}
    </section>
  );
}
