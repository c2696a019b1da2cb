import type { Item, Tree } from "@/api/types";
import { isBelow, moved } from "./path";

/** A change of the tree, as the events socket tells it. */
export type TreeChange =
  | { type: "item"; item: Item }
  | { type: "removed"; path: string }
  | { type: "moved"; from: string; to: string };

/**
 * The tree after some changes. An item that is older than the one already there is left out: an answer and an event about the
 * same change may arrive in either order.
 */
export function patchTree(tree: Tree, changes: readonly TreeChange[]): Tree {
  if (changes.length === 0) return tree;
  let items = new Map(tree.items.map((item) => [item.path, item]));
  for (const change of changes) {
    switch (change.type) {
      case "item": {
        const known = items.get(change.item.path);
        if (!known || known.version <= change.item.version) items.set(change.item.path, change.item);
        break;
      }
      case "removed":
        for (const path of [...items.keys()]) {
          if (path === change.path || isBelow(path, change.path)) items.delete(path);
        }
        break;
      case "moved": {
        const next = new Map<string, Item>();
        for (const [path, item] of items) {
          const to = moved(path, change.from, change.to);
          if (to === undefined) {
            if (!next.has(path)) next.set(path, item);
          } else next.set(to, { ...item, path: to });
        }
        items = next;
        break;
      }
    }
  }
  return { ...tree, items: [...items.values()].sort((a, b) => (a.path < b.path ? -1 : 1)) };
}

/**
 * Remembers the changes that arrive while the tree is fetched, and applies them to the answer: what was read before a change
 * may arrive after it, and must not undo it.
 */
export class TreeLog {
  readonly #fetches = new Set<TreeChange[]>();

  note(changes: readonly TreeChange[]): void {
    for (const since of this.#fetches) since.push(...changes);
  }

  async fetch(read: () => Promise<Tree>): Promise<Tree> {
    const since: TreeChange[] = [];
    this.#fetches.add(since);
    try {
      return patchTree(await read(), since);
    } finally {
      this.#fetches.delete(since);
    }
  }
}
