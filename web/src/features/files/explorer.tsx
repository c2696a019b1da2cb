"use client";

import { dragAndDropFeature, hotkeysCoreFeature, selectionFeature, syncDataLoaderFeature } from "@headless-tree/core";
import { useTree as useHeadlessTree } from "@headless-tree/react";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useMemo, useRef, useState } from "react";
import { messageOf } from "@/api/errors";
import { Button } from "@/components/ui/button";
import { Empty } from "@/components/ui/empty";
import { ContextMenu, type ContextMenuState } from "@/components/ui/menu";
import { toast } from "@/components/ui/toast";
import { cn } from "@/lib/cn";
import { useSignal } from "@/lib/signal";
import { useDesk, useSession, useTree } from "../workspace/use-desk";
import { ExplorerConflicts } from "./explorer-conflicts";
import { entriesFor } from "./explorer-menu";
import { ExplorerRow, rowHeight } from "./explorer-row";
import { ExplorerToolbar } from "./explorer-toolbar";
import { move } from "./file-dialogs";
import { baseName, isBelow, join, parentOf } from "./path";
import { buildTree, type Nodes, rootId, type TreeNode } from "./tree";
import { droppedFiles, offer } from "./upload";

const indent = 14;
const missing: TreeNode = { path: "", name: "", kind: "file", item: undefined, notSaved: undefined, children: [] };

/** The explorer: the workspace's files as a tree. */
export function Explorer() {
  const tree = useTree();
  const session = useSession();
  const items = tree.data?.items;
  const notSaved = session.data?.notSaved;
  const nodes = useMemo(() => (items ? buildTree(items, notSaved) : undefined), [items, notSaved]);

  return (
    <section aria-label="Explorer" className="flex h-full min-h-0 flex-col bg-canvas">
      <ExplorerToolbar />
      <div className="min-h-0 flex-1">
        {nodes ? (
          <FileTree nodes={nodes} />
        ) : tree.isError ? (
          <Empty
            className="h-full"
            title="No files to show"
            actions={<Button onClick={() => void tree.refetch()}>Try again</Button>}
          >
            {messageOf(tree.error)}
          </Empty>
        ) : (
          <Loading />
        )}
      </div>
      <ExplorerConflicts />
    </section>
  );
}

function FileTree({ nodes }: { nodes: Nodes }) {
  const desk = useDesk();
  const scroller = useRef<HTMLDivElement>(null);
  const latest = useRef(nodes);
  latest.current = nodes;
  const [expanded, setExpanded] = useState<string[]>([]);
  const [menu, setMenu] = useState<ContextMenuState & { node: TreeNode | undefined }>();
  const [over, setOver] = useState(false);
  const selected = useSignal(desk.selected);
  const { active } = useSignal(desk.files.tabs);

  const tree = useHeadlessTree<TreeNode>({
    rootItemId: rootId,
    indent,
    dataLoader: {
      getItem: (id) => latest.current.get(id) ?? missing,
      getChildren: (id) => latest.current.get(id)?.children ?? [],
    },
    getItemName: (item) => item.getItemData().name,
    isItemFolder: (item) => item.getItemData().kind === "folder",
    state: { expandedItems: expanded },
    setExpandedItems: setExpanded,
    onPrimaryAction: (item) => {
      const node = item.getItemData();
      desk.selected.set(node.path);
      if (node.kind === "folder") return;
      if (node.item) desk.openFile(node.path);
      else toast.info(`${node.name} is in the sandbox only`, { description: node.notSaved?.reason });
    },
    scrollToItem: (item) => {
      const at = tree.getItems().findIndex((i) => i.getId() === item.getId());
      if (at >= 0) virtualizer.scrollToIndex(at);
    },
    canReorder: false,
    canDrag: (dragged) => dragged.every((item) => item.getItemData().item !== undefined),
    canDrop: (dragged, target) => {
      const folder = folderOf(target.item.getItemData());
      return dragged.every(
        ({ getId }) => getId() !== folder && !isBelow(folder, getId()) && parentOf(getId()) !== folder,
      );
    },
    onDrop: async (dragged, target) => {
      const folder = folderOf(target.item.getItemData());
      for (const item of dragged) {
        const from = item.getId();
        await move(desk, from, join(folder, baseName(from))).catch((error: unknown) =>
          toast.error(`${baseName(from)} was not moved`, { description: messageOf(error) }),
        );
      }
    },
    canDragForeignDragObjectOver: (data) => data.types.includes("Files"),
    canDropForeignDragObject: (data) => data.types.includes("Files"),
    onDropForeignDragObject: async (data, target) => {
      offer(desk, await droppedFiles(data, folderOf(target.item.getItemData())));
    },
    features: [syncDataLoaderFeature, selectionFeature, hotkeysCoreFeature, dragAndDropFeature],
  });

  // biome-ignore lint/correctness/useExhaustiveDependencies: other nodes are other rows
  useEffect(() => {
    tree.rebuildTree();
  }, [tree, nodes]);

  // What is opened or made is shown where it is: its folders open up.
  const shown = active?.path;
  useEffect(() => {
    const path = selected ?? shown;
    if (!path) return;
    const parents: string[] = [];
    for (let p = parentOf(path); p !== ""; p = parentOf(p)) parents.push(p);
    setExpanded((known) => (parents.every((p) => known.includes(p)) ? known : [...new Set([...known, ...parents])]));
  }, [selected, shown]);

  useEffect(() => {
    if (shown) desk.selected.set(shown);
  }, [desk, shown]);

  useEffect(() => {
    desk.focusFiles = () => {
      tree.getFocusedItem()?.setFocused();
      tree.updateDomFocus();
    };
    return () => {
      desk.focusFiles = () => {};
    };
  }, [desk, tree]);

  const rows = tree.getItems();
  const virtualizer = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => rowHeight,
    overscan: 12,
  });

  const nodeAt = (target: EventTarget): TreeNode | undefined => {
    const row = (target as Element).closest<HTMLElement>("[data-path]");
    return row?.dataset.path === undefined ? undefined : nodes.get(row.dataset.path);
  };

  const onKeyDown = (event: React.KeyboardEvent) => {
    const node = nodeAt(event.target);
    if (!node?.item || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "F2") desk.asking.set({ ask: "rename", path: node.path });
    else if (event.key === "Delete")
      desk.asking.set({ ask: "delete", path: node.path, folder: node.kind === "folder" });
    else return;
    event.preventDefault();
  };

  const container = tree.getContainerProps("Files");
  return (
    <>
      {/* biome-ignore lint/a11y/noStaticElementInteractions: what it hears comes from the tree's own items */}
      <div
        ref={scroller}
        className={cn("h-full overflow-y-auto overflow-x-hidden py-1", over && "bg-accent-soft")}
        onContextMenu={(e) => {
          e.preventDefault();
          const node = nodeAt(e.target);
          if (node) desk.selected.set(node.path);
          // The menu key comes without a place of its own.
          const row = (e.target as Element).closest("[data-path]")?.getBoundingClientRect();
          const { x, y } =
            e.clientX === 0 && e.clientY === 0 && row
              ? { x: row.left + 24, y: row.bottom }
              : { x: e.clientX, y: e.clientY };
          setMenu({ x, y, from: (e.target as Element).closest<HTMLElement>("[data-path]"), node });
        }}
        onKeyDown={onKeyDown}
        onDragOver={(e) => {
          if (!e.dataTransfer.types.includes("Files")) return;
          e.preventDefault();
          setOver(nodeAt(e.target) === undefined);
        }}
        onDragLeave={() => setOver(false)}
        onDrop={(e) => {
          setOver(false);
          if (e.defaultPrevented || !e.dataTransfer.types.includes("Files")) return;
          e.preventDefault();
          if (nodeAt(e.target) === undefined) void droppedFiles(e.dataTransfer, "").then((files) => offer(desk, files));
        }}
      >
        {rows.length === 0 ? (
          <p className="px-4 py-3 text-muted text-sm">
            No files yet. Make one with the buttons above, or drop some here.
          </p>
        ) : null}
        <div {...container} style={{ height: virtualizer.getTotalSize(), position: "relative" }}>
          {virtualizer.getVirtualItems().map((virtual) => {
            const item = rows[virtual.index];
            if (!item) return null;
            const node = item.getItemData();
            return (
              <ExplorerRow
                key={item.getKey()}
                node={node}
                props={item.getProps()}
                level={item.getItemMeta().level}
                open={item.isExpanded()}
                current={shown === node.path}
                selected={selected === node.path}
                dropTarget={item.isDragTarget?.() ?? false}
                top={virtual.start}
                indent={indent}
              />
            );
          })}
        </div>
      </div>
      {menu ? (
        <ContextMenu
          at={menu}
          label={menu.node ? menu.node.name : "Files"}
          entries={entriesFor(desk, menu.node)}
          onClose={() => setMenu(undefined)}
        />
      ) : null}
    </>
  );
}

/** The folder that something dropped on a node goes to. */
function folderOf(node: TreeNode): string {
  if (node.path === rootId) return "";
  return node.kind === "folder" ? node.path : parentOf(node.path);
}

function Loading() {
  return (
    <div className="flex flex-col gap-2.5 px-4 py-3">
      <span className="sr-only" role="status">
        Loading files
      </span>
      {["w-24", "w-36", "w-28", "w-32", "w-20"].map((width) => (
        <div key={width} className={cn("skeleton h-3.5", width)} />
      ))}
    </div>
  );
}
