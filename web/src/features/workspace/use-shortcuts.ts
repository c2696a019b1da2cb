"use client";

import { useEffect } from "react";
import { isMac } from "@/lib/platform";
import { type Command, pressed } from "./commands";
import type { Desk } from "./desk";

/** Runs commands by their keys, before the editor or the browser sees them. */
export function useShortcuts(desk: Desk, commands: readonly Command[]): void {
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      if (event.isComposing) return;
      const command = commands.find((c) => c.keys && pressed(event, c.keys, isMac));
      if (!command) return;
      const target = event.target instanceof Element ? event.target : null;
      // In a terminal Ctrl+P, Ctrl+S and the like are the shell's; on a Mac the Command key never is.
      if (target?.closest(".xterm") && !command.inTerminal && !event.metaKey) return;
      // A dialog has its own keys.
      if (target?.closest("dialog")) return;
      event.preventDefault();
      event.stopPropagation();
      if (command.enabled?.(desk) ?? true) command.run(desk);
    };
    window.addEventListener("keydown", onKeyDown, { capture: true });
    return () => window.removeEventListener("keydown", onKeyDown, { capture: true });
  }, [desk, commands]);
}
