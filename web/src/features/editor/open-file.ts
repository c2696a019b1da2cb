import { ApiError, messageOf } from "@/api/errors";
import type { Content, Expect } from "@/api/queries/files";
import type { Item } from "@/api/types";
import { Signal } from "@/lib/signal";
import { decodeText, imageType, largeBytes, type Shows } from "./content";

/** The text being edited; Monaco's model, or a plain one in tests. */
export interface TextBuffer {
  text(): string;
  /** Makes the text another with one edit, so that cursor, scrolling and undo are kept. */
  replace(text: string): void;
  /** Changes with every edit and comes back with undo. */
  version(): number;
  onChange(changed: () => void): void;
  dispose(): void;
}

/** Where files are read from and written to. A stale write fails with an ApiError of status 409. */
export interface FileStore {
  read(path: string): Promise<Content>;
  write(path: string, text: string, expect: Expect): Promise<Item>;
}

export type SaveState =
  | { is: "idle" }
  | { is: "saving" }
  /** Trying again without a change can help when `transient`. */
  | { is: "failed"; reason: string; transient: boolean }
  /** The file was changed (or is gone: null) since the version that was edited. The user decides. */
  | { is: "conflict"; current: Item | null };

export interface FileState {
  path: string;
  load: "loading" | "ready" | "failed";
  error: string | undefined;
  shows: Shows;
  size: number;
  /** The version that is shown, or that the edits began from. */
  version: number;
  target: string | undefined;
  dirty: boolean;
  save: SaveState;
  /** There are edits here, and another version on the server. */
  elsewhere: boolean;
  /** It is not on the server any more. */
  removed: boolean;
  /** Some save was confirmed since it was opened. */
  saved: boolean;
}

/**
 * One open file: what the editor shows, what the server has, and how the two come together. A save says which version it
 * replaces; nothing is overwritten without the user's word.
 */
export class OpenFile {
  readonly state: Signal<FileState>;
  readonly #store: FileStore;
  #buffer: TextBuffer | undefined;
  /** The content of `version`, as text. Undefined when the user chose to overwrite something never seen. */
  #baseText: string | undefined;
  /** The buffer's version when it was the same as `version` on the server. */
  #cleanAt: number | undefined;
  #saves: Promise<boolean> = Promise.resolve(true);
  #later: { item: Item | undefined } | undefined;
  #looking = false;

  constructor(store: FileStore, path: string, item?: Item) {
    this.#store = store;
    this.state = new Signal<FileState>({
      path,
      load: "loading",
      error: undefined,
      shows: "text",
      size: item?.size ?? 0,
      version: item?.version ?? 0,
      target: item?.target,
      dirty: false,
      save: { is: "idle" },
      elsewhere: false,
      removed: false,
      saved: false,
    });
    if (item?.kind === "link") this.#set({ load: "ready", shows: "link" });
    else if (imageType(path)) this.#set({ load: "ready", shows: "image" });
    else if ((item?.size ?? 0) > largeBytes) this.#set({ load: "ready", shows: "large" });
    else void this.load();
  }

  get path(): string {
    return this.state.get().path;
  }

  get text(): string {
    return this.#buffer?.text() ?? this.#baseText ?? "";
  }

  /** Whether closing it loses something. */
  get unsaved(): boolean {
    const { dirty, save } = this.state.get();
    return dirty || save.is !== "idle";
  }

  /** Reads it, for the first time or after a failure. */
  async load(): Promise<void> {
    this.#set({ load: "loading", error: undefined });
    const path = this.path;
    try {
      this.#show(await this.#store.read(path));
    } catch (error) {
      this.#set({ load: "failed", error: messageOf(error) });
    }
  }

  #show(content: Content): void {
    const text = content.bytes.length > largeBytes ? undefined : decodeText(content.bytes);
    const common = {
      load: "ready",
      version: content.version,
      size: content.bytes.length,
      elsewhere: false,
      removed: false,
    } as const;
    if (text === undefined) {
      this.#set({ ...common, shows: content.bytes.length > largeBytes ? "large" : "binary" });
      return;
    }
    this.#baseText = text;
    if (this.#buffer && this.#buffer.text() !== text) this.#buffer.replace(text);
    this.#cleanAt = this.#buffer?.version();
    this.#set({ ...common, shows: "text", dirty: false });
  }

  /** The buffer to edit, made at the first call. */
  buffer<B extends TextBuffer>(make: (text: string) => B): B {
    if (!this.#buffer) {
      const made = make(this.#baseText ?? "");
      this.#buffer = made;
      this.#cleanAt = made.version();
      made.onChange(() => this.#set({ dirty: made.version() !== this.#cleanAt }));
    }
    return this.#buffer as B;
  }

  /** Writes what is edited and says whether everything is stored. A save that runs is waited for. */
  save(): Promise<boolean> {
    this.#saves = this.#saves.then(() => this.#saveNow());
    return this.#saves;
  }

  async #saveNow(): Promise<boolean> {
    const buffer = this.#buffer;
    const { dirty, save, removed } = this.state.get();
    if (save.is === "conflict") return false;
    if (!buffer || !(dirty || removed || save.is === "failed")) return true;
    this.#set({ save: { is: "saving" } });
    const done = await this.#write(buffer);
    const later = this.#later;
    this.#later = undefined;
    if (later) this.sync(later.item);
    return done;
  }

  async #write(buffer: TextBuffer): Promise<boolean> {
    // More than two rounds only happen when the file keeps changing under us.
    for (let round = 0; round < 4; round++) {
      const text = buffer.text();
      const at = buffer.version();
      const { path, version, removed } = this.state.get();
      try {
        const item = await this.#store.write(path, text, removed || version === 0 ? "absent" : { version });
        this.#settled(item.version, item.size, text, at);
        return true;
      } catch (error) {
        if (!(error instanceof ApiError) || error.status !== 409) {
          this.#set({ save: failed(error) });
          return false;
        }
        const same = await this.#look(error.current, text, at);
        if (same === "ours") return true;
        if (same === "other") {
          this.#set({ save: { is: "conflict", current: error.current } });
          return false;
        }
      }
    }
    this.#set({ save: { is: "failed", reason: "The file keeps changing. Try again.", transient: false } });
    return false;
  }

  /**
   * Finds out what another version really is: "base" when it is what the edits began from (it was moved, say), "ours" when it
   * is what we have (a save whose answer was lost), else "other".
   */
  async #look(current: Item | null, text: string, at: number): Promise<"base" | "ours" | "other"> {
    if (current?.kind !== "file" || current.size > largeBytes) return "other";
    try {
      const content = await this.#store.read(this.path);
      const theirs = decodeText(content.bytes);
      if (theirs === undefined) return "other";
      if (theirs === text) {
        this.#settled(content.version, content.bytes.length, text, at);
        return "ours";
      }
      if (theirs === this.#baseText) {
        this.#set({ version: content.version, removed: false, elsewhere: false });
        return "base";
      }
    } catch {
      // it cannot be told: then the user decides
    }
    return "other";
  }

  #settled(version: number, size: number, text: string, at: number): void {
    this.#baseText = text;
    this.#cleanAt = at;
    this.#set({
      version,
      size,
      dirty: this.#buffer?.version() !== at,
      save: { is: "idle" },
      elsewhere: false,
      removed: false,
      saved: true,
    });
  }

  /** Ends a conflict: ours replaces the version that was shown, or theirs replaces the edits. */
  async resolve(choice: "mine" | "theirs"): Promise<boolean> {
    const { save, elsewhere } = this.state.get();
    if (choice === "theirs") {
      try {
        this.#show(await this.#store.read(this.path));
        this.#set({ save: { is: "idle" } });
        return true;
      } catch (error) {
        this.#set({ save: failed(error) });
        return false;
      }
    }
    if (save.is === "conflict") {
      this.#baseText = undefined;
      this.#set({
        save: { is: "idle" },
        version: save.current?.version ?? 0,
        removed: save.current === null,
        elsewhere: false,
        dirty: true,
      });
    } else if (!elsewhere) return true;
    return this.save();
  }

  /** What the server has now, by the tree; undefined when the file is not in it. */
  sync(item: Item | undefined): void {
    const { save, version, removed, load, shows } = this.state.get();
    if (save.is === "saving") {
      this.#later = { item };
      return;
    }
    if (!item || item.kind === "folder") {
      if (!removed && load !== "loading") this.#set({ removed: true });
      return;
    }
    if (item.version <= version) {
      if (removed && item.version === version) this.#set({ removed: false });
      return;
    }
    if (load === "loading") return;
    if (shows === "image" || shows === "large" || shows === "link") {
      this.#set({ version: item.version, size: item.size, target: item.target, removed: false });
      return;
    }
    if (save.is === "conflict") {
      this.#set({ save: { is: "conflict", current: item } });
      return;
    }
    void this.#follow(item);
  }

  /** Shows a newer version in place, or marks the edits when there are some. */
  async #follow(item: Item): Promise<void> {
    if (this.#looking) {
      this.#later = { item };
      return;
    }
    this.#looking = true;
    try {
      const buffer = this.#buffer;
      if (buffer && this.state.get().dirty) {
        const same = await this.#look(item, buffer.text(), buffer.version());
        if (same === "other") this.#set({ elsewhere: true, removed: false });
      } else {
        const content = await this.#store.read(this.path);
        const { dirty, save, version } = this.state.get();
        // Typing or a save may have begun while it was read.
        if (dirty || save.is === "saving") this.#set({ elsewhere: dirty && content.version > version });
        else if (content.version > version) this.#show(content);
      }
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) this.#set({ removed: true });
      // otherwise the next event or save tells
    } finally {
      this.#looking = false;
      if (this.state.get().save.is !== "saving") {
        const later = this.#later;
        this.#later = undefined;
        if (later) this.sync(later.item);
      }
    }
  }

  movedTo(path: string): void {
    this.#set({ path });
  }

  dispose(): void {
    this.#buffer?.dispose();
    this.#buffer = undefined;
  }

  #set(change: Partial<FileState>): void {
    this.state.set({ ...this.state.get(), ...change });
  }
}

function failed(error: unknown): SaveState {
  // No answer, nobody signed in, or a server that is not up: once that has changed, the same save works.
  const transient = error instanceof ApiError && (error.status === 0 || error.status === 401 || error.status >= 502);
  return { is: "failed", reason: messageOf(error), transient };
}
