import type { QueryClient } from "@tanstack/react-query";
import { call, signedOut } from "@/api/client";
import { isStatus } from "@/api/errors";
import { keys } from "@/api/keys";
import { meQuery } from "@/api/queries/auth";
import { fetchTree, readFile, writeFile } from "@/api/queries/files";
import { emptyView, sessionQuery } from "@/api/queries/session";
import type { Conflict, Item, SessionView, Terminal, Tree } from "@/api/types";
import { Signal } from "@/lib/signal";
import type { SocketEnd, Verdict } from "@/lib/socket";
import { recallList, remember } from "@/lib/storage";
import type { OpenFile } from "../editor/open-file";
import { OpenFiles } from "../editor/open-files";
import { patchTree, type TreeChange, TreeLog } from "../files/tree-cache";
import type { Upload } from "../files/upload";
import { Terminals } from "../terminal/terminals";
import { WorkspaceEvents } from "./events";

/** The parts of the page; on a small screen one is shown at a time. */
export type Pane = "files" | "editor" | "terminal";

/** Two texts side by side. */
export interface Comparison {
  title: string;
  /** On the left: read once, never edited. */
  left: { label: string; path: string };
  /** On the right: another file, or the open file itself, which can be edited there. */
  right: { label: string; path: string; open: boolean };
}

export interface Cursor {
  line: number;
  column: number;
  selected: number;
}

/** What a dialog of the explorer is about. */
export type Asking =
  | { ask: "file" | "folder"; folder: string }
  | { ask: "rename"; path: string }
  | { ask: "delete"; path: string; folder: boolean }
  | { ask: "replace"; uploads: readonly Upload[]; existing: readonly string[] };

/**
 * Everything that a person at work in one workspace has on the desk: open files, terminals, and the line to the server. It
 * lives as long as the page shows the workspace, outside of React; components watch its signals.
 */
export class Desk {
  readonly id: string;
  readonly client: QueryClient;
  readonly files: OpenFiles;
  readonly terminals: Terminals;
  /** The line to the server; another one after signing in again. */
  readonly connection = new Signal<WorkspaceEvents | undefined>(undefined);
  readonly pane = new Signal<Pane>("editor");
  readonly explorerShown = new Signal(true);
  readonly terminalShown = new Signal(true);
  readonly palette = new Signal<"files" | "commands" | undefined>(undefined);
  readonly comparison = new Signal<Comparison | undefined>(undefined);
  readonly cursor = new Signal<Cursor | undefined>(undefined);
  readonly asking = new Signal<Asking | undefined>(undefined);
  /** A file with unsaved edits that is to be closed, until it was answered. */
  readonly closing = new Signal<OpenFile | undefined>(undefined);
  /** What the explorer has selected. */
  readonly selected = new Signal<string | undefined>(undefined);
  readonly wordWrap = new Signal(false);
  /** Set when the page has nothing to show any more. */
  readonly ended = new Signal<SocketEnd | undefined>(undefined);
  /** The last file that was changed on both sides at once. */
  readonly conflict = new Signal<Conflict | undefined>(undefined);
  /** The Python file that Run takes when the one in front is none. */
  readonly lastRun = new Signal<string | undefined>(undefined);
  readonly running = new Signal(false);
  /** Puts the cursor into the editor; set by the editor. */
  focusEditor: () => void = () => {};
  focusFiles: () => void = () => {};
  readonly #log = new TreeLog();
  #events: WorkspaceEvents | undefined;
  #stops: (() => void)[] = [];

  constructor(id: string, client: QueryClient) {
    this.id = id;
    this.client = client;
    this.files = new OpenFiles({
      read: (path) => readFile(id, path),
      write: async (path, text, expect) => {
        const item = await writeFile(id, path, text, expect);
        this.patch([{ type: "item", item }]);
        return item;
      },
    });
    this.terminals = new Terminals(id, (terminal) => this.#probeTerminal(terminal));
  }

  /** Opens the line to the server; undone by stop. */
  start(): void {
    this.#connect();
    this.#stops.push(
      this.files.tabs.subscribe(() => {
        const { files, active } = this.files.tabs.get();
        remember(this.#tabsKey, JSON.stringify([active?.path ?? "", ...files.map((f) => f.path)]));
      }),
    );
  }

  #connect(): void {
    this.#events = new WorkspaceEvents(this.id, this.client, this.#log, {
      moved: (from, to) => this.files.moved(from, to),
      conflict: (conflict) => this.conflict.set(conflict),
      ended: (end) => void this.#lost(end),
      probe: () => this.#probe(),
    });
    const { connection } = this.#events;
    connection.subscribe(() => {
      if (connection.get() === "open") this.files.retry();
    });
    this.connection.set(this.#events);
  }

  stop(): void {
    for (const stop of this.#stops.splice(0)) stop();
    this.#events?.dispose();
    this.#events = undefined;
    this.connection.set(undefined);
    this.terminals.dispose();
    this.files.dispose();
  }

  get #tabsKey(): string {
    return `vivarium.tabs.${this.id}`;
  }

  /** The tabs of the last visit. */
  rememberedTabs(): { active: string; paths: string[] } {
    const [active = "", ...paths] = recallList(this.#tabsKey);
    return { active, paths };
  }

  /** The query that the explorer shows; events patch it. */
  treeQuery() {
    return {
      queryKey: keys.tree(this.id),
      queryFn: ({ signal }: { signal: AbortSignal }) => this.#log.fetch(() => fetchTree(this.id, signal)),
      staleTime: Number.POSITIVE_INFINITY,
    };
  }

  get items(): readonly Item[] {
    return this.client.getQueryData<Tree>(keys.tree(this.id))?.items ?? [];
  }

  item(path: string): Item | undefined {
    return this.items.find((i) => i.path === path);
  }

  /** Puts what we did ourselves into the tree at once; the event that follows changes nothing more. */
  patch(changes: readonly TreeChange[]): void {
    this.#log.note(changes);
    this.client.setQueryData<Tree>(keys.tree(this.id), (tree) => (tree ? patchTree(tree, changes) : tree));
  }

  get sessionView(): SessionView | undefined {
    return this.client.getQueryData<SessionView>(keys.session(this.id));
  }

  /** Puts a terminal that was just made into the list and in front. */
  added(terminal: Terminal): void {
    this.client.setQueryData<SessionView>(keys.session(this.id), (view) => {
      const known = view ?? emptyView;
      if (known.terminals.some((t) => t.id === terminal.id)) return known;
      const replaced = (t: Terminal) =>
        terminal.kind === "run" && t.kind === "run" && t.title === terminal.title && t.exit;
      return { ...known, terminals: [...known.terminals.filter((t) => !replaced(t)), terminal] };
    });
    this.terminals.show(terminal.id);
  }

  /** Shows a file in the editor. */
  openFile(path: string): void {
    this.comparison.set(undefined);
    this.files.open(path, this.item(path));
    this.pane.set("editor");
  }

  /** Finds out by an ordinary request why a socket could not be opened. */
  async #probe(): Promise<Verdict> {
    try {
      await call("GET", `/workspaces/${this.id}`);
      return "retry";
    } catch (error) {
      return isStatus(error, 401) ? "denied" : isStatus(error, 404) ? "gone" : "retry";
    }
  }

  async #probeTerminal(terminal: string): Promise<Verdict> {
    try {
      const view = await this.client.fetchQuery({ ...sessionQuery(this.id), staleTime: 1_000 });
      return view.terminals.some((t) => t.id === terminal) ? "retry" : "gone";
    } catch (error) {
      return isStatus(error, 401) ? "denied" : isStatus(error, 404) ? "gone" : "retry";
    }
  }

  async #lost(end: SocketEnd): Promise<void> {
    if (end === "denied") {
      try {
        await this.client.fetchQuery({ ...meQuery(), staleTime: 0 });
      } catch (error) {
        if (isStatus(error, 401)) {
          // Signing in again on the spot goes on here.
          const stop = signedOut.subscribe(() => {
            if (signedOut.get()) return;
            stop();
            if (this.#events) this.#reconnect();
          });
          this.#stops.push(stop);
          signedOut.set(true);
          return;
        }
      }
    }
    this.ended.set(end);
  }

  #reconnect(): void {
    this.#events?.dispose();
    this.terminals.dispose();
    this.#connect();
  }
}
