import { Signal } from "@/lib/signal";
import { errorOf, networkError } from "./errors";

const root = "/api/v1";

/** True once the server has refused a request because nobody is signed in (any more). */
export const signedOut = new Signal(false);

export interface RequestOptions {
  /** Sent as JSON. */
  json?: unknown;
  /** Sent as it is. */
  body?: BodyInit;
  headers?: Record<string, string>;
  signal?: AbortSignal | undefined;
}

/** Sends a request and returns the answer if it is a success; throws an ApiError otherwise. */
export async function send(method: string, path: string, options: RequestOptions = {}): Promise<Response> {
  const headers: Record<string, string> = { Accept: "application/json", ...options.headers };
  const init: RequestInit = { method, headers, credentials: "same-origin", cache: "no-store" };
  if (options.json !== undefined) {
    headers["Content-Type"] = "application/json";
    init.body = JSON.stringify(options.json);
  } else if (options.body !== undefined) {
    headers["Content-Type"] ??= "application/octet-stream";
    init.body = options.body;
  }
  if (options.signal) init.signal = options.signal;
  let response: Response;
  try {
    response = await fetch(root + path, init);
  } catch (cause) {
    if (options.signal?.aborted) throw cause;
    throw networkError();
  }
  if (!response.ok) {
    // A wrong password is a 401 too, but says nothing about who is signed in.
    if (response.status === 401 && !path.startsWith("/auth/")) signedOut.set(true);
    throw await errorOf(response);
  }
  return response;
}

/** Sends a request and returns the JSON of the answer; `undefined` where there is none. */
export async function call<T>(method: string, path: string, options?: RequestOptions): Promise<T> {
  const response = await send(method, path, options);
  if (response.status === 204) return undefined as T;
  try {
    return (await response.json()) as T;
  } catch {
    throw networkError();
  }
}

/** A workspace path as part of an URL: each name escaped, the slashes kept. */
export function encodePath(path: string): string {
  return path.split("/").map(encodeURIComponent).join("/");
}

/** The address of a socket below the API, on the page's own host. */
export function socketUrl(path: string, location: Pick<Location, "protocol" | "host"> = window.location): string {
  return `${location.protocol === "https:" ? "wss:" : "ws:"}//${location.host}${root}${path}`;
}

/** The address of a file's content, for a download. */
export function fileUrl(workspace: string, path: string): string {
  return `${root}/workspaces/${workspace}/files/${encodePath(path)}`;
}
