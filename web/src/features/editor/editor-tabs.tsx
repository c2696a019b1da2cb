"use client";

import { X } from "lucide-react";
import { useEffect, useRef } from "react";
import { cn } from "@/lib/cn";
import { useSignal } from "@/lib/signal";
import { FileIcon } from "../files/file-icon";
import { baseName, parentOf } from "../files/path";
import { closeFile } from "../workspace/actions";
import { useDesk } from "../workspace/use-desk";
import type { OpenFile } from "./open-file";

/** The tabs of the open files. Arrow keys move, Delete closes; a middle click closes as well. */
export function EditorTabs() {
  const desk = useDesk();
  const { files, active } = useSignal(desk.files.tabs);
  const names = files.map((f) => baseName(f.path));
  return (
    <div
      role="tablist"
      aria-label="Open files"
      className="flex h-9 shrink-0 overflow-x-auto border-line border-b bg-canvas [scrollbar-width:none]"
    >
      {files.map((file, i) => (
        <Tab
          key={file.path}
          file={file}
          selected={file === active}
          // Two files of one name are told apart by their folder.
          folder={names.indexOf(names[i] ?? "") !== names.lastIndexOf(names[i] ?? "") ? parentOf(file.path) : ""}
        />
      ))}
    </div>
  );
}

function Tab({ file, selected, folder }: { file: OpenFile; selected: boolean; folder: string }) {
  const desk = useDesk();
  const tab = useRef<HTMLDivElement>(null);
  const { path, dirty, save, removed, elsewhere } = useSignal(file.state);
  const unsaved = dirty || save.is === "failed" || save.is === "conflict";
  const warns = save.is === "failed" || save.is === "conflict" || elsewhere || removed;

  useEffect(() => {
    if (selected) tab.current?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [selected]);

  const show = () => desk.openFile(path);
  return (
    <div
      role="presentation"
      className={cn(
        "group relative flex max-w-56 shrink-0 items-center border-line border-r text-sm",
        selected ? "bg-surface text-ink" : "text-muted hover:bg-surface/60 hover:text-ink",
      )}
    >
      {selected ? <span className="absolute inset-x-0 top-0 h-0.5 bg-accent" aria-hidden="true" /> : null}
      <div
        ref={tab}
        role="tab"
        tabIndex={selected ? 0 : -1}
        aria-selected={selected}
        aria-label={`${baseName(path)}${folder ? ` in ${folder}` : ""}${unsaved ? ", not saved" : ""}${removed ? ", deleted" : ""}`}
        title={path}
        onClick={show}
        onAuxClick={(e) => {
          if (e.button === 1) closeFile(desk, file);
        }}
        onMouseDown={(e) => {
          // A middle click must not begin to scroll.
          if (e.button === 1) e.preventDefault();
        }}
        onKeyDown={(e) => {
          if (e.key === "ArrowRight" || e.key === "ArrowLeft") {
            desk.files.cycle(e.key === "ArrowRight" ? 1 : -1);
            const tabs = [
              ...(e.currentTarget.closest("[role=tablist]")?.querySelectorAll<HTMLElement>("[role=tab]") ?? []),
            ];
            const at = tabs.indexOf(e.currentTarget) + (e.key === "ArrowRight" ? 1 : -1);
            tabs[(at + tabs.length) % tabs.length]?.focus();
          } else if (e.key === "Enter" || e.key === " ") {
            desk.focusEditor();
            e.preventDefault();
          } else if (e.key === "Delete") closeFile(desk, file);
        }}
        className="flex h-full min-w-0 cursor-pointer items-center gap-1.5 pr-7 pl-3 focus-visible:-outline-offset-2"
      >
        <FileIcon path={path} kind="file" />
        <span className={cn("truncate", warns && "text-warn", removed && "line-through")}>{baseName(path)}</span>
        {folder ? <span className="truncate text-faint text-xs">{folder}</span> : null}
      </div>
      {/* For the pointer; the keyboard has Delete and the palette. A button inside of a tab would confuse screen readers. */}
      <button
        type="button"
        tabIndex={-1}
        aria-hidden="true"
        title="Close"
        onClick={() => closeFile(desk, file)}
        className="absolute right-1 flex size-5 items-center justify-center rounded hover:bg-sunken"
      >
        {unsaved ? (
          <>
            <span className={cn("size-2 rounded-full group-hover:hidden", warns ? "bg-warn" : "bg-accent")} />
            <X size={14} className="hidden group-hover:block" />
          </>
        ) : (
          <X
            size={14}
            className={cn(selected ? "opacity-70" : "opacity-0 group-hover:opacity-70", "max-md:opacity-70")}
          />
        )}
      </button>
    </div>
  );
}
