"use client";

import { useEffect, useRef, useState } from "react";
import { messageOf } from "@/api/errors";
import { readFile } from "@/api/queries/files";
import { Button } from "@/components/ui/button";
import { Empty } from "@/components/ui/empty";
import { useMedia } from "@/lib/media";
import { useTheme } from "@/lib/theme";
import type { Comparison } from "../workspace/desk";
import { useDesk } from "../workspace/use-desk";
import { decodeText, languageOf } from "./content";
import { applyTheme, commonOptions, ModelBuffer, monaco } from "./monaco";

/** Two texts side by side, or one above the other where there is little room. */
export function CompareView({ comparison }: { comparison: Comparison }) {
  const desk = useDesk();
  const { theme } = useTheme();
  const narrow = useMedia("(max-width: 1023px)");
  const host = useRef<HTMLDivElement>(null);
  const [problem, setProblem] = useState<string>();

  useEffect(() => applyTheme(theme), [theme]);

  useEffect(() => {
    const { left, right } = comparison;
    const disposables: { dispose(): void }[] = [];
    let gone = false;
    setProblem(undefined);

    const model = async (path: string): Promise<monaco.editor.ITextModel> => {
      const { bytes } = await readFile(desk.id, path);
      const text = decodeText(bytes);
      if (text === undefined) throw new Error("binary");
      const made = monaco.editor.createModel(text, languageOf(path).id);
      disposables.push(made);
      return made;
    };

    const show = async () => {
      const open = right.open ? desk.files.find(right.path) : undefined;
      const [original, modified] = await Promise.all([
        model(left.path),
        open ? open.buffer((text) => new ModelBuffer(text, languageOf(right.path).id)).model : model(right.path),
      ]);
      if (gone || !host.current) {
        for (const d of disposables) d.dispose();
        return;
      }
      const made = monaco.editor.createDiffEditor(host.current, {
        ...commonOptions(),
        originalEditable: false,
        readOnly: !open,
        renderSideBySide: !narrow,
        useInlineViewWhenSpaceIsLimited: true,
        renderOverviewRuler: false,
        hideUnchangedRegions: { enabled: true },
        originalAriaLabel: left.label,
        modifiedAriaLabel: right.label,
      });
      made.setModel({ original, modified });
      made.getOriginalEditor().updateOptions({ ariaLabel: left.label });
      made.getModifiedEditor().updateOptions({ ariaLabel: right.label });
      // The editor goes before its models.
      disposables.unshift(made);
      made.getModifiedEditor().focus();
    };
    show().catch((error: unknown) => {
      if (!gone) {
        setProblem(
          error instanceof Error && error.message === "binary" ? "One of the two is not a text." : messageOf(error),
        );
      }
    });
    return () => {
      gone = true;
      for (const d of disposables.splice(0)) d.dispose();
    };
  }, [comparison, desk, narrow]);

  return (
    <div className="flex h-full min-h-0 flex-col">
      <div className="flex items-center gap-3 border-line border-b bg-canvas px-3 py-1.5 text-sm">
        <div className="min-w-0 flex-1 truncate">
          <span className="text-muted">{comparison.left.label}</span>
          <span className="px-2 text-faint" aria-hidden="true">
            →
          </span>
          <span className="sr-only">compared with</span>
          <span className="font-medium">{comparison.right.label}</span>
        </div>
        <Button size="sm" onClick={() => desk.comparison.set(undefined)}>
          Close comparison
        </Button>
      </div>
      {problem ? (
        <Empty className="flex-1" title="These cannot be compared">
          {problem}
        </Empty>
      ) : (
        <div className="relative min-h-0 flex-1">
          <div ref={host} className="absolute inset-0" />
        </div>
      )}
    </div>
  );
}
