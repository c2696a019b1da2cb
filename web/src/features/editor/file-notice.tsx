"use client";

import { Button } from "@/components/ui/button";
import { Notice } from "@/components/ui/notice";
import { useSignal } from "@/lib/signal";
import { save } from "../workspace/actions";
import { useDesk } from "../workspace/use-desk";
import type { OpenFile } from "./open-file";

/** What stands above the text when it and the server's differ, with the ways out. */
export function FileNotice({ file }: { file: OpenFile }) {
  const desk = useDesk();
  const { save: state, elsewhere, removed, path } = useSignal(file.state);
  const compare = () =>
    desk.comparison.set({
      title: path,
      left: { label: "On the server now", path },
      right: { label: "Your version", path, open: true },
    });
  const resolve = async (choice: "mine" | "theirs") => {
    desk.comparison.set(undefined);
    await file.resolve(choice);
  };

  if (state.is === "conflict") {
    return state.current ? (
      <Notice
        tone="warn"
        className="rounded-none border-x-0 border-t-0"
        actions={
          <>
            <Button size="sm" onClick={compare}>
              Compare
            </Button>
            <Button size="sm" onClick={() => void resolve("mine")}>
              Keep mine
            </Button>
            <Button size="sm" onClick={() => void resolve("theirs")}>
              Take theirs
            </Button>
          </>
        }
      >
        <strong className="font-semibold">Not saved:</strong> this file was changed elsewhere since you opened it.
        Nothing is overwritten until you choose.
      </Notice>
    ) : (
      <Notice
        tone="warn"
        className="rounded-none border-x-0 border-t-0"
        actions={
          <>
            <Button size="sm" onClick={() => void resolve("mine")}>
              Save it again
            </Button>
            <Button size="sm" onClick={() => desk.files.close(file)}>
              Close without saving
            </Button>
          </>
        }
      >
        <strong className="font-semibold">Not saved:</strong> this file was deleted elsewhere. Your version is still
        here.
      </Notice>
    );
  }
  if (state.is === "failed") {
    return (
      <Notice
        tone="danger"
        className="rounded-none border-x-0 border-t-0"
        actions={
          <Button size="sm" onClick={() => void save(desk, file)}>
            Try again
          </Button>
        }
      >
        <strong className="font-semibold">Not saved:</strong> {state.reason}
      </Notice>
    );
  }
  if (removed) {
    return (
      <Notice
        tone="warn"
        className="rounded-none border-x-0 border-t-0"
        actions={
          <>
            <Button size="sm" onClick={() => void save(desk, file)}>
              Save it again
            </Button>
            <Button size="sm" onClick={() => desk.files.close(file)}>
              Close
            </Button>
          </>
        }
      >
        This file was deleted elsewhere. What you see is its last version.
      </Notice>
    );
  }
  if (elsewhere) {
    return (
      <Notice
        tone="warn"
        className="rounded-none border-x-0 border-t-0"
        actions={
          <>
            <Button size="sm" onClick={compare}>
              Compare
            </Button>
            <Button size="sm" onClick={() => void resolve("theirs")}>
              Take theirs
            </Button>
          </>
        }
      >
        This file was changed elsewhere while you edit it. You choose when you save.
      </Notice>
    );
  }
  return null;
}
