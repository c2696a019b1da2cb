import type { QueryClient } from "@tanstack/react-query";
import { socketUrl } from "@/api/client";
import { keys } from "@/api/keys";
import { emptyView } from "@/api/queries/session";
import type { Conflict, Notice, NotSaved, Session, SessionView, Terminal, Tree, Usage, Workspace } from "@/api/types";
import { Signal } from "@/lib/signal";
import { ReconnectingSocket, type SocketEnd, type SocketOptions, type SocketState, type Verdict } from "@/lib/socket";
import { patchTree, type TreeChange, type TreeLog } from "../files/tree-cache";

type Message =
  | {
      type: "hello";
      session: Session | null;
      terminals: Terminal[] | null;
      notSaved: NotSaved[] | null;
      notices?: Notice[] | null;
      usage?: Usage;
    }
  | { type: "usage"; usage: Usage }
  | { type: "notices"; notices: Notice[] | null }
  | TreeChange
  | { type: "session"; session: Session | null }
  | { type: "terminals"; terminals: Terminal[] | null }
  | { type: "notSaved"; items: NotSaved[] | null }
  | ({ type: "conflict" } & Conflict)
  | { type: "workspace"; workspace: Workspace }
  | { type: "gone" };

export interface EventHandlers {
  /** An item was moved; told before the tree is patched. */
  moved(from: string, to: string): void;
  conflict(conflict: Conflict): void;
  /** The socket will not come back. */
  ended(end: SocketEnd): void;
  probe?(): Promise<Verdict>;
}

/** Changes that arrive within this time are put into the tree together: a program may write hundreds of files at once. */
const gather = 40;

/**
 * Keeps the cached tree and session of one workspace as the server has them. Each event is a small change of the cache; only
 * after a new connection is something fetched again.
 */
export class WorkspaceEvents {
  readonly connection = new Signal<SocketState>("connecting");
  /** What the sandbox uses. It comes every second, so it is not in the cache that whole panels follow. */
  readonly usage = new Signal<Usage | undefined>(undefined);
  readonly #id: string;
  readonly #client: QueryClient;
  readonly #log: TreeLog;
  readonly #handlers: EventHandlers;
  readonly #socket: ReconnectingSocket;
  #pending: TreeChange[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #greeted = false;
  #refreshing: Promise<void> | undefined;
  #refreshAgain = false;
  #disposed = false;

  constructor(id: string, client: QueryClient, log: TreeLog, handlers: EventHandlers, options: SocketOptions = {}) {
    this.#id = id;
    this.#client = client;
    this.#log = log;
    this.#handlers = handlers;
    this.#socket = new ReconnectingSocket(
      () => socketUrl(`/workspaces/${id}/events`),
      {
        onText: (text) => this.#message(text),
        onState: (state) => this.connection.set(state),
        onEnd: (end) => {
          if (!this.#disposed && end !== "disposed") handlers.ended(end);
        },
        ...(handlers.probe ? { probe: () => handlers.probe?.() ?? Promise.resolve("retry" as const) } : {}),
      },
      options,
    );
  }

  dispose(): void {
    this.#disposed = true;
    clearTimeout(this.#timer);
    this.#socket.dispose();
  }

  #message(text: string): void {
    let message: Message;
    try {
      message = JSON.parse(text) as Message;
    } catch {
      return;
    }
    switch (message.type) {
      case "hello": {
        const { session, terminals, notSaved, notices } = message;
        this.#session({
          session: session ?? undefined,
          terminals: terminals ?? [],
          notSaved: notSaved ?? [],
          notices: notices ?? [],
        });
        this.usage.set(message.usage);
        // Of conflicts the greeting says nothing; what happened while we were away is asked for.
        if (this.#greeted) void this.#client.invalidateQueries({ queryKey: keys.session(this.#id) });
        this.#greeted = true;
        this.#refreshTree();
        break;
      }
      case "item":
      case "removed":
      case "moved":
        this.#pending.push(message);
        this.#timer ??= setTimeout(() => this.#apply(), gather);
        break;
      case "session":
        // When it has ended its terminals are gone with it; the view keeps the reason.
        if (message.session?.state !== "running") this.usage.set(undefined);
        this.#session(message.session ? { session: message.session } : { session: undefined, terminals: [] });
        break;
      case "terminals":
        this.#session({ terminals: message.terminals ?? [] });
        break;
      case "usage":
        this.usage.set(message.usage);
        break;
      case "notices":
        this.#session({ notices: message.notices ?? [] });
        break;
      case "notSaved":
        this.#session({ notSaved: message.items ?? [] });
        break;
      case "conflict": {
        const conflict: Conflict = { path: message.path, copy: message.copy };
        this.#session((view) => ({ conflicts: [...view.conflicts, conflict] }));
        this.#handlers.conflict(conflict);
        break;
      }
      case "workspace":
        this.#client.setQueryData<Workspace>(keys.workspace(this.#id), message.workspace);
        break;
      case "gone":
        this.#socket.dispose();
        this.#handlers.ended("gone");
        break;
    }
  }

  #session(change: Partial<SessionView> | ((view: SessionView) => Partial<SessionView>)): void {
    this.#client.setQueryData<SessionView>(keys.session(this.#id), (view) => {
      const known = view ?? emptyView;
      const next = { ...known, ...(typeof change === "function" ? change(known) : change) };
      if (next.session === undefined) delete next.session;
      return next;
    });
  }

  #apply(): void {
    this.#timer = undefined;
    const changes = this.#pending;
    this.#pending = [];
    this.#log.note(changes);
    for (const change of changes) {
      if (change.type === "moved") this.#handlers.moved(change.from, change.to);
    }
    this.#client.setQueryData<Tree>(keys.tree(this.#id), (tree) => (tree ? patchTree(tree, changes) : tree));
    // A move gives its items new versions, which the event does not tell.
    if (changes.some((c) => c.type === "moved")) this.#refreshTree();
  }

  /** Fetches the tree again, once at a time, and not before a fetch that runs has ended: that one may have read too early. */
  #refreshTree(): void {
    if (this.#refreshing) {
      this.#refreshAgain = true;
      return;
    }
    const filter = { queryKey: keys.tree(this.#id), exact: true };
    this.#refreshing = (async () => {
      do {
        this.#refreshAgain = false;
        const running = this.#client.isFetching(filter) > 0;
        await this.#client.refetchQueries(filter, { cancelRefetch: false });
        if (running && !this.#disposed) await this.#client.refetchQueries(filter, { cancelRefetch: false });
      } while (this.#refreshAgain && !this.#disposed);
    })().finally(() => {
      this.#refreshing = undefined;
    });
  }
}
