import { Ellipsis, Pencil, Power, Trash2 } from "lucide-react";
import Link from "next/link";
import type { Workspace } from "@/api/types";
import { IconButton } from "@/components/ui/icon-button";
import { Menu } from "@/components/ui/menu";
import { cn } from "@/lib/cn";
import { formatAgo } from "@/lib/time";

const states = {
  starting: { text: "Starting", dot: "bg-warn animate-pulse", ink: "text-warn" },
  running: { text: "Running", dot: "bg-accent", ink: "text-accent-ink" },
  ending: { text: "Ending", dot: "bg-faint animate-pulse", ink: "text-muted" },
} as const;

export function WorkspaceRow({
  workspace,
  onRename,
  onEnd,
  onDelete,
}: {
  workspace: Workspace;
  onRename: () => void;
  onEnd: () => void;
  onDelete: () => void;
}) {
  const state = workspace.state ? states[workspace.state] : undefined;
  return (
    <li className="group relative flex h-16 items-center gap-3 px-4 transition-colors hover:bg-canvas">
      <div className="min-w-0 flex-1">
        {/* The whole row is the link's. Without prefetching: all workspaces have the same page. */}
        <Link
          href={`/w/${workspace.id}`}
          prefetch={false}
          className="block truncate font-medium after:absolute after:inset-0 focus-visible:outline-none focus-visible:after:outline-2 focus-visible:after:outline-accent focus-visible:after:-outline-offset-2"
        >
          {workspace.name}
        </Link>
        <div className="truncate text-muted text-sm">
          Changed{" "}
          <time dateTime={workspace.changedAt} title={new Date(workspace.changedAt).toLocaleString()}>
            {formatAgo(workspace.changedAt)}
          </time>
        </div>
      </div>
      {state ? (
        <span className={cn("flex items-center gap-1.5 font-medium text-xs", state.ink)}>
          <span className={cn("size-2 rounded-full", state.dot)} aria-hidden="true" />
          {state.text}
        </span>
      ) : null}
      <Menu
        label={`More for ${workspace.name}`}
        entries={[
          { label: "Rename…", icon: <Pencil size={14} />, onSelect: onRename },
          ...(workspace.state ? [{ label: "End session", icon: <Power size={14} />, onSelect: onEnd }] : []),
          { label: "Delete…", icon: <Trash2 size={14} />, danger: true, onSelect: onDelete },
        ]}
        trigger={(props) => (
          <IconButton large label={`More for ${workspace.name}`} className="relative z-10" {...props}>
            <Ellipsis size={16} aria-hidden="true" />
          </IconButton>
        )}
      />
    </li>
  );
}
