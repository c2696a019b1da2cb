import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FakeSocket, FakeWebSocket } from "@/test/fake-socket";
import { ReconnectingSocket, type SocketEnd, type SocketState, type Verdict } from "./socket";

const open: ReconnectingSocket[] = [];

function start(probe?: () => Promise<Verdict>, random = () => 1) {
  const seen = { states: [] as SocketState[], ends: [] as SocketEnd[], texts: [] as string[] };
  let tries = 0;
  const socket = new ReconnectingSocket(
    () => `ws://test/${tries++}`,
    {
      onText: (t) => seen.texts.push(t),
      onState: (s) => seen.states.push(s),
      onEnd: (e) => seen.ends.push(e),
      ...(probe ? { probe } : {}),
    },
    { WebSocket: FakeWebSocket, random },
  );
  open.push(socket);
  return { socket, seen };
}

beforeEach(() => {
  vi.useFakeTimers();
  FakeSocket.all = [];
});
afterEach(() => {
  for (const socket of open.splice(0)) socket.dispose();
  vi.useRealTimers();
});

describe("ReconnectingSocket", () => {
  it("waits twice as long after each failure, up to 15 s", () => {
    start();
    const delays: number[] = [];
    for (let i = 0; i < 8; i++) {
      FakeSocket.last.drop(1006);
      const before = Date.now();
      vi.runOnlyPendingTimers();
      delays.push(Date.now() - before);
    }
    // The open time-out of the next attempt does not run: pending timers are only those of the delay.
    expect(delays).toEqual([400, 800, 1600, 3200, 6400, 12800, 15000, 15000]);
  });

  it("spreads the delays", () => {
    start(undefined, () => 0);
    FakeSocket.last.drop(1006);
    vi.advanceTimersByTime(199);
    expect(FakeSocket.all).toHaveLength(1);
    vi.advanceTimersByTime(1);
    expect(FakeSocket.all).toHaveLength(2);
  });

  it("comes back at once when the server says that it goes away", () => {
    start();
    FakeSocket.last.accept();
    FakeSocket.last.drop(1001);
    vi.advanceTimersByTime(150);
    expect(FakeSocket.all).toHaveLength(2);
  });

  it("begins with the shortest delay again after a connection that lasted", () => {
    start();
    for (let i = 0; i < 5; i++) {
      FakeSocket.last.drop(1006);
      vi.runOnlyPendingTimers();
    }
    FakeSocket.last.accept();
    vi.advanceTimersByTime(10_000);
    FakeSocket.last.drop(1006);
    vi.advanceTimersByTime(400);
    expect(FakeSocket.all).toHaveLength(7);
  });

  it.each([
    [1008, "denied"],
    [4404, "gone"],
    [1000, "done"],
  ] as const)("does not come back after %i: %s", (code, end) => {
    const { seen } = start();
    FakeSocket.last.accept();
    FakeSocket.last.drop(code);
    vi.advanceTimersByTime(60_000);
    expect(FakeSocket.all).toHaveLength(1);
    expect(seen.ends).toEqual([end]);
    expect(seen.states.at(-1)).toBe("closed");
  });

  it.each(["denied", "gone"] as const)("asks why a handshake failed, and stops when it is %s", async (verdict) => {
    const { seen } = start(async () => verdict);
    FakeSocket.last.drop(1006);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(FakeSocket.all).toHaveLength(1);
    expect(seen.ends).toEqual([verdict]);
  });

  it("goes on trying when the server does not answer that question", async () => {
    const { seen } = start(async () => {
      throw new Error("offline");
    });
    FakeSocket.last.drop(1006);
    await vi.advanceTimersByTimeAsync(500);
    expect(FakeSocket.all).toHaveLength(2);
    expect(seen.ends).toEqual([]);
  });

  it("tries at once when the network is back", () => {
    start();
    for (let i = 0; i < 6; i++) {
      FakeSocket.last.drop(1006);
      if (i < 5) vi.runOnlyPendingTimers();
    }
    const before = FakeSocket.all.length;
    window.dispatchEvent(new Event("online"));
    expect(FakeSocket.all).toHaveLength(before + 1);
  });

  it("sends nothing while it is not open and says so", () => {
    const { socket } = start();
    expect(socket.send("x")).toBe(false);
    FakeSocket.last.accept();
    expect(socket.send("y")).toBe(true);
    expect(FakeSocket.last.sent).toEqual(["y"]);
  });

  it("is silent after it was disposed", () => {
    const { socket, seen } = start();
    const far = FakeSocket.last;
    far.accept();
    socket.dispose();
    far.text({ late: true });
    far.drop(1006);
    vi.advanceTimersByTime(60_000);
    expect(seen.texts).toEqual([]);
    expect(seen.ends).toEqual(["disposed"]);
    expect(FakeSocket.all).toHaveLength(1);
  });
});
