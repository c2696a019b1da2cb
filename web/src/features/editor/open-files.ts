import type { Item } from "@/api/types";
import { Signal } from "@/lib/signal";
import { moved } from "../files/path";
import { type FileStore, OpenFile } from "./open-file";

export interface Tabs {
  files: readonly OpenFile[];
  active: OpenFile | undefined;
}

/** The files that are open in a workspace, in the order of their tabs. */
export class OpenFiles {
  readonly tabs = new Signal<Tabs>({ files: [], active: undefined });
  /** Rises with every change of any open file. */
  readonly changes = new Signal(0);
  readonly #store: FileStore;
  readonly #unwatch = new Map<OpenFile, () => void>();

  constructor(store: FileStore) {
    this.#store = store;
  }

  find(path: string): OpenFile | undefined {
    return this.tabs.get().files.find((f) => f.path === path);
  }

  /** Shows a file, in its tab if it has one. */
  open(path: string, item?: Item, activate = true): OpenFile {
    const { files, active } = this.tabs.get();
    const known = this.find(path);
    if (known) {
      if (activate && known !== active) this.tabs.set({ files, active: known });
      return known;
    }
    const file = new OpenFile(this.#store, path, item);
    this.#unwatch.set(
      file,
      file.state.subscribe(() => this.changes.set(this.changes.get() + 1)),
    );
    const at = active ? files.indexOf(active) + 1 : files.length;
    this.tabs.set({
      files: [...files.slice(0, at), file, ...files.slice(at)],
      active: activate || !active ? file : active,
    });
    return file;
  }

  /** Closes a tab, whatever is unsaved in it; the neighbour comes to the front. */
  close(file: OpenFile): void {
    const { files, active } = this.tabs.get();
    const at = files.indexOf(file);
    if (at < 0) return;
    const rest = files.filter((f) => f !== file);
    this.tabs.set({ files: rest, active: active === file ? (rest[at] ?? rest[at - 1]) : active });
    this.#unwatch.get(file)?.();
    this.#unwatch.delete(file);
    file.dispose();
  }

  /** Shows the next or the previous tab. */
  cycle(step: 1 | -1): void {
    const { files, active } = this.tabs.get();
    if (!active || files.length < 2) return;
    this.tabs.set({ files, active: files[(files.indexOf(active) + step + files.length) % files.length] });
  }

  get unsaved(): readonly OpenFile[] {
    return this.tabs.get().files.filter((f) => f.unsaved);
  }

  async saveAll(): Promise<boolean> {
    const done = await Promise.all(this.unsaved.map((f) => f.save()));
    return done.every(Boolean);
  }

  /** Tries the saves again that failed because the server could not be reached. */
  retry(): void {
    for (const file of this.tabs.get().files) {
      const { save } = file.state.get();
      if (save.is === "failed" && save.transient) void file.save();
    }
  }

  /** Tells every open file what the server has now. */
  sync(items: readonly Item[]): void {
    const byPath = new Map(items.map((i) => [i.path, i]));
    for (const file of this.tabs.get().files) file.sync(byPath.get(file.path));
  }

  moved(from: string, to: string): void {
    const { files, active } = this.tabs.get();
    let any = false;
    for (const file of files) {
      const path = moved(file.path, from, to);
      if (path === undefined) continue;
      any = true;
      file.movedTo(path);
    }
    if (any) this.tabs.set({ files: [...files], active });
  }

  dispose(): void {
    for (const file of this.tabs.get().files) {
      this.#unwatch.get(file)?.();
      file.dispose();
    }
    this.#unwatch.clear();
    this.tabs.set({ files: [], active: undefined });
  }
}
