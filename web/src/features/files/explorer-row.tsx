import { ChevronRight, TriangleAlert } from "lucide-react";
import { cn } from "@/lib/cn";
import { FileIcon } from "./file-icon";
import type { TreeNode } from "./tree";

/** The height of a row, in pixels. */
export const rowHeight = 26;

interface ExplorerRowProps {
  node: TreeNode;
  /** What the tree needs on its element. */
  props: Record<string, unknown>;
  level: number;
  open: boolean;
  /** It is the file in front. */
  current: boolean;
  selected: boolean;
  dropTarget: boolean;
  top: number;
  indent: number;
}

export function ExplorerRow({
  node,
  props,
  level,
  open,
  current,
  selected,
  dropTarget,
  top,
  indent,
}: ExplorerRowProps) {
  const folder = node.kind === "folder";
  const reason = node.notSaved?.reason;
  return (
    <button
      type="button"
      {...props}
      aria-label={reason ? `${node.name} not saved: ${reason}` : node.name}
      title={reason ? `${node.path}\nNot saved: ${reason}` : node.path}
      data-path={node.path}
      style={{ position: "absolute", top, left: 0, right: 0, height: rowHeight, paddingLeft: 8 + level * indent }}
      className={cn(
        "flex w-full items-center gap-1.5 pr-2 text-left text-sm focus-visible:-outline-offset-2",
        current ? "bg-accent-soft font-medium text-accent-ink" : selected ? "bg-sunken" : "hover:bg-sunken",
        dropTarget && "bg-accent-soft outline-2 outline-accent -outline-offset-2",
        !node.item && !folder && "italic",
      )}
    >
      <ChevronRight
        size={14}
        aria-hidden="true"
        className={cn("shrink-0 text-faint transition-transform", folder ? open && "rotate-90" : "invisible")}
      />
      <FileIcon path={node.path} kind={node.kind} open={open} />
      <span className={cn("min-w-0 truncate", !node.item && !folder && "text-muted")}>{node.name}</span>
      {reason ? (
        <>
          {" "}
          <span className="ml-auto flex shrink-0 items-center gap-1 text-2xs text-warn not-italic">
            <TriangleAlert size={12} aria-hidden="true" />
            not saved
          </span>
        </>
      ) : null}
    </button>
  );
}
