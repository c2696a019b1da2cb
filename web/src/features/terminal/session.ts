import type { Exit } from "@/api/types";
import { formatBytes } from "@/lib/bytes";
import { Signal } from "@/lib/signal";
import { ReconnectingSocket, type SocketEnd, type SocketOptions, type SocketState, type Verdict } from "@/lib/socket";
import { isReport } from "./reports";

/** What draws a terminal: xterm, or a fake in tests. */
export interface Screen {
  /** Draws the bytes and calls back when they are drawn. */
  write(bytes: Uint8Array, drawn: () => void): void;
  readonly cols: number;
  readonly rows: number;
}

/** How the terminal stands with its server. */
export interface TerminalStatus {
  connection: SocketState;
  /** Set once the process has ended. */
  exit: Exit | undefined;
  /** Set when the connection will not come back. */
  end: SocketEnd | undefined;
  writable: boolean;
}

interface Options extends SocketOptions {
  /** The socket's address for a viewer that wants the output from `from` on. */
  url: (from: number, size: { cols: number; rows: number }) => string;
  screen: Screen;
  probe?: () => Promise<Verdict>;
}

type ServerMessage =
  | { type: "attached"; seq: number; write: boolean }
  | { type: "dropped"; bytes: number; seq: number }
  | { type: "size"; cols: number; rows: number }
  | { type: "exit"; code: number; signal?: string; at: string };

/** Drawn bytes after which an acknowledgement is due. The server asks for one at least every 128 KiB. */
const ackEvery = 64 << 10;
/** The largest message of input; a paste is sent in several. */
const maxInput = 32 << 10;
/** Typing that waits for the first connection, in bytes. More is thrown away: nobody types that blindly. */
const maxEarly = 64 << 10;
const resizeDelay = 80;
/** The replay of old output is over when nothing came for so long. */
const replayQuiet = 250;

const encoder = new TextEncoder();

/**
 * One viewer's connection to a terminal. It counts the bytes of output, so that after a lost connection it goes on exactly
 * where it stopped, and tells the server what is drawn, so that the program waits for the screen and not the other way round.
 *
 * What must hold: `#next` is the sequence number of the next byte that the server sends; `#drawn` ≤ `#next` is that of the
 * next byte to be drawn; `#acked` ≤ `#drawn`.
 */
export class TerminalSession {
  readonly status: Signal<TerminalStatus>;
  readonly #options: Options;
  readonly #socket: ReconnectingSocket;
  #next = 0;
  #drawn = 0;
  #acked = 0;
  #attached = false;
  #everAttached = false;
  #replaying = true;
  #replayTimer: ReturnType<typeof setTimeout> | undefined;
  #resizeTimer: ReturnType<typeof setTimeout> | undefined;
  #sentSize = "";
  #early: Uint8Array<ArrayBuffer>[] = [];
  #earlyBytes = 0;
  #disposed = false;

  constructor(options: Options) {
    this.#options = options;
    this.status = new Signal<TerminalStatus>({
      connection: "connecting",
      exit: undefined,
      end: undefined,
      writable: true,
    });
    const { screen } = options;
    this.#socket = new ReconnectingSocket(
      () => {
        this.#sentSize = `${screen.cols}x${screen.rows}`;
        return options.url(this.#next, { cols: screen.cols, rows: screen.rows });
      },
      {
        onText: (text) => this.#message(text),
        onBinary: (bytes) => this.#output(bytes),
        onState: (connection) => {
          if (connection !== "open") this.#attached = false;
          this.#set({ connection });
        },
        onEnd: (end) => this.#set({ end }),
        ...(options.probe ? { probe: options.probe } : {}),
      },
      options,
    );
  }

  /** Everything before this has been received. */
  get position(): number {
    return this.#next;
  }

  /** Sends typing or a paste; text is sent as UTF-8. What cannot be sent now is dropped, never sent late. */
  input(data: string): void {
    // Only while old output is drawn again: later the programs do want their answers.
    if (this.#replaying && isReport(data)) return;
    this.#send(encoder.encode(data));
  }

  /** Sends bytes as they are: mouse reports are not UTF-8. */
  inputBinary(data: string): void {
    this.#send(Uint8Array.from(data, (c) => c.charCodeAt(0) & 0xff));
  }

  /** Asks the program to stop, as Ctrl-C does. */
  interrupt(): void {
    this.#send(Uint8Array.of(3));
  }

  /** Tells the server the screen's size, once it has been the same for a moment. */
  resized(): void {
    clearTimeout(this.#resizeTimer);
    this.#resizeTimer = setTimeout(() => this.#sendSize(), resizeDelay);
  }

  dispose(): void {
    this.#disposed = true;
    clearTimeout(this.#resizeTimer);
    clearTimeout(this.#replayTimer);
    this.#socket.dispose();
  }

  #message(text: string): void {
    const message = parse(text);
    switch (message?.type) {
      case "attached":
        this.#attach(message.seq, message.write);
        break;
      case "dropped":
        this.#jump(message.seq, message.bytes);
        break;
      case "exit":
        this.#set({
          exit: { code: message.code, at: message.at, ...(message.signal ? { signal: message.signal } : {}) },
        });
        this.#mark(exitMark(message.code, message.signal));
        break;
      case "size":
      case undefined:
        // The screen keeps the size of its panel: a smaller viewer elsewhere leaves a part of it empty, nothing breaks.
        break;
    }
  }

  #attach(seq: number, write: boolean): void {
    const first = !this.#everAttached;
    this.#attached = true;
    this.#everAttached = true;
    this.#replaying = first;
    if (first) this.#quietSoon();
    this.#jump(seq, first ? 0 : seq - this.#next);
    this.#set({ writable: write });
    for (const bytes of this.#early) this.#socket.send(bytes);
    this.#early = [];
    this.#earlyBytes = 0;
    this.#sendSize();
  }

  /** Goes on at a later place in the output, with a visible mark where the user loses something that was to be seen. */
  #jump(seq: number, lost: number): void {
    if (seq === this.#next) return;
    if (lost > 0 && seq > this.#next) this.#mark(`— ${formatBytes(lost)} of output are not kept any more —`);
    this.#next = seq;
    this.#drawn = seq;
    this.#acked = seq;
  }

  #output(bytes: Uint8Array): void {
    this.#next += bytes.length;
    const end = this.#next;
    if (this.#replaying) this.#quietSoon();
    this.#options.screen.write(bytes, () => {
      // After a jump the callbacks of what was written before it still come; they must not count backwards.
      if (end <= this.#drawn) return;
      this.#drawn = end;
      if (this.#drawn - this.#acked >= ackEvery) this.#ack();
    });
  }

  #ack(): void {
    if (this.#disposed || !this.#attached) return;
    if (this.#socket.send(JSON.stringify({ type: "ack", seq: this.#drawn }))) this.#acked = this.#drawn;
  }

  #mark(text: string): void {
    // CAN ends an escape sequence that was cut in half, before the colours are reset.
    this.#options.screen.write(encoder.encode(`\x18\x1b[0m\r\n\x1b[2m${text}\x1b[0m\r\n`), () => {});
  }

  #quietSoon(): void {
    clearTimeout(this.#replayTimer);
    this.#replayTimer = setTimeout(() => {
      this.#replaying = false;
    }, replayQuiet);
  }

  #send(bytes: Uint8Array<ArrayBuffer>): void {
    const { exit, writable } = this.status.get();
    if (exit || !writable || bytes.length === 0) return;
    if (!this.#everAttached) {
      if (this.#earlyBytes + bytes.length > maxEarly) return;
      this.#early.push(bytes);
      this.#earlyBytes += bytes.length;
      return;
    }
    if (!this.#attached) return;
    for (let at = 0; at < bytes.length; at += maxInput) this.#socket.send(bytes.slice(at, at + maxInput));
  }

  #sendSize(): void {
    const { cols, rows } = this.#options.screen;
    const size = `${cols}x${rows}`;
    if (!this.#attached || size === this.#sentSize) return;
    if (this.#socket.send(JSON.stringify({ type: "resize", cols, rows }))) this.#sentSize = size;
  }

  #set(change: Partial<TerminalStatus>): void {
    // The socket reports its first state before the constructor is through.
    this.status?.set({ ...this.status.get(), ...change });
  }
}

function parse(text: string): ServerMessage | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && "type" in value ? (value as ServerMessage) : undefined;
  } catch {
    return undefined;
  }
}

function exitMark(code: number, signal: string | undefined): string {
  if (signal) return `[ended by ${signal.replace(/[^A-Z0-9]/g, "")}]`;
  return code === 0 ? "[finished]" : `[ended with exit code ${Number(code)}]`;
}
