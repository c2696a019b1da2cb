import { messageOf } from "@/api/errors";
import { writeFile } from "@/api/queries/files";
import { limitsQuery } from "@/api/queries/workspaces";
import { toast } from "@/components/ui/toast";
import { formatBytes } from "@/lib/bytes";
import type { Desk } from "../workspace/desk";
import { baseName, isIgnored, join, pathProblem } from "./path";

/** A file of the user's machine and where it goes in the workspace. */
export interface Upload {
  path: string;
  file: File;
}

/** What is dropped, with the content of folders. It must be called in the event's own turn: later the browser has forgotten. */
export async function droppedFiles(data: DataTransfer, folder: string): Promise<Upload[]> {
  const entries = [...data.items].map((item) => (item.kind === "file" ? item.webkitGetAsEntry() : null));
  if (entries.some((e) => e !== null)) {
    const found = await Promise.all(entries.map((entry) => (entry ? walk(entry, folder) : [])));
    return found.flat();
  }
  return [...data.files].map((file) => ({ path: join(folder, file.name), file }));
}

async function walk(entry: FileSystemEntry, folder: string): Promise<Upload[]> {
  const path = join(folder, entry.name);
  if (isIgnored(path) || entry.name === ".git") return [];
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
    return [{ path, file }];
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const out: Upload[] = [];
  // A reader hands out a hundred entries at a time.
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return out;
    for (const one of some) out.push(...(await walk(one, path)));
  }
}

/** Uploads, after asking when something of that name is there already. */
export function offer(desk: Desk, uploads: readonly Upload[]): void {
  if (uploads.length === 0) return;
  const existing = uploads.filter((u) => desk.item(u.path)).map((u) => u.path);
  if (existing.length > 0) desk.asking.set({ ask: "replace", uploads, existing });
  else void upload(desk, uploads, "new");
}

const atOnce = 3;

/** Stores the files. With "new" nothing that exists is touched; with "replace" it is overwritten, and stays in the history. */
export async function upload(desk: Desk, uploads: readonly Upload[], mode: "new" | "replace"): Promise<void> {
  const limits = await desk.client.fetchQuery(limitsQuery()).catch(() => undefined);
  const failed: string[] = [];
  let done = 0;
  const what = uploads.length === 1 ? baseName(uploads[0]?.path ?? "") : `${uploads.length} files`;
  const note = toast.busy(`Uploading ${what}…`);
  const queue = [...uploads];

  const work = async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const { path, file } = next;
      const problem =
        pathProblem(path.normalize("NFC")) ??
        (limits && file.size > limits.fileBytes
          ? `It has ${formatBytes(file.size)}; a file may have ${formatBytes(limits.fileBytes)}.`
          : undefined);
      if (problem) failed.push(`${baseName(path)}: ${problem}`);
      else {
        try {
          const item = await writeFile(desk.id, path.normalize("NFC"), file, mode === "replace" ? "any" : "absent");
          desk.patch([{ type: "item", item }]);
        } catch (error) {
          failed.push(`${baseName(path)}: ${messageOf(error)}`);
        }
      }
      done++;
      if (uploads.length > 1) toast.busy(`Uploading ${done} of ${uploads.length} files…`, { id: note });
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, uploads.length) }, work));

  if (failed.length === 0) toast.success(`Uploaded ${what}`, { id: note });
  else {
    const more = failed.length > 3 ? [`and ${failed.length - 3} more`] : [];
    toast.error(
      failed.length === uploads.length ? "Nothing was uploaded" : `${failed.length} of ${uploads.length} not uploaded`,
      {
        id: note,
        description: [...failed.slice(0, 3), ...more].join(" · "),
      },
    );
  }
}
