"use client";

import { Download, FileCode2, FileQuestion, Link2 } from "lucide-react";
import { fileUrl } from "@/api/client";
import { Logo } from "@/components/logo";
import { Button, buttonClass } from "@/components/ui/button";
import { Empty } from "@/components/ui/empty";
import { formatBytes } from "@/lib/bytes";
import { shortcut } from "@/lib/platform";
import { useSignal } from "@/lib/signal";
import { baseName } from "../files/path";
import { useDesk, useTree } from "../workspace/use-desk";
import { EditorTabs } from "./editor-tabs";
import { FileNotice } from "./file-notice";
import { ImageView } from "./image-view";
import { CodeEditor, CompareView, EditorSkeleton } from "./lazy";
import type { OpenFile } from "./open-file";

/** The open files: tabs above, and below them the one in front. */
export function EditorPane() {
  const desk = useDesk();
  const { files, active } = useSignal(desk.files.tabs);
  const comparison = useSignal(desk.comparison);
  return (
    <section aria-label="Editor" className="flex h-full min-h-0 min-w-0 flex-col bg-surface">
      {files.length > 0 ? <EditorTabs /> : null}
      {active ? <FileNotice file={active} /> : null}
      <div className="relative min-h-0 flex-1">
        {comparison ? <CompareView comparison={comparison} /> : active ? <FileView file={active} /> : <NothingOpen />}
      </div>
    </section>
  );
}

function FileView({ file }: { file: OpenFile }) {
  const desk = useDesk();
  const { path, load, error, shows, version, size, target } = useSignal(file.state);
  if (load === "loading") return <EditorSkeleton />;
  if (load === "failed") {
    return (
      <Empty
        className="h-full"
        icon={<FileQuestion size={32} />}
        title={`${baseName(path)} could not be loaded`}
        actions={<Button onClick={() => void file.load()}>Try again</Button>}
      >
        {error}
      </Empty>
    );
  }
  switch (shows) {
    case "text":
      return <CodeEditor file={file} />;
    case "image":
      return <ImageView path={path} version={version} size={size} />;
    case "link":
      return (
        <Empty className="h-full" icon={<Link2 size={32} />} title={`${baseName(path)} is a symbolic link`}>
          It leads to <code className="break-all font-mono text-sm">{target ?? "nowhere"}</code>. Programs in the
          sandbox follow it.
        </Empty>
      );
    case "binary":
    case "large":
      return (
        <Empty
          className="h-full"
          icon={<FileCode2 size={32} />}
          title={shows === "large" ? "Too large for the editor" : "Not a text"}
          actions={
            <a href={fileUrl(desk.id, path)} download={baseName(path)} className={buttonClass({ variant: "primary" })}>
              <Download size={15} aria-hidden="true" />
              Download
            </a>
          }
        >
          {baseName(path)} — {shows === "binary" ? "binary, " : ""}
          {formatBytes(size)}
        </Empty>
      );
  }
}

function NothingOpen() {
  const desk = useDesk();
  const tree = useTree();
  const empty = tree.data?.items.length === 0;
  return (
    <Empty
      className="h-full"
      icon={<Logo size={40} />}
      title={empty ? "An empty workspace" : "No file is open"}
      actions={
        <>
          <Button
            variant={empty ? "primary" : "secondary"}
            onClick={() => desk.asking.set({ ask: "file", folder: "" })}
          >
            New file
          </Button>
          {empty ? null : <Button onClick={() => desk.palette.set("files")}>Go to file…</Button>}
        </>
      }
    >
      {empty
        ? "Make the first file, drop some onto the explorer, or use the terminal."
        : `Choose one in the explorer, or press ${shortcut("Mod+P")}.`}
    </Empty>
  );
}
