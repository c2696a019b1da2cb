import { queryOptions } from "@tanstack/react-query";
import { call } from "../client";
import { keys } from "../keys";
import type { Session, SessionView, Terminal } from "../types";

export const sessionQuery = (workspace: string) =>
  queryOptions({
    queryKey: keys.session(workspace),
    queryFn: ({ signal }) => call<SessionView>("GET", `/workspaces/${workspace}/session`, { signal }),
    // The events socket keeps it up to date.
    staleTime: Number.POSITIVE_INFINITY,
  });

/** What is known of a session before anything is. */
export const emptyView: SessionView = { terminals: [], notSaved: [], conflicts: [], notices: [] };

export interface Size {
  cols: number;
  rows: number;
}

export const openTerminal = (workspace: string, size: Size) =>
  call<Terminal>("POST", `/workspaces/${workspace}/terminals`, { json: size });
export const closeTerminal = (workspace: string, id: string) =>
  call<void>("DELETE", `/workspaces/${workspace}/terminals/${id}`);
export const runFile = (workspace: string, path: string, size: Size) =>
  call<Terminal>("POST", `/workspaces/${workspace}/run`, { json: { path, ...size } });
export const endSession = (workspace: string) => call<void>("DELETE", `/workspaces/${workspace}/session`);
export const restartSession = (workspace: string) => call<Session>("POST", `/workspaces/${workspace}/session/restart`);
