"use client";

import { type KeyboardEvent, useEffect, useId, useRef, useState } from "react";
import { Modal } from "@/components/ui/modal";
import { cn } from "@/lib/cn";
import { fuzzyMatch, type Match } from "@/lib/fuzzy";
import { shortcut } from "@/lib/platform";
import { useSignal } from "@/lib/signal";
import { FileIcon } from "../files/file-icon";
import { baseName, parentOf } from "../files/path";
import type { Command } from "../workspace/commands";
import { useDesk } from "../workspace/use-desk";

interface Entry {
  id: string;
  title: string;
  detail?: string;
  keys?: string | undefined;
  path?: string;
  match: Match;
  choose: () => void;
}

/** How many entries are shown; who needs more types more. */
const shownAtMost = 60;

/** Quick open and all commands in one box: a leading ">" asks for commands. */
export function Palette({ commands }: { commands: readonly Command[] }) {
  const desk = useDesk();
  const mode = useSignal(desk.palette);
  const id = useId();
  if (!mode) return null;
  const close = () => desk.palette.set(undefined);
  return (
    <Modal
      key={mode}
      onClose={close}
      labelledBy={id}
      className="mt-[10vh] max-h-[70vh] max-w-xl overflow-hidden backdrop:bg-shade/50 open:flex open:flex-col"
    >
      <h2 id={id} className="sr-only">
        {mode === "commands" ? "Commands" : "Go to file"}
      </h2>
      <Box start={mode === "commands" ? ">" : ""} commands={commands} onClose={close} />
    </Modal>
  );
}

function Box({ start, commands, onClose }: { start: string; commands: readonly Command[]; onClose: () => void }) {
  const desk = useDesk();
  const id = useId();
  const [text, setText] = useState(start);
  const [at, setAt] = useState(0);
  const list = useRef<HTMLDivElement>(null);
  const forCommands = text.startsWith(">");
  const query = forCommands ? text.slice(1).trim() : text.trim();

  function commandEntries(all: readonly Command[]): Entry[] {
    return ranked(
      all.filter((c) => !c.hidden && (c.enabled?.(desk) ?? true)),
      (c) => c.title,
      (c, match) => ({ id: c.id, title: c.title, keys: c.keys, match, choose: () => c.run(desk) }),
    );
  }

  function fileEntries(): Entry[] {
    const open = new Set(desk.files.tabs.get().files.map((f) => f.path));
    const files = desk.items.filter((i) => i.kind !== "folder").map((i) => i.path);
    // Without a query the open ones come first.
    const ordered = query === "" ? [...files].sort((a, b) => Number(open.has(b)) - Number(open.has(a))) : files;
    return ranked(
      ordered,
      (path) => path,
      (path, match) => ({
        id: path,
        path,
        title: baseName(path),
        detail: parentOf(path),
        match,
        choose: () => {
          desk.openFile(path);
          setTimeout(() => desk.focusEditor(), 60);
        },
      }),
    );
  }

  function ranked<T>(all: readonly T[], textOf: (one: T) => string, entry: (one: T, match: Match) => Entry): Entry[] {
    const found = all.flatMap((one) => {
      const match = fuzzyMatch(query, textOf(one));
      return match ? [entry(one, match)] : [];
    });
    return query === "" ? found : found.sort((a, b) => b.match.score - a.match.score);
  }

  const entries = (forCommands ? commandEntries(commands) : fileEntries()).slice(0, shownAtMost);
  const current = Math.min(at, entries.length - 1);
  useEffect(() => {
    list.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: "nearest" });
  });

  const choose = (entry: Entry | undefined) => {
    if (!entry) return;
    onClose();
    // Once the box is gone and has given the focus back, so that the command may take it.
    setTimeout(entry.choose, 0);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const steps: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10 };
    const step = steps[event.key];
    if (step !== undefined && entries.length > 0) {
      event.preventDefault();
      const next = current + step;
      setAt(
        Math.abs(step) === 1
          ? (next + entries.length) % entries.length
          : Math.max(0, Math.min(entries.length - 1, next)),
      );
    } else if (event.key === "Enter") {
      event.preventDefault();
      choose(entries[current]);
    }
  };

  return (
    <>
      <input
        type="text"
        role="combobox"
        aria-label={forCommands ? "Find a command" : "Find a file"}
        aria-expanded="true"
        aria-controls={`${id}-list`}
        aria-activedescendant={entries[current] ? `${id}-${current}` : undefined}
        autoComplete="off"
        spellCheck={false}
        placeholder="Find a file, or > for commands"
        value={text}
        onChange={(e) => {
          setText(e.target.value);
          setAt(0);
        }}
        onKeyDown={onKeyDown}
        className="h-11 shrink-0 border-line border-b bg-transparent px-4 text-base outline-none placeholder:text-faint"
      />
      <div
        ref={list}
        id={`${id}-list`}
        role="listbox"
        aria-label={forCommands ? "Commands" : "Files"}
        className="overflow-y-auto p-1.5"
      >
        {entries.map((entry, i) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the keys are the input's
          <div
            key={entry.id}
            id={`${id}-${i}`}
            role="option"
            tabIndex={-1}
            aria-selected={i === current}
            onMouseMove={() => setAt(i)}
            onClick={() => choose(entry)}
            className={cn(
              "flex h-8 cursor-pointer items-center gap-2 rounded-md px-2.5",
              i === current && "bg-accent-soft text-accent-ink",
            )}
          >
            {entry.path ? <FileIcon path={entry.path} kind="file" /> : null}
            <span className="truncate">{entry.title}</span>
            {entry.detail ? (
              <span className={cn("truncate text-xs", i === current ? "text-accent-ink" : "text-muted")}>
                {entry.detail}
              </span>
            ) : null}
            {entry.keys ? (
              <kbd
                className={cn("ml-auto shrink-0 font-sans text-xs", i === current ? "text-accent-ink" : "text-muted")}
              >
                {shortcut(entry.keys)}
              </kbd>
            ) : null}
          </div>
        ))}
      </div>
      {entries.length === 0 ? (
        <p className="px-4 pb-4 text-muted" role="status">
          {forCommands ? "No such command." : "No such file."}
        </p>
      ) : null}
    </>
  );
}
