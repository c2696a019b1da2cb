import { describe, expect, it, vi } from "vitest";
import { ApiError, networkError } from "@/api/errors";
import type { Content, Expect } from "@/api/queries/files";
import type { Item } from "@/api/types";
import { item } from "@/test/entities";
import { type FileStore, OpenFile, type TextBuffer } from "./open-file";
import { OpenFiles } from "./open-files";

class FakeBuffer implements TextBuffer {
  #text: string;
  #version = 1;
  #changed = () => {};
  constructor(text: string) {
    this.#text = text;
  }
  text = () => this.#text;
  version = () => this.#version;
  onChange(changed: () => void): void {
    this.#changed = changed;
  }
  replace(text: string): void {
    this.#text = text;
    this.#version++;
    this.#changed();
  }
  dispose(): void {}
}

/** A server with one rule: a write must name what it replaces. */
class FakeServer implements FileStore {
  files = new Map<string, { text: string; version: number }>();
  clock = 0;
  writes: Expect[] = [];
  /** Runs before a write is looked at. */
  before: (() => void) | undefined;
  /** Runs after a write is stored, before it is answered. */
  after: (() => void) | undefined;

  put(path: string, text: string): Item {
    this.files.set(path, { text, version: ++this.clock });
    return this.item(path) as Item;
  }

  item(path: string): Item | null {
    const f = this.files.get(path);
    return f ? item(path, { version: f.version, size: f.text.length }) : null;
  }

  async read(path: string): Promise<Content> {
    const f = this.files.get(path);
    if (!f) throw new ApiError(404, "gone");
    return { bytes: new TextEncoder().encode(f.text), version: f.version, executable: false };
  }

  async write(path: string, text: string, expected: Expect): Promise<Item> {
    this.writes.push(expected);
    this.before?.();
    const f = this.files.get(path);
    const fits = expected === "any" || (expected === "absent" ? !f : f?.version === expected.version);
    if (!fits) throw new ApiError(409, "stale", { current: this.item(path) });
    const made = this.put(path, text);
    this.after?.();
    return made;
  }
}

async function opened(text = "one") {
  const server = new FakeServer();
  const first = server.put("a.py", text);
  const file = new OpenFile(server, "a.py", first);
  await vi.waitFor(() => expect(file.state.get().load).toBe("ready"));
  const buffer = file.buffer((t) => new FakeBuffer(t));
  return { server, file, buffer, state: () => file.state.get() };
}

describe("saving", () => {
  it("an untouched file sends nothing", async () => {
    const { server, file } = await opened();
    expect(await file.save()).toBe(true);
    expect(server.writes).toEqual([]);
  });

  it("names the version that it replaces, and the next save the one after", async () => {
    const { server, file, buffer, state } = await opened();
    buffer.replace("two");
    expect(state().dirty).toBe(true);
    expect(await file.save()).toBe(true);
    buffer.replace("three");
    expect(await file.save()).toBe(true);
    expect(server.writes).toEqual([{ version: 1 }, { version: 2 }]);
    expect(server.files.get("a.py")?.text).toBe("three");
    expect(state()).toMatchObject({ dirty: false, save: { is: "idle" }, saved: true });
  });

  it("what is typed during a save stays unsaved", async () => {
    const { server, file, buffer, state } = await opened();
    buffer.replace("two");
    server.before = () => {
      server.before = undefined;
      buffer.replace("three");
    };
    await file.save();
    expect(server.files.get("a.py")?.text).toBe("two");
    expect(state().dirty).toBe(true);
  });

  it("two saves at once are one after the other and do not conflict", async () => {
    const { server, file, buffer } = await opened();
    buffer.replace("two");
    const first = file.save();
    buffer.replace("three");
    expect(await Promise.all([first, file.save()])).toEqual([true, true]);
    expect(server.files.get("a.py")?.text).toBe("three");
  });

  it("a failure keeps the edits and says why; the next try works", async () => {
    const { server, file, buffer, state } = await opened();
    buffer.replace("two");
    server.before = () => {
      throw networkError();
    };
    expect(await file.save()).toBe(false);
    expect(state().save).toMatchObject({ is: "failed", reason: expect.stringContaining("cannot be reached") });
    expect(state().dirty).toBe(true);
    server.before = undefined;
    expect(await file.save()).toBe(true);
    expect(state().save.is).toBe("idle");
  });

  it("D2: a save whose answer was lost counts as saved at the next try", async () => {
    const { server, file, buffer, state } = await opened();
    buffer.replace("two");
    server.after = () => {
      server.after = undefined;
      throw networkError();
    };
    expect(await file.save()).toBe(false);
    expect(await file.save()).toBe(true);
    expect(state()).toMatchObject({ dirty: false, version: 2, save: { is: "idle" } });
  });
});

describe("a stale save", () => {
  async function conflicted() {
    const o = await opened();
    o.buffer.replace("mine");
    o.server.put("a.py", "theirs");
    expect(await o.file.save()).toBe(false);
    return o;
  }

  it("overwrites nothing and asks", async () => {
    const { server, state } = await conflicted();
    expect(server.files.get("a.py")?.text).toBe("theirs");
    expect(state().save).toMatchObject({ is: "conflict", current: { version: 2 } });
  });

  it("is not tried again while the question is open", async () => {
    const { server, file } = await conflicted();
    const before = server.writes.length;
    expect(await file.save()).toBe(false);
    expect(server.writes).toHaveLength(before);
  });

  it("keep mine replaces the version that was shown", async () => {
    const { server, file, state } = await conflicted();
    expect(await file.resolve("mine")).toBe(true);
    expect(server.files.get("a.py")?.text).toBe("mine");
    expect(state()).toMatchObject({ dirty: false, save: { is: "idle" } });
  });

  it("keep mine asks again when there is a third version by then", async () => {
    const { server, file, state } = await conflicted();
    server.put("a.py", "third");
    expect(await file.resolve("mine")).toBe(false);
    expect(server.files.get("a.py")?.text).toBe("third");
    expect(state().save.is).toBe("conflict");
  });

  it("take theirs replaces the edits", async () => {
    const { file, buffer, state } = await conflicted();
    expect(await file.resolve("theirs")).toBe(true);
    expect(buffer.text()).toBe("theirs");
    expect(state()).toMatchObject({ dirty: false, version: 2, save: { is: "idle" } });
  });

  it("of a file that was deleted can make it again", async () => {
    const { server, file, buffer, state } = await opened();
    buffer.replace("mine");
    server.files.delete("a.py");
    expect(await file.save()).toBe(false);
    expect(state().save).toEqual({ is: "conflict", current: null });
    expect(await file.resolve("mine")).toBe(true);
    expect(server.writes.at(-1)).toBe("absent");
    expect(server.files.get("a.py")?.text).toBe("mine");
  });

  it("is none when only the version has changed and not the content", async () => {
    const { server, file, buffer } = await opened("one");
    buffer.replace("two");
    server.put("a.py", "one");
    expect(await file.save()).toBe(true);
    expect(server.files.get("a.py")?.text).toBe("two");
  });
});

describe("a change elsewhere", () => {
  it("is shown in place when there are no edits", async () => {
    const { server, file, buffer, state } = await opened();
    file.sync(server.put("a.py", "theirs"));
    await vi.waitFor(() => expect(buffer.text()).toBe("theirs"));
    expect(state()).toMatchObject({ dirty: false, version: 2, elsewhere: false });
  });

  it("never touches edits, and marks them", async () => {
    const { server, file, buffer, state } = await opened();
    buffer.replace("mine");
    file.sync(server.put("a.py", "theirs"));
    await vi.waitFor(() => expect(state().elsewhere).toBe(true));
    expect(buffer.text()).toBe("mine");
    expect(await file.save()).toBe(false);
    expect(state().save.is).toBe("conflict");
  });

  it("that is the echo of our own save changes nothing, even before the answer", async () => {
    const { server, file, buffer, state } = await opened();
    buffer.replace("two");
    server.after = () => file.sync(server.item("a.py") ?? undefined);
    expect(await file.save()).toBe(true);
    expect(state()).toMatchObject({ dirty: false, elsewhere: false, version: 2 });
  });

  it("during a save is looked at after it", async () => {
    const { server, file, buffer, state } = await opened();
    buffer.replace("two");
    server.after = () => {
      server.after = undefined;
      file.sync(server.put("a.py", "theirs"));
    };
    expect(await file.save()).toBe(true);
    await vi.waitFor(() => expect(buffer.text()).toBe("theirs"));
    expect(state().dirty).toBe(false);
  });

  it("a removal keeps the text, and a save makes the file again", async () => {
    const { server, file, buffer, state } = await opened();
    server.files.delete("a.py");
    file.sync(undefined);
    expect(state().removed).toBe(true);
    expect(buffer.text()).toBe("one");
    expect(await file.save()).toBe(true);
    expect(server.files.get("a.py")?.text).toBe("one");
    expect(state().removed).toBe(false);
  });

  it("typing that begins while the new version is read wins over it", async () => {
    const { server, file, buffer, state } = await opened();
    file.sync(server.put("a.py", "theirs"));
    buffer.replace("typed");
    await vi.waitFor(() => expect(state().elsewhere).toBe(true));
    expect(buffer.text()).toBe("typed");
  });
});

describe("what is shown", () => {
  it("bytes that are no UTF-8 are binary, and are not edited", async () => {
    const store: FileStore = {
      read: async () => ({ bytes: Uint8Array.of(0xff, 0xfe, 1), version: 1, executable: false }),
      write: async () => Promise.reject(new Error("not called")),
    };
    const file = new OpenFile(store, "x.dat", item("x.dat"));
    await vi.waitFor(() => expect(file.state.get().load).toBe("ready"));
    expect(file.state.get().shows).toBe("binary");
  });

  it("a failure to read is told and can be tried again", async () => {
    const server = new FakeServer();
    const file = new OpenFile(server, "a.py");
    await vi.waitFor(() => expect(file.state.get().load).toBe("failed"));
    server.put("a.py", "x");
    await file.load();
    expect(file.state.get()).toMatchObject({ load: "ready", shows: "text" });
  });

  it("an image is followed by its version", () => {
    const file = new OpenFile(new FakeServer(), "plot.png", item("plot.png", { version: 3 }));
    file.sync(item("plot.png", { version: 8 }));
    expect(file.state.get()).toMatchObject({ shows: "image", version: 8 });
  });
});

describe("OpenFiles", () => {
  it("tries a save again that failed for want of a server, and not one that was refused", async () => {
    const server = new FakeServer();
    const files = new OpenFiles(server);
    const [a, b] = ["a.py", "b.py"].map((path) => files.open(path, server.put(path, "one")));
    if (!a || !b) throw new Error("not opened");
    for (const [file, error] of [
      [a, networkError()],
      [b, new ApiError(413, "too large")],
    ] as const) {
      await vi.waitFor(() => expect(file.state.get().load).toBe("ready"));
      file.buffer((t) => new FakeBuffer(t)).replace("two");
      server.before = () => {
        throw error;
      };
      expect(await file.save()).toBe(false);
    }
    server.before = undefined;
    files.retry();
    await vi.waitFor(() => expect(a.state.get().save.is).toBe("idle"));
    expect(server.files.get("a.py")?.text).toBe("two");
    expect(b.state.get().save).toMatchObject({ is: "failed", reason: "too large" });
  });

  it("opens a file once, and closing shows the neighbour", () => {
    const files = new OpenFiles(new FakeServer());
    const a = files.open("a.png");
    const b = files.open("b.png");
    expect(files.open("a.png")).toBe(a);
    files.close(a);
    expect(files.tabs.get()).toMatchObject({ files: [b], active: b });
    files.close(b);
    expect(files.tabs.get().active).toBeUndefined();
  });

  it("tabs follow a folder that is moved", () => {
    const files = new OpenFiles(new FakeServer());
    const a = files.open("src/a.png");
    files.open("src2/b.png");
    files.moved("src", "lib/src");
    expect(a.path).toBe("lib/src/a.png");
    expect(files.find("src2/b.png")).toBeDefined();
  });
});
