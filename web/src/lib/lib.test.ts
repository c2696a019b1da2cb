import { afterEach, describe, expect, it, vi } from "vitest";
import { formatBytes } from "./bytes";
import { fuzzyMatch } from "./fuzzy";
import { shortcut } from "./platform";
import { isStaleBuild, reloadOnceForStaleBuild } from "./stale-build";
import { recallList, remember } from "./storage";
import { formatAgo } from "./time";

describe("fuzzyMatch", () => {
  const best = (query: string, ...texts: string[]) =>
    texts
      .map((text) => ({ text, match: fuzzyMatch(query, text) }))
      .filter((m) => m.match)
      .sort((a, b) => (b.match?.score ?? 0) - (a.match?.score ?? 0))
      .map((m) => m.text);

  it("finds letters in order only", () => {
    expect(fuzzyMatch("mpy", "main.py")).not.toBeNull();
    expect(fuzzyMatch("ypm", "main.py")).toBeNull();
  });

  it("puts a hit in the name before one in the folders", () => {
    expect(best("main", "main/other.txt", "src/main.py")[0]).toBe("src/main.py");
  });

  it("puts letters that follow one another before scattered ones", () => {
    expect(best("data", "d_a_t_a.py", "data.py")[0]).toBe("data.py");
  });

  it("puts beginnings of words before their middles", () => {
    expect(best("nt", "Mount it", "New terminal")[0]).toBe("New terminal");
  });

  it("takes everything for an empty query, and no notice of case and spaces", () => {
    expect(fuzzyMatch("", "x")).not.toBeNull();
    expect(fuzzyMatch("NEW file", "New file…")).not.toBeNull();
  });
});

describe("formatBytes", () => {
  it.each([
    [0, "0 bytes"],
    [1, "1 byte"],
    [1023, "1023 bytes"],
    [1024, "1 KiB"],
    [1536, "1.5 KiB"],
    [5 << 20, "5 MiB"],
    [123.4 * (1 << 20), "123 MiB"],
  ])("%d is %s", (n, want) => expect(formatBytes(n)).toBe(want));
});

describe("formatAgo", () => {
  const now = Date.parse("2026-06-15T12:00:00Z");
  it.each([
    ["2026-06-15T12:00:30Z", "just now"], // a clock that is ahead
    ["2026-06-15T11:59:40Z", "just now"],
    ["2026-06-15T11:55:00Z", "5 minutes ago"],
    ["2026-06-15T09:00:00Z", "3 hours ago"],
    ["2026-06-14T11:00:00Z", "yesterday"],
    ["2026-01-02T12:00:00Z", "Jan 2, 2026"],
    ["nonsense", ""],
  ])("%s is %s", (iso, want) => expect(formatAgo(iso, now)).toBe(want));
});

describe("shortcut", () => {
  it("speaks the platform's language", () => {
    expect(shortcut("Mod+Shift+P", false)).toBe("Ctrl+Shift+P");
    expect(shortcut("Mod+Shift+P", true)).toBe("⇧⌘P");
  });
});

describe("a stale build", () => {
  afterEach(() => window.sessionStorage.clear());

  it("is known by the bundler's errors", () => {
    const chunk = Object.assign(new Error("x"), { name: "ChunkLoadError" });
    expect(
      [
        chunk,
        new Error("Loading chunk 5 failed"),
        new Error("Loading CSS chunk 5 failed"),
        new Error("other"),
        "x",
      ].map(isStaleBuild),
    ).toEqual([true, true, true, false, false]);
  });

  it("reloads the page, but not again and again", () => {
    const reload = vi.fn();
    const error = new Error("Loading chunk 5 failed");
    expect(reloadOnceForStaleBuild(error, reload)).toBe(true);
    expect(reloadOnceForStaleBuild(error, reload)).toBe(false);
    expect(reload).toHaveBeenCalledTimes(1);
  });
});

describe("storage", () => {
  afterEach(() => window.localStorage.clear());

  it("takes nothing but lists of strings", () => {
    remember("k", '["a",1,"b"]');
    expect(recallList("k")).toEqual(["a", "b"]);
    remember("k", "{broken");
    expect(recallList("k")).toEqual([]);
  });

  it("survives a browser that forbids it", () => {
    const forbidden = () => {
      throw new Error("denied");
    };
    expect(() => remember("k", "v", forbidden)).not.toThrow();
  });
});
