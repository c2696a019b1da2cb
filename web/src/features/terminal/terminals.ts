import { socketUrl } from "@/api/client";
import type { Size } from "@/api/queries/session";
import { Signal } from "@/lib/signal";
import type { Verdict } from "@/lib/socket";
import { recall, remember } from "@/lib/storage";
import { type Screen, TerminalSession } from "./session";

/** What a terminal's screen must be able to do besides drawing. XtermScreen is one. */
export interface TerminalScreen extends Screen {
  readonly element: HTMLElement;
  show(): void;
  hide(): void;
  fit(): void;
  focus(): void;
  retheme(): void;
  screenReader: boolean;
  text(): string;
  dispose(): void;
}

export type MakeScreen = (handlers: {
  onData(data: string): void;
  onBinary(data: string): void;
  onResize(): void;
  onLink(url: string): void;
}) => TerminalScreen;

export interface Attached {
  screen: TerminalScreen;
  session: TerminalSession;
}

/**
 * The terminals of a workspace that this page is attached to. They live here and not in components, so that switching tabs or
 * views keeps what is on their screens.
 */
export class Terminals {
  readonly active: Signal<string | undefined>;
  /** An address that somebody clicked on in a terminal, until it was answered. */
  readonly link = new Signal<string | undefined>(undefined);
  readonly screenReader = new Signal(false);
  /** Rises when all terminals were let go of, so that what shows one attaches to it again. */
  readonly generation = new Signal(0);
  readonly #workspace: string;
  readonly #probe: (terminal: string) => Promise<Verdict>;
  readonly #attached = new Map<string, Attached>();
  readonly #key: string;
  #size: Size = { cols: 100, rows: 24 };
  /** A terminal to be asked to stop as soon as it is attached. */
  #interrupt: string | undefined;

  constructor(workspace: string, probe: (terminal: string) => Promise<Verdict>) {
    this.#workspace = workspace;
    this.#probe = probe;
    this.#key = `vivarium.terminal.${workspace}`;
    this.active = new Signal<string | undefined>(recall(this.#key, () => window.sessionStorage) ?? undefined);
  }

  /** The size that a new terminal begins with: that of the last one shown. */
  get size(): Size {
    return this.#size;
  }

  show(id: string | undefined): void {
    remember(this.#key, id ?? null, () => window.sessionStorage);
    this.active.set(id);
  }

  get(id: string): Attached | undefined {
    return this.#attached.get(id);
  }

  /** Attaches to a terminal, once. */
  attach(id: string, makeScreen: MakeScreen, mount: (element: HTMLElement) => void): Attached {
    const known = this.#attached.get(id);
    if (known) {
      mount(known.screen.element);
      known.screen.show();
      return known;
    }
    let session: TerminalSession | undefined;
    const screen = makeScreen({
      onData: (data) => session?.input(data),
      onBinary: (data) => session?.inputBinary(data),
      onResize: () => {
        this.#size = { cols: screen.cols, rows: screen.rows };
        session?.resized();
      },
      onLink: (url) => this.link.set(url),
    });
    // The screen has its size before the socket names it.
    mount(screen.element);
    screen.show();
    this.#size = { cols: screen.cols, rows: screen.rows };
    session = new TerminalSession({
      screen,
      url: (from, { cols, rows }) =>
        socketUrl(`/workspaces/${this.#workspace}/terminals/${id}?from=${from}&cols=${cols}&rows=${rows}`),
      probe: () => this.#probe(id),
    });
    const attached = { screen, session };
    this.#attached.set(id, attached);
    if (this.#interrupt === id) session.interrupt();
    this.#interrupt = undefined;
    return attached;
  }

  /** Asks the program in a terminal to stop, as Ctrl-C does. */
  interrupt(id: string): void {
    const attached = this.#attached.get(id);
    if (attached) attached.session.interrupt();
    else this.#interrupt = id;
  }

  /** Lets go of the terminals that are not there any more. */
  keep(ids: ReadonlySet<string>): void {
    for (const id of [...this.#attached.keys()]) {
      if (!ids.has(id)) this.#drop(id);
    }
  }

  focus(): void {
    const id = this.active.get();
    if (id) this.#attached.get(id)?.screen.focus();
  }

  retheme(): void {
    for (const { screen } of this.#attached.values()) screen.retheme();
  }

  setScreenReader(on: boolean): void {
    this.screenReader.set(on);
    for (const { screen } of this.#attached.values()) screen.screenReader = on;
  }

  /** The text of the terminal in front. */
  text(): string {
    const id = this.active.get();
    return (id && this.#attached.get(id)?.screen.text()) || "";
  }

  dispose(): void {
    for (const id of [...this.#attached.keys()]) this.#drop(id);
    this.generation.set(this.generation.get() + 1);
  }

  #drop(id: string): void {
    const attached = this.#attached.get(id);
    this.#attached.delete(id);
    attached?.session.dispose();
    attached?.screen.dispose();
  }
}
