import { call, encodePath, send } from "../client";
import type { Item, Tree } from "../types";

export const fetchTree = (workspace: string, signal?: AbortSignal) =>
  call<Tree>("GET", `/workspaces/${workspace}/tree`, { signal });

/** A file's content at one version. */
export interface Content {
  bytes: Uint8Array<ArrayBuffer>;
  version: number;
  executable: boolean;
}

export async function readFile(workspace: string, path: string, signal?: AbortSignal): Promise<Content> {
  const response = await send("GET", `/workspaces/${workspace}/files/${encodePath(path)}`, {
    headers: { Accept: "*/*" },
    signal,
  });
  return {
    bytes: new Uint8Array(await response.arrayBuffer()),
    version: versionOf(response.headers.get("ETag")),
    executable: response.headers.get("X-Vivarium-Executable") === "1",
  };
}

/** The version that an ETag names; 0 when it names none. */
export function versionOf(etag: string | null): number {
  const match = /^(?:W\/)?"(\d+)"$/.exec(etag ?? "");
  return match ? Number(match[1]) : 0;
}

/** What must hold for a write to happen: the version that it replaces, that nothing is there, or nothing at all. */
export type Expect = { version: number } | "absent" | "any";

export function writeFile(workspace: string, path: string, body: BodyInit, expect: Expect): Promise<Item> {
  const headers: Record<string, string> =
    expect === "absent" ? { "If-None-Match": "*" } : { "If-Match": expect === "any" ? "*" : `"${expect.version}"` };
  return call<Item>("PUT", `/workspaces/${workspace}/files/${encodePath(path)}`, { body, headers });
}

export const removeItem = (workspace: string, path: string) =>
  call<void>("DELETE", `/workspaces/${workspace}/files/${encodePath(path)}`);
export const makeFolder = (workspace: string, path: string) =>
  call<Item>("POST", `/workspaces/${workspace}/folders`, { json: { path } });
export const moveItem = (workspace: string, from: string, to: string) =>
  call<Item>("POST", `/workspaces/${workspace}/move`, { json: { from, to } });
