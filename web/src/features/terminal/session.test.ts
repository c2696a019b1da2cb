import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FakeSocket, FakeWebSocket } from "@/test/fake-socket";
import { isReport } from "./reports";
import { type Screen, TerminalSession } from "./session";

/** A screen that draws when the test says so. */
class FakeScreen implements Screen {
  cols = 80;
  rows = 24;
  text = "";
  #waiting: (() => void)[] = [];

  write(bytes: Uint8Array, drawn: () => void): void {
    this.text += new TextDecoder().decode(bytes);
    this.#waiting.push(drawn);
  }

  draw(): void {
    for (const drawn of this.#waiting.splice(0)) drawn();
  }
}

const open: TerminalSession[] = [];

function start(): { session: TerminalSession; screen: FakeScreen } {
  const screen = new FakeScreen();
  const session = new TerminalSession({
    url: (from, { cols, rows }) => `ws://test/t?from=${from}&cols=${cols}&rows=${rows}`,
    screen,
    WebSocket: FakeWebSocket,
    random: () => 0,
  });
  open.push(session);
  return { session, screen };
}

function attach(seq = 0): void {
  FakeSocket.last.accept();
  FakeSocket.last.text({ type: "attached", seq, write: true });
}

beforeEach(() => {
  vi.useFakeTimers();
  FakeSocket.all = [];
});
afterEach(() => {
  for (const session of open.splice(0)) session.dispose();
  vi.useRealTimers();
});

describe("sequence numbers", () => {
  it("a new page asks for everything that is kept", () => {
    start();
    expect(FakeSocket.last.url).toContain("from=0&cols=80&rows=24");
  });

  it("count bytes, not letters, and a lost connection goes on behind the last one", () => {
    const { screen } = start();
    attach();
    FakeSocket.last.bytes("grüße"); // 7 bytes
    FakeSocket.last.drop(1006);
    vi.runOnlyPendingTimers();
    expect(FakeSocket.all).toHaveLength(2);
    expect(FakeSocket.last.url).toContain("from=7&");
    attach(7);
    FakeSocket.last.bytes("!");
    expect(screen.text).toBe("grüße!");
  });

  it("start at what the ring still holds, without a mark when nothing was seen yet", () => {
    const { session, screen } = start();
    attach(5_000);
    FakeSocket.last.bytes("abc");
    expect(session.position).toBe(5_003);
    expect(screen.text).toBe("abc");
  });

  it("jump over what was lost, with a mark", () => {
    const { session, screen } = start();
    attach();
    FakeSocket.last.bytes("abc");
    FakeSocket.last.text({ type: "dropped", bytes: 2048, seq: 2051 });
    FakeSocket.last.bytes("def");
    expect(session.position).toBe(2054);
    expect(screen.text).toContain("2 KiB of output are not kept any more");
  });

  it("a gap that the next attachment names is marked once", () => {
    const { screen } = start();
    attach();
    FakeSocket.last.bytes("abc");
    FakeSocket.last.drop(1001);
    vi.runOnlyPendingTimers();
    attach(1027);
    FakeSocket.last.text({ type: "dropped", bytes: 1024, seq: 1027 });
    expect(screen.text.match(/1 KiB of output/g)).toHaveLength(1);
  });
});

describe("acknowledgements", () => {
  const acks = () => FakeSocket.last.messages.filter((m) => m.type === "ack").map((m) => m.seq);

  it("tell what is drawn, not what has arrived", () => {
    const { screen } = start();
    attach();
    for (let i = 0; i < 3; i++) FakeSocket.last.bytes("x".repeat(50_000));
    expect(acks()).toEqual([]);
    screen.draw();
    expect(acks()).toEqual([100_000]);
  });

  it("come at least every 128 KiB", () => {
    const { screen } = start();
    attach();
    for (let i = 0; i < 40; i++) {
      FakeSocket.last.bytes("x".repeat(16 << 10));
      screen.draw();
    }
    const sent = acks() as number[];
    const gaps = sent.map((seq, i) => seq - (sent[i - 1] ?? 0));
    expect(Math.max(...gaps)).toBeLessThanOrEqual(128 << 10);
    expect(sent.at(-1)).toBeGreaterThan(600_000 - (128 << 10));
  });

  it("never go backwards when old bytes are drawn after a jump", () => {
    const { screen } = start();
    attach();
    FakeSocket.last.bytes("x".repeat(70_000));
    FakeSocket.last.text({ type: "dropped", bytes: 1_000_000, seq: 1_070_000 });
    screen.draw();
    expect(acks()).toEqual([]);
    FakeSocket.last.bytes("x".repeat(70_000));
    screen.draw();
    expect(acks()).toEqual([1_140_000]);
  });
});

describe("input", () => {
  it("typed before the first connection is sent once it is there", () => {
    const { session } = start();
    session.input("ls\r");
    attach();
    expect(FakeSocket.last.input).toBe("ls\r");
  });

  it("typed while the connection is lost is dropped, not sent late", () => {
    const { session } = start();
    attach();
    FakeSocket.last.drop(1006);
    session.input("rm -rf *\r");
    vi.runOnlyPendingTimers();
    attach();
    expect(FakeSocket.last.input).toBe("");
  });

  it("a paste of 5,000 lines goes in messages of at most 32 KiB and arrives whole", () => {
    const { session } = start();
    attach();
    const paste = Array.from({ length: 5_000 }, (_, i) => `print("zeile ${i} äöü")\r`).join("");
    session.input(paste);
    const parts = FakeSocket.last.sent.filter((m): m is Uint8Array => typeof m !== "string");
    expect(Math.max(...parts.map((p) => p.length))).toBeLessThanOrEqual(32 << 10);
    const whole = new Uint8Array(parts.flatMap((p) => [...p]));
    expect(new TextDecoder().decode(whole)).toBe(paste);
  });

  it("P5: answers to replayed questions do not reach the shell, later ones do", () => {
    const { session } = start();
    attach();
    FakeSocket.last.bytes("\x1b[6n\x1b[c");
    session.input("\x1b[12;40R");
    session.input("\x1b[?1;2c");
    session.input("l");
    expect(FakeSocket.last.input).toBe("l");
    vi.advanceTimersByTime(1_000);
    session.input("\x1b[12;40R");
    expect(FakeSocket.last.input).toBe("l\x1b[12;40R");
  });

  it("ends with the process", () => {
    const { session, screen } = start();
    attach();
    FakeSocket.last.text({ type: "exit", code: 3, at: "2026-01-01T00:00:00Z" });
    FakeSocket.last.drop(1000);
    session.input("x");
    expect(FakeSocket.last.input).toBe("");
    expect(session.status.get().exit?.code).toBe(3);
    expect(session.status.get().end).toBe("done");
    expect(screen.text).toContain("exit code 3");
    vi.runOnlyPendingTimers();
    expect(FakeSocket.all).toHaveLength(1);
  });
});

describe("size", () => {
  it("is sent once after it has settled", () => {
    const { session, screen } = start();
    attach();
    for (const cols of [81, 90, 100]) {
      screen.cols = cols;
      session.resized();
    }
    vi.advanceTimersByTime(500);
    expect(FakeSocket.last.messages).toEqual([{ type: "resize", cols: 100, rows: 24 }]);
  });
});

describe("isReport", () => {
  it.each([
    "\x1b[12;40R",
    "\x1b[?1;2c",
    "\x1b[>0;276;0c",
    "\x1b[0n",
    "\x1b[?2026;2$y",
    "\x1b]11;rgb:0000/0000/0000\x1b\\",
    "\x1bP1$r0m\x1b\\",
  ])("%j is one", (data) => expect(isReport(data)).toBe(true));
  it.each(["a", "\r", "\x1b", "\x1b[A", "\x1bOP", "\x1b[15~", "\x1b[200~x\x1b[201~", "\x03"])("%j is typing", (data) =>
    expect(isReport(data)).toBe(false),
  );
});
