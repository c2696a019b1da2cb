import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { call } from "../client";
import { keys } from "../keys";
import type { Limits, Template, Workspace, WorkspaceList } from "../types";

export const workspacesQuery = () =>
  infiniteQueryOptions({
    queryKey: keys.workspaces,
    queryFn: ({ pageParam, signal }) =>
      call<WorkspaceList>("GET", `/workspaces?limit=50${pageParam ? `&after=${encodeURIComponent(pageParam)}` : ""}`, {
        signal,
      }),
    initialPageParam: "",
    getNextPageParam: (page) => page.next || undefined,
    // The state of sessions is not pushed to the list.
    refetchInterval: 15_000,
  });

export const workspaceQuery = (id: string) =>
  queryOptions({
    queryKey: keys.workspace(id),
    queryFn: ({ signal }) => call<Workspace>("GET", `/workspaces/${id}`, { signal }),
    staleTime: Number.POSITIVE_INFINITY,
  });

export const templatesQuery = () =>
  queryOptions({
    queryKey: keys.templates,
    queryFn: ({ signal }) => call<{ items: Template[] }>("GET", "/templates", { signal }),
    staleTime: 300_000,
  });

export const limitsQuery = () =>
  queryOptions({
    queryKey: keys.limits,
    queryFn: ({ signal }) => call<Limits>("GET", "/limits", { signal }),
    staleTime: Number.POSITIVE_INFINITY,
  });

export const createWorkspace = (name: string, template: string) =>
  call<Workspace>("POST", "/workspaces", { json: template === "" ? { name } : { name, template } });
export const renameWorkspace = (id: string, name: string) =>
  call<Workspace>("PATCH", `/workspaces/${id}`, { json: { name } });
export const deleteWorkspace = (id: string) => call<void>("DELETE", `/workspaces/${id}`);
