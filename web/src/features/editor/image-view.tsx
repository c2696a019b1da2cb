"use client";

import { useEffect, useState } from "react";
import { messageOf } from "@/api/errors";
import { readFile } from "@/api/queries/files";
import { Button } from "@/components/ui/button";
import { Empty } from "@/components/ui/empty";
import { formatBytes } from "@/lib/bytes";
import { cn } from "@/lib/cn";
import { useDesk } from "../workspace/use-desk";
import { imageType } from "./content";

/** A picture, which follows the file: a plot that is saved again is drawn again. */
export function ImageView({ path, version, size }: { path: string; version: number; size: number }) {
  const desk = useDesk();
  const [url, setUrl] = useState<string>();
  const [problem, setProblem] = useState<string>();
  const [pixels, setPixels] = useState<{ width: number; height: number }>();
  const [actual, setActual] = useState(false);

  // biome-ignore lint/correctness/useExhaustiveDependencies: another version is another picture
  useEffect(() => {
    const abort = new AbortController();
    readFile(desk.id, path, abort.signal).then(
      ({ bytes }) => {
        if (abort.signal.aborted) return;
        setProblem(undefined);
        setUrl(URL.createObjectURL(new Blob([bytes], { type: imageType(path) ?? "application/octet-stream" })));
      },
      (error: unknown) => {
        if (!abort.signal.aborted) setProblem(messageOf(error));
      },
    );
    return () => abort.abort();
  }, [desk, path, version]);

  useEffect(() => {
    if (!url) return;
    return () => URL.revokeObjectURL(url);
  }, [url]);

  if (problem) {
    return (
      <Empty className="h-full" title="This picture cannot be shown">
        {problem}
      </Empty>
    );
  }
  return (
    <div className="flex h-full min-h-0 flex-col">
      <div
        className={cn(
          "flex min-h-0 flex-1 bg-sunken",
          actual ? "overflow-auto" : "items-center justify-center overflow-hidden p-4",
        )}
      >
        {url ? (
          // biome-ignore lint/performance/noImgElement: a blob, which Next's images cannot help with
          <img
            src={url}
            alt={path}
            onLoad={(e) => {
              setPixels({ width: e.currentTarget.naturalWidth, height: e.currentTarget.naturalHeight });
            }}
            onError={() => setProblem("Its content is not a picture of the kind that its name says.")}
            className={cn("bg-white shadow-pop", actual ? "m-auto max-w-none" : "max-h-full max-w-full object-contain")}
          />
        ) : (
          <div className="skeleton h-2/3 w-2/3" />
        )}
      </div>
      <div className="flex h-9 shrink-0 items-center gap-3 border-line border-t px-3 text-muted text-sm">
        <span className="truncate">
          {pixels ? `${pixels.width} × ${pixels.height} · ` : ""}
          {formatBytes(size)}
        </span>
        <Button size="sm" variant="ghost" className="ml-auto" aria-pressed={actual} onClick={() => setActual(!actual)}>
          {actual ? "Fit" : "Actual size"}
        </Button>
      </div>
    </div>
  );
}
