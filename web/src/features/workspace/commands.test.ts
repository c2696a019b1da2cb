import { describe, expect, it } from "vitest";
import { terminal } from "@/test/entities";
import { stoppable } from "./actions";
import { commandsOf, pressed } from "./commands";

const press = (key: string, more: Partial<KeyboardEvent> = {}) => ({
  key,
  code: "",
  ctrlKey: false,
  metaKey: false,
  shiftKey: false,
  altKey: false,
  ...more,
});

describe("pressed", () => {
  it("Mod is Ctrl, and Command on a Mac", () => {
    expect(pressed(press("s", { ctrlKey: true }), "Mod+S", false)).toBe(true);
    expect(pressed(press("s", { metaKey: true }), "Mod+S", true)).toBe(true);
    expect(pressed(press("s", { ctrlKey: true }), "Mod+S", true)).toBe(false);
  });

  it("takes exactly the keys that are named", () => {
    expect(pressed(press("P", { ctrlKey: true, shiftKey: true }), "Mod+P", false)).toBe(false);
    expect(pressed(press("P", { ctrlKey: true, shiftKey: true }), "Mod+Shift+P", false)).toBe(true);
    expect(pressed(press("s"), "Mod+S", false)).toBe(false);
  });

  it("takes the key left of 1 on every layout, and Alt's letters on a Mac", () => {
    expect(pressed(press("Dead", { code: "Backquote", ctrlKey: true }), "Ctrl+`", false)).toBe(true);
    expect(pressed(press("Ω", { code: "KeyZ", altKey: true }), "Alt+Z", true)).toBe(true);
  });
});

describe("commands", () => {
  it("no two have the same keys or the same name", () => {
    const all = commandsOf(() => {});
    const keys = all.flatMap((c) => (c.keys ? [c.keys] : []));
    expect(new Set(keys).size).toBe(keys.length);
    expect(new Set(all.map((c) => c.title)).size).toBe(all.length);
    expect(new Set(all.map((c) => c.id)).size).toBe(all.length);
  });
});

describe("stoppable", () => {
  const shell = terminal({ id: "s" });
  const done = terminal({ id: "d", kind: "run", exit: { code: 0, at: "2026-01-01T00:00:00Z" } });
  const first = terminal({ id: "r1", kind: "run" });
  const second = terminal({ id: "r2", kind: "run" });

  it("is the program in front, else the one started last; never a shell, never what has ended", () => {
    expect(stoppable([shell, done, first, second], "r1")?.id).toBe("r1");
    expect(stoppable([shell, done, first, second], "s")?.id).toBe("r2");
    expect(stoppable([shell, done], "d")).toBeUndefined();
  });
});
