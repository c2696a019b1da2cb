import type { Item, NotSaved } from "@/api/types";
import { baseName, parentOf } from "./path";

/** The id of the node that holds everything; no path can be it. */
export const rootId = "/";

/** One row of the explorer. */
export interface TreeNode {
  path: string;
  name: string;
  kind: Item["kind"];
  /** Absent for what is in the sandbox only, and for folders that are known by their content alone. */
  item: Item | undefined;
  /** Set for what the workspace does not store, or not in its newest state. */
  notSaved: NotSaved | undefined;
  children: string[];
}

export type Nodes = ReadonlyMap<string, TreeNode>;

const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

/** Builds the explorer's nodes by path: folders first, then by name, as people sort ("a2" before "a10"). */
export function buildTree(items: readonly Item[], notSaved: readonly NotSaved[] = []): Nodes {
  const nodes = new Map<string, TreeNode>([[rootId, node(rootId, "folder")]]);

  const ensure = (path: string, kind: Item["kind"]): TreeNode => {
    const known = nodes.get(path);
    if (known) return known;
    const made = node(path, kind);
    nodes.set(path, made);
    const parent = parentOf(path);
    (parent === "" ? nodes.get(rootId) : ensure(parent, "folder"))?.children.push(path);
    return made;
  };

  for (const item of items) {
    const made = ensure(item.path, item.kind);
    made.item = item;
    made.kind = item.kind;
  }
  for (const entry of notSaved) {
    if (entry.path !== "") ensure(entry.path, "file").notSaved = entry;
  }
  for (const parent of nodes.values()) {
    parent.children.sort((a, b) => compare(nodes.get(a), nodes.get(b)));
  }
  return nodes;
}

function node(path: string, kind: Item["kind"]): TreeNode {
  return { path, name: baseName(path), kind, item: undefined, notSaved: undefined, children: [] };
}

function compare(a: TreeNode | undefined, b: TreeNode | undefined): number {
  if (!a || !b) return 0;
  if ((a.kind === "folder") !== (b.kind === "folder")) return a.kind === "folder" ? -1 : 1;
  return collator.compare(a.name, b.name) || (a.name < b.name ? -1 : 1);
}

const first = ["analysis.py", "main.py", "app.py", "README.md"];

/** The file to show when a workspace is opened for the first time. */
export function firstFile(items: readonly Item[]): string | undefined {
  const files = new Set(items.filter((i) => i.kind === "file").map((i) => i.path));
  const known = first.find((name) => files.has(name));
  if (known) return known;
  const top = [...files].filter((path) => !path.includes("/")).sort();
  return top.find((path) => path.endsWith(".py")) ?? top.find((path) => /\.(md|txt)$/i.test(path)) ?? top[0];
}
