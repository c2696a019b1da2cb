import { Download, FilePlus2, FolderPlus, Pencil, Play, Trash2, Upload } from "lucide-react";
import { fileUrl } from "@/api/client";
import type { MenuEntries } from "@/components/ui/menu";
import { toast } from "@/components/ui/toast";
import { run } from "../workspace/actions";
import type { Desk } from "../workspace/desk";
import { baseName, extension, join, parentOf } from "./path";
import type { TreeNode } from "./tree";
import { offer } from "./upload";

/** Lets the browser save a file: the server sends it as an attachment. */
export function download(desk: Desk, path: string): void {
  const link = document.createElement("a");
  link.href = fileUrl(desk.id, path);
  link.download = baseName(path);
  link.click();
}

/** Opens the browser's choice of files for an upload. */
export function chooseFiles(chosen: (files: File[]) => void): void {
  const input = document.createElement("input");
  input.type = "file";
  input.multiple = true;
  input.onchange = () => chosen([...(input.files ?? [])]);
  input.click();
}

/** What can be done with a node of the tree, or with the workspace when there is none. */
export function entriesFor(desk: Desk, node: TreeNode | undefined): MenuEntries {
  const folder = !node ? "" : node.kind === "folder" ? node.path : parentOf(node.path);
  const make: MenuEntries = [
    { label: "New file…", icon: <FilePlus2 size={14} />, onSelect: () => desk.asking.set({ ask: "file", folder }) },
    {
      label: "New folder…",
      icon: <FolderPlus size={14} />,
      onSelect: () => desk.asking.set({ ask: "folder", folder }),
    },
    { label: "Upload…", icon: <Upload size={14} />, onSelect: () => uploadInto(desk, folder) },
  ];
  if (!node) return make;
  const file = node.kind === "file";
  return [
    ...(file && extension(node.path) === "py" && node.item
      ? [{ label: "Run", icon: <Play size={14} />, onSelect: () => void run(desk, node.path) }, null]
      : []),
    ...make,
    null,
    {
      label: "Copy path",
      onSelect: () => {
        navigator.clipboard?.writeText(node.path).then(
          () => toast.info("Path copied"),
          () => toast.error("The browser does not allow copying here"),
        );
      },
    },
    {
      label: "Download",
      icon: <Download size={14} />,
      disabled: !file || !node.item,
      onSelect: () => download(desk, node.path),
    },
    {
      label: "Rename…",
      icon: <Pencil size={14} />,
      keys: "F2",
      disabled: !node.item,
      onSelect: () => desk.asking.set({ ask: "rename", path: node.path }),
    },
    {
      label: "Delete…",
      icon: <Trash2 size={14} />,
      keys: "Delete",
      danger: true,
      disabled: !node.item,
      onSelect: () => desk.asking.set({ ask: "delete", path: node.path, folder: node.kind === "folder" }),
    },
  ];
}

/** Lets the user choose files and stores them in a folder. */
export function uploadInto(desk: Desk, folder: string): void {
  chooseFiles((files) =>
    offer(
      desk,
      files.map((file) => ({ path: join(folder, file.name), file })),
    ),
  );
}
