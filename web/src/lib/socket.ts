// A WebSocket that comes back. It lives outside of React and knows nothing of what travels over it.

/** Where the connection is. */
export type SocketState = "connecting" | "open" | "waiting" | "closed";

/** Why a socket will not come back: its work is done, the right has ended, what it was about is gone, or we closed it. */
export type SocketEnd = "done" | "denied" | "gone" | "disposed";

/** What a failed attempt means, found out by an ordinary request: the browser does not tell why a handshake failed. */
export type Verdict = "retry" | "denied" | "gone";

export interface SocketHandlers {
  onText(text: string): void;
  onBinary?(bytes: Uint8Array): void;
  onOpen?(): void;
  onState?(state: SocketState): void;
  onEnd?(end: SocketEnd): void;
  probe?(): Promise<Verdict>;
}

export interface SocketOptions {
  WebSocket?: typeof WebSocket;
  random?: () => number;
}

const firstDelay = 400;
const maxDelay = 15_000;
/** A connection that lasted this long was good: the next loss starts again with the shortest delay. */
const goodAfter = 5_000;
/** An attempt that neither opens nor fails for so long is given up; proxies may swallow a handshake. */
const openTimeout = 20_000;

const closeCodes = { normal: 1000, goingAway: 1001, policy: 1008, restart: 1012, gone: 4404 };

export class ReconnectingSocket {
  readonly #url: () => string;
  readonly #handlers: SocketHandlers;
  readonly #WebSocket: typeof WebSocket;
  readonly #random: () => number;
  #socket: WebSocket | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #failures = 0;
  #state: SocketState = "connecting";
  #ended = false;

  /** Connects at once. `url` is asked before each attempt, so that it can name the place to go on from. */
  constructor(url: () => string, handlers: SocketHandlers, options: SocketOptions = {}) {
    this.#url = url;
    this.#handlers = handlers;
    this.#WebSocket = options.WebSocket ?? WebSocket;
    this.#random = options.random ?? Math.random;
    globalThis.addEventListener?.("online", this.#hurry);
    globalThis.document?.addEventListener("visibilitychange", this.#visible);
    this.#connect();
  }

  get state(): SocketState {
    return this.#state;
  }

  /** Sends if the connection is open and says whether it did. Nothing is queued: what is late may be wrong. */
  send(message: string | Uint8Array<ArrayBuffer>): boolean {
    if (this.#socket?.readyState !== 1) return false;
    this.#socket.send(message);
    return true;
  }

  /** Ends the connection for good. */
  dispose(): void {
    this.#end("disposed");
  }

  #connect(): void {
    this.#setState("connecting");
    const socket = new this.#WebSocket(this.#url());
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    let openedAt = 0;
    const giveUp = setTimeout(() => socket.close(), openTimeout);
    socket.onopen = () => {
      clearTimeout(giveUp);
      if (this.#socket !== socket) return;
      openedAt = Date.now();
      this.#setState("open");
      this.#handlers.onOpen?.();
    };
    socket.onmessage = (event: MessageEvent<string | ArrayBuffer>) => {
      if (this.#socket !== socket) return;
      if (typeof event.data === "string") this.#handlers.onText(event.data);
      else this.#handlers.onBinary?.(new Uint8Array(event.data));
    };
    socket.onclose = (event) => {
      clearTimeout(giveUp);
      if (this.#socket !== socket) return;
      this.#socket = undefined;
      this.#lost(event.code, openedAt);
    };
  }

  #lost(code: number, openedAt: number): void {
    const opened = openedAt > 0;
    const end = endOf(code, opened);
    if (end) {
      this.#end(end);
      return;
    }
    if (opened && Date.now() - openedAt >= goodAfter) this.#failures = 0;
    this.#failures++;
    // A server that stops says so, and its successor is there in a moment: many tabs come back together, so not all at once.
    const soon = opened && (code === closeCodes.goingAway || code === closeCodes.restart) && this.#failures === 1;
    if (!opened && this.#handlers.probe) {
      this.#setState("waiting");
      this.#handlers.probe().then(
        (verdict) => {
          if (this.#ended || this.#socket || this.#timer) return;
          if (verdict === "retry") this.#retryIn(this.#delay());
          else this.#end(verdict);
        },
        () => {
          if (!this.#ended && !this.#socket && !this.#timer) this.#retryIn(this.#delay());
        },
      );
      return;
    }
    this.#retryIn(soon ? this.#random() * 150 : this.#delay());
  }

  /** Doubles with each failure, and is spread between half and all of it. */
  #delay(): number {
    const full = Math.min(maxDelay, firstDelay * 2 ** (this.#failures - 1));
    return full / 2 + (this.#random() * full) / 2;
  }

  #retryIn(ms: number): void {
    this.#setState("waiting");
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#connect();
    }, ms);
  }

  /** Tries now instead of at the end of the delay. */
  #hurry = (): void => {
    if (this.#timer === undefined) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#connect();
  };

  #visible = (): void => {
    if (document.visibilityState === "visible") this.#hurry();
  };

  #setState(state: SocketState): void {
    if (this.#state === state && state !== "connecting") return;
    this.#state = state;
    this.#handlers.onState?.(state);
  }

  #end(end: SocketEnd): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#timer);
    globalThis.removeEventListener?.("online", this.#hurry);
    globalThis.document?.removeEventListener("visibilitychange", this.#visible);
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.close(1000);
    this.#setState("closed");
    this.#handlers.onEnd?.(end);
  }
}

/** What a close code says about coming back; undefined when the connection was just lost. */
function endOf(code: number, opened: boolean): SocketEnd | undefined {
  if (code === closeCodes.policy) return "denied";
  if (code === closeCodes.gone) return "gone";
  return code === closeCodes.normal && opened ? "done" : undefined;
}
