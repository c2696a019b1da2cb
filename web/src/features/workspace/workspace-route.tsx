"use client";

import { usePathname } from "next/navigation";
import { Redirect } from "@/components/redirect";
import { useMounted } from "@/lib/mounted";
import { Workspace } from "./workspace";
import { WorkspaceSkeleton } from "./workspace-skeleton";

/** The workspace that the address names. The exported page is the same for all of them. */
export function WorkspaceRoute() {
  const mounted = useMounted();
  const pathname = usePathname();
  if (!mounted) return <WorkspaceSkeleton />;
  const id = /^\/w\/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\/?$/i.exec(pathname)?.[1];
  return id ? <Workspace key={id} id={id.toLowerCase()} /> : <Redirect to="/workspaces" />;
}
