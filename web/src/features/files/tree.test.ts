import { describe, expect, it } from "vitest";
import type { Tree } from "@/api/types";
import { item } from "@/test/entities";
import { freePath, isIgnored, moved, pathProblem } from "./path";
import { buildTree, firstFile, type Nodes, rootId } from "./tree";
import { patchTree, TreeLog } from "./tree-cache";

const outline = (nodes: Nodes, id = rootId): unknown[] =>
  (nodes.get(id)?.children ?? []).map((path) => {
    const node = nodes.get(path);
    return node?.kind === "folder" ? [node.name, outline(nodes, path)] : node?.name;
  });

describe("buildTree", () => {
  it("puts folders first and sorts numbers as people do", () => {
    const nodes = buildTree([
      item("b.py"),
      item("A.py"),
      item("run10.csv"),
      item("run2.csv"),
      item("src", { kind: "folder" }),
      item("src/z.py"),
      item("src/deep", { kind: "folder" }),
    ]);
    expect(outline(nodes)).toEqual([["src", [["deep", []], "z.py"]], "A.py", "b.py", "run2.csv", "run10.csv"]);
  });

  it("makes up folders that are known by their content alone", () => {
    expect(outline(buildTree([item("a/b/c.txt")]))).toEqual([["a", [["b", ["c.txt"]]]]]);
  });

  it("shows what is in the sandbox only, and marks what is not stored in its newest state", () => {
    const nodes = buildTree(
      [item("data.bin")],
      [
        { path: "data.bin", reason: "too large", size: 99 },
        { path: "out/huge.bin", reason: "too large", size: 99 },
      ],
    );
    expect(nodes.get("data.bin")?.item).toBeDefined();
    expect(nodes.get("data.bin")?.notSaved?.reason).toBe("too large");
    expect(nodes.get("out/huge.bin")?.item).toBeUndefined();
    expect(outline(nodes)).toEqual([["out", ["huge.bin"]], "data.bin"]);
  });

  it("builds 10,000 items in well under a second", () => {
    const items = Array.from({ length: 10_000 }, (_, i) => item(`d${i % 100}/f${i}.txt`));
    const before = performance.now();
    expect(buildTree(items).size).toBe(10_101);
    expect(performance.now() - before).toBeLessThan(1_000);
  });
});

describe("firstFile", () => {
  it.each([
    [["README.md", "analysis.py", "main.py"], "analysis.py"],
    [["README.md", "zzz.py"], "README.md"],
    [["b.csv", "a.py"], "a.py"],
    [["lib/a.py", "b.csv"], "b.csv"],
    [[], undefined],
  ])("of %j is %s", (paths, want) => expect(firstFile(paths.map((p) => item(p)))).toBe(want));
});

describe("patchTree", () => {
  const tree = (...paths: string[]): Tree => ({ items: paths.map((p, i) => item(p, { version: i + 1 })) });
  const paths = (t: Tree) => t.items.map((i) => i.path);

  it("adds an item in its place", () => {
    expect(paths(patchTree(tree("a", "c"), [{ type: "item", item: item("b", { version: 9 }) }]))).toEqual([
      "a",
      "b",
      "c",
    ]);
  });

  it("keeps the newer item when an older one arrives late", () => {
    const newer = patchTree(tree("a"), [{ type: "item", item: item("a", { version: 9, size: 9 }) }]);
    const after = patchTree(newer, [{ type: "item", item: item("a", { version: 5, size: 5 }) }]);
    expect(after.items[0]?.version).toBe(9);
  });

  it("removes a folder with everything below it, and nothing that only begins alike", () => {
    expect(paths(patchTree(tree("a", "a/b", "a/b/c", "ab"), [{ type: "removed", path: "a" }]))).toEqual(["ab"]);
  });

  it("moves a folder with everything below it", () => {
    expect(paths(patchTree(tree("a", "a/b", "z"), [{ type: "moved", from: "a", to: "x/y" }]))).toEqual([
      "x/y",
      "x/y/b",
      "z",
    ]);
  });

  it("a move onto a path replaces what was there", () => {
    const after = patchTree(tree("a", "b"), [{ type: "moved", from: "b", to: "a" }]);
    expect(after.items.map((i) => [i.path, i.version])).toEqual([["a", 2]]);
  });

  it("does not change the tree that it was given", () => {
    const before = tree("a");
    patchTree(before, [{ type: "removed", path: "a" }]);
    expect(paths(before)).toEqual(["a"]);
  });
});

describe("TreeLog", () => {
  it("an answer that was read before a change does not undo it", async () => {
    const log = new TreeLog();
    let answer: (tree: Tree) => void = () => {};
    const fetched = log.fetch(() => new Promise((resolve) => (answer = resolve)));
    log.note([
      { type: "removed", path: "old" },
      { type: "item", item: item("new", { version: 7 }) },
    ]);
    answer({ items: [item("old")] });
    expect((await fetched).items.map((i) => i.path)).toEqual(["new"]);
  });

  it("forgets what happened before the fetch", async () => {
    const log = new TreeLog();
    log.note([{ type: "removed", path: "a" }]);
    expect((await log.fetch(async () => ({ items: [item("a")] }))).items).toHaveLength(1);
  });
});

describe("pathProblem", () => {
  it.each(["a.py", "src/a.py", "übung/naïve file.txt", ".env", "a b", "日本.csv", "x".repeat(255)])(
    "accepts %j",
    (path) => expect(pathProblem(path)).toBeUndefined(),
  );
  it.each([
    ["", /name/],
    ["/etc", /slash/],
    ["a//b", /empty/],
    ["a/", /empty/],
    ["a/../b", /not names/],
    [".", /not names/],
    ["a\nb", /Control/],
    ["a\u202eb", /direction/],
    [" ", /visible/],
    ["x".repeat(256), /255 bytes/],
    ["ä".repeat(128), /255 bytes/],
    [Array(33).fill("d").join("/"), /32 deep/],
    [Array(6).fill("y".repeat(200)).join("/"), /1024 bytes/],
  ])("refuses %j", (path, want) => expect(pathProblem(path)).toMatch(want));
});

describe("paths", () => {
  it("moved knows the item, what is below it, and nothing else", () => {
    expect(moved("a", "a", "b")).toBe("b");
    expect(moved("a/x", "a", "b/c")).toBe("b/c/x");
    expect(moved("ab", "a", "b")).toBeUndefined();
  });

  it("freePath counts up before the extension", () => {
    const taken = new Set(["d/a.py", "d/a 2.py", "b"]);
    expect(freePath("d/a.py", (p) => taken.has(p))).toBe("d/a 3.py");
    expect(freePath("b", (p) => taken.has(p))).toBe("b 2");
    expect(freePath("c", (p) => taken.has(p))).toBe("c");
  });

  it("isIgnored looks at whole names", () => {
    expect(isIgnored("a/__pycache__/b.pyc")).toBe(true);
    expect(isIgnored("my__pycache__")).toBe(false);
  });
});
