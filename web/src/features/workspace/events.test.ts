import { QueryClient, QueryObserver } from "@tanstack/react-query";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { keys } from "@/api/keys";
import type { SessionView, Tree, Workspace } from "@/api/types";
import { item, terminal, workspace } from "@/test/entities";
import { FakeSocket, FakeWebSocket } from "@/test/fake-socket";
import { TreeLog } from "../files/tree-cache";
import { WorkspaceEvents } from "./events";

const id = workspace().id;
let clean: (() => void)[] = [];

async function start(tree: Tree = { items: [item("a.py")] }) {
  const client = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  const log = new TreeLog();
  const fetched = vi.fn(async () => tree);
  const observer = new QueryObserver(client, {
    queryKey: keys.tree(id),
    queryFn: () => log.fetch(fetched),
    staleTime: Number.POSITIVE_INFINITY,
  });
  const stop = observer.subscribe(() => {});
  const handlers = { moved: vi.fn(), conflict: vi.fn(), ended: vi.fn() };
  const events = new WorkspaceEvents(id, client, log, handlers, { WebSocket: FakeWebSocket, random: () => 0 });
  clean.push(
    () => events.dispose(),
    stop,
    () => client.clear(),
  );
  await vi.advanceTimersByTimeAsync(0);
  FakeSocket.last.accept();
  const paths = () => client.getQueryData<Tree>(keys.tree(id))?.items.map((i) => i.path);
  const session = () => client.getQueryData<SessionView>(keys.session(id));
  const settle = () => vi.advanceTimersByTimeAsync(100);
  const hello = () => FakeSocket.last.text({ type: "hello", session: null, terminals: [], notSaved: [] });
  return { client, events, handlers, fetched, paths, session, settle, hello };
}

beforeEach(() => {
  vi.useFakeTimers();
  FakeSocket.all = [];
});
afterEach(() => {
  for (const f of clean) f();
  clean = [];
  vi.useRealTimers();
});

describe("WorkspaceEvents", () => {
  it("puts changes into the cached tree without fetching it", async () => {
    const { fetched, paths, settle } = await start();
    const before = fetched.mock.calls.length;
    FakeSocket.last.text({ type: "item", item: item("b.py", { version: 2 }), by: "session" });
    FakeSocket.last.text({ type: "removed", path: "a.py" });
    await settle();
    expect(paths()).toEqual(["b.py"]);
    expect(fetched).toHaveBeenCalledTimes(before);
  });

  it("a burst of 500 files is one change of the cache", async () => {
    const { client, paths, settle } = await start();
    const changed = vi.fn();
    clean.push(
      client.getQueryCache().subscribe((e) => e.type === "updated" && e.action.type === "success" && changed()),
    );
    for (let i = 0; i < 500; i++)
      FakeSocket.last.text({ type: "item", item: item(`f${i}`, { version: i + 2 }), by: "session" });
    await settle();
    expect(paths()).toHaveLength(501);
    expect(changed).toHaveBeenCalledTimes(1);
  });

  it("a greeting fetches the tree once, however often it comes meanwhile", async () => {
    const { fetched, settle, hello } = await start();
    const before = fetched.mock.calls.length;
    hello();
    hello();
    hello();
    await settle();
    expect(fetched.mock.calls.length - before).toBeLessThanOrEqual(3);
    expect(fetched.mock.calls.length - before).toBeGreaterThanOrEqual(1);
  });

  it("tells about a move before the tree shows it, and learns the new versions", async () => {
    const { handlers, fetched, paths, settle } = await start();
    const before = fetched.mock.calls.length;
    handlers.moved.mockImplementation(() => expect(paths()).toEqual(["a.py"]));
    FakeSocket.last.text({ type: "moved", from: "a.py", to: "z.py" });
    await settle();
    expect(handlers.moved).toHaveBeenCalledWith("a.py", "z.py");
    expect(fetched.mock.calls.length).toBe(before + 1);
  });

  it("keeps the session, its terminals and what is not saved", async () => {
    const { session, settle } = await start();
    const live = { id, state: "running" as const, createdAt: "2026-01-01T00:00:00Z" };
    FakeSocket.last.text({ type: "hello", session: live, terminals: [terminal()], notSaved: [] });
    FakeSocket.last.text({ type: "notSaved", items: [{ path: "x", reason: "too large", size: 5 }] });
    await settle();
    expect(session()).toMatchObject({
      session: { state: "running" },
      terminals: [{ title: "bash" }],
      notSaved: [{ path: "x" }],
    });
    FakeSocket.last.text({ type: "session", session: { ...live, state: "ended", reason: "Out of memory." } });
    FakeSocket.last.text({ type: "terminals", terminals: null });
    expect(session()).toMatchObject({ session: { state: "ended", reason: "Out of memory." }, terminals: [] });
  });

  it("keeps what limits have done, and tells the usage until the session is over", async () => {
    const { client, events, session, hello } = await start();
    hello();
    const changed = vi.fn();
    clean.push(client.getQueryCache().subscribe(changed));
    const usage = { at: "2026-01-01T00:00:00Z", cpu: 0.5, memoryBytes: 1 << 20, processes: 3, diskBytes: 0 };
    FakeSocket.last.text({ type: "usage", usage });
    expect(events.usage.get()?.cpu).toBe(0.5);
    expect(changed).not.toHaveBeenCalled();
    const notice = { at: usage.at, limit: "memory", bound: 1, peak: 1, text: "The memory was used up." };
    FakeSocket.last.text({ type: "notices", notices: [notice] });
    expect(session()?.notices).toEqual([notice]);
    FakeSocket.last.text({ type: "session", session: null });
    expect(events.usage.get()).toBeUndefined();
  });

  it("reports a conflict and keeps it in the view", async () => {
    const { handlers, session, hello } = await start();
    hello();
    FakeSocket.last.text({ type: "conflict", path: "a.py", copy: "a (conflict).py" });
    expect(handlers.conflict).toHaveBeenCalledWith({ path: "a.py", copy: "a (conflict).py" });
    expect(session()?.conflicts).toHaveLength(1);
  });

  it("a new name arrives in the cache", async () => {
    const { client } = await start();
    FakeSocket.last.text({ type: "workspace", workspace: workspace({ name: "New" }) });
    expect(client.getQueryData<Workspace>(keys.workspace(id))?.name).toBe("New");
  });

  it("a deleted workspace ends it, once", async () => {
    const { handlers, settle } = await start();
    FakeSocket.last.text({ type: "gone" });
    FakeSocket.last.drop(4404);
    await settle();
    expect(handlers.ended).toHaveBeenCalledWith("gone");
    expect(FakeSocket.all).toHaveLength(1);
  });

  it("A5: the end of the login ends it", async () => {
    const { handlers } = await start();
    FakeSocket.last.drop(1008);
    expect(handlers.ended).toHaveBeenCalledWith("denied");
  });
});
