/** A WebSocket whose far side is the test. */
export class FakeSocket {
  static all: FakeSocket[] = [];

  static get last(): FakeSocket {
    const socket = FakeSocket.all.at(-1);
    if (!socket) throw new Error("no socket was opened");
    return socket;
  }

  readonly url: string;
  readyState = 0;
  binaryType = "blob";
  readonly sent: (string | Uint8Array)[] = [];
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;

  constructor(url: string) {
    this.url = url;
    FakeSocket.all.push(this);
  }

  send(message: string | Uint8Array): void {
    this.sent.push(message);
  }

  close(code = 1005): void {
    this.drop(code);
  }

  // what the server does

  accept(): void {
    this.readyState = 1;
    this.onopen?.();
  }

  text(message: object): void {
    this.onmessage?.({ data: JSON.stringify(message) });
  }

  bytes(content: string): void {
    const bytes = new TextEncoder().encode(content);
    this.onmessage?.({ data: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) });
  }

  drop(code = 1006): void {
    if (this.readyState === 3) return;
    this.readyState = 3;
    this.onclose?.({ code });
  }

  /** The JSON messages that were sent. */
  get messages(): Record<string, unknown>[] {
    return this.sent.flatMap((m) => (typeof m === "string" ? [JSON.parse(m) as Record<string, unknown>] : []));
  }

  /** The bytes that were sent, as text. */
  get input(): string {
    return this.sent.map((m) => (typeof m === "string" ? "" : new TextDecoder().decode(m))).join("");
  }
}

export const FakeWebSocket = FakeSocket as unknown as typeof WebSocket;
