import {
  Braces,
  File,
  FileCode2,
  FileImage,
  FileSpreadsheet,
  FileTerminal,
  FileText,
  Folder,
  FolderOpen,
  Link2,
} from "lucide-react";
import type { Item } from "@/api/types";
import { imageType } from "../editor/content";
import { extension } from "./path";

const icons: Record<string, { Icon: typeof File; color: string }> = {
  py: { Icon: FileCode2, color: "text-accent" },
  ipynb: { Icon: FileCode2, color: "text-warn" },
  csv: { Icon: FileSpreadsheet, color: "text-accent-ink" },
  tsv: { Icon: FileSpreadsheet, color: "text-accent-ink" },
  xlsx: { Icon: FileSpreadsheet, color: "text-accent-ink" },
  parquet: { Icon: FileSpreadsheet, color: "text-accent-ink" },
  json: { Icon: Braces, color: "text-warn" },
  toml: { Icon: Braces, color: "text-muted" },
  yaml: { Icon: Braces, color: "text-muted" },
  yml: { Icon: Braces, color: "text-muted" },
  md: { Icon: FileText, color: "text-muted" },
  txt: { Icon: FileText, color: "text-muted" },
  sh: { Icon: FileTerminal, color: "text-muted" },
};

export function FileIcon({ path, kind, open }: { path: string; kind: Item["kind"]; open?: boolean }) {
  const { Icon, color } =
    kind === "folder"
      ? { Icon: open ? FolderOpen : Folder, color: "text-faint" }
      : kind === "link"
        ? { Icon: Link2, color: "text-faint" }
        : (icons[extension(path)] ??
          (imageType(path) ? { Icon: FileImage, color: "text-warn" } : { Icon: File, color: "text-faint" }));
  return <Icon size={15} strokeWidth={1.75} className={`shrink-0 ${color}`} aria-hidden="true" />;
}
