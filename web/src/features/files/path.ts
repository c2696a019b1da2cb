// Paths of a workspace: slash-separated, relative, without an empty, "." or ".." part. The server decides; what is here only
// tells the user sooner.

export const baseName = (path: string): string => path.slice(path.lastIndexOf("/") + 1);
export const parentOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf("/")));
export const join = (folder: string, name: string): string => (folder === "" ? name : `${folder}/${name}`);
export const isBelow = (path: string, folder: string): boolean => path.startsWith(`${folder}/`);

/** The path after a move of `from` to `to`; undefined when it is neither that item nor below it. */
export function moved(path: string, from: string, to: string): string | undefined {
  if (path === from) return to;
  return isBelow(path, from) ? to + path.slice(from.length) : undefined;
}

/** The extension in small letters, without the dot; empty when there is none. */
export function extension(path: string): string {
  const name = baseName(path);
  const dot = name.lastIndexOf(".");
  return dot > 0 ? name.slice(dot + 1).toLowerCase() : "";
}

export interface PathLimits {
  pathBytes: number;
  nameBytes: number;
  pathDepth: number;
}

export const defaultLimits: PathLimits = { pathBytes: 1024, nameBytes: 255, pathDepth: 32 };

const bytes = (text: string): number => new TextEncoder().encode(text).length;
const bidi = /[\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c]/;

/** What is wrong with a path that somebody types, in words; undefined when nothing is. */
export function pathProblem(path: string, limits: PathLimits = defaultLimits): string | undefined {
  if (path === "") return "Give it a name.";
  if (path.startsWith("/")) return "A path begins with a name, not with a slash.";
  const parts = path.split("/");
  if (parts.includes("")) return "There is an empty name between two slashes, or at the end.";
  if (parts.some((p) => p === "." || p === "..")) return "“.” and “..” are not names.";
  if (/\p{Cc}/u.test(path)) return "Control characters are not allowed.";
  if (bidi.test(path)) return "Characters that change the direction of text are not allowed.";
  if (parts.some((p) => p.trim() === "")) return "A name needs a visible character.";
  if (parts.some((p) => bytes(p) > limits.nameBytes)) return `A name may have ${limits.nameBytes} bytes at most.`;
  if (bytes(path) > limits.pathBytes) return `A path may have ${limits.pathBytes} bytes at most.`;
  if (parts.length > limits.pathDepth) return `Folders may be nested ${limits.pathDepth} deep at most.`;
  return undefined;
}

/** Caches that the workspace does not store; the same names as the server's. */
const ignored = new Set([
  "__pycache__",
  ".venv",
  "node_modules",
  ".ipynb_checkpoints",
  ".pytest_cache",
  ".mypy_cache",
  ".ruff_cache",
]);

export const isIgnored = (path: string): boolean => path.split("/").some((part) => ignored.has(part));

/** A path that is free: "a.py" becomes "a 2.py" where it is taken. */
export function freePath(path: string, taken: (path: string) => boolean): string {
  if (!taken(path)) return path;
  const name = baseName(path);
  const dot = name.lastIndexOf(".");
  const stem = dot > 0 ? name.slice(0, dot) : name;
  const tail = dot > 0 ? name.slice(dot) : "";
  for (let n = 2; ; n++) {
    const candidate = join(parentOf(path), `${stem} ${n}${tail}`);
    if (!taken(candidate)) return candidate;
  }
}
