"use client";

import { Ellipsis, FilePlus2, FolderPlus, Upload } from "lucide-react";
import { IconButton } from "@/components/ui/icon-button";
import { Menu } from "@/components/ui/menu";
import { useSignal } from "@/lib/signal";
import { useDesk, useTree } from "../workspace/use-desk";
import { entriesFor, uploadInto } from "./explorer-menu";
import { parentOf } from "./path";
import { buildTree } from "./tree";

export function ExplorerToolbar() {
  const desk = useDesk();
  const tree = useTree();
  const selected = useSignal(desk.selected);
  const item = tree.data?.items.find((i) => i.path === selected);
  const folder = !item ? "" : item.kind === "folder" ? item.path : parentOf(item.path);
  const node = item ? buildTree([item]).get(item.path) : undefined;
  const ready = tree.isSuccess;
  return (
    <div className="flex h-9 shrink-0 items-center gap-0.5 border-line border-b pr-1.5 pl-4">
      <h2 className="mr-auto font-semibold text-xs">Files</h2>
      <IconButton label="New file" disabled={!ready} onClick={() => desk.asking.set({ ask: "file", folder })}>
        <FilePlus2 size={15} aria-hidden="true" />
      </IconButton>
      <IconButton label="New folder" disabled={!ready} onClick={() => desk.asking.set({ ask: "folder", folder })}>
        <FolderPlus size={15} aria-hidden="true" />
      </IconButton>
      <IconButton label="Upload" disabled={!ready} onClick={() => uploadInto(desk, folder)}>
        <Upload size={15} aria-hidden="true" />
      </IconButton>
      <Menu
        header={item ? item.path : "Nothing is selected"}
        entries={entriesFor(desk, node)}
        label="More for the selected item"
        trigger={(props) => (
          <IconButton label="More for the selected item" disabled={!ready} {...props}>
            <Ellipsis size={15} aria-hidden="true" />
          </IconButton>
        )}
      />
    </div>
  );
}
