import { afterEach, describe, expect, it, vi } from "vitest";
import { call, encodePath, send, signedOut, socketUrl } from "./client";
import { type ApiError, messageOf } from "./errors";
import { readFile, versionOf, writeFile } from "./queries/files";

const problem = (status: number, body: object, headers: Record<string, string> = {}) =>
  new Response(JSON.stringify(body), { status, headers: { "Content-Type": "application/problem+json", ...headers } });

function answer(response: Response | Error) {
  const mock = vi.fn<typeof fetch>(async () => {
    if (response instanceof Error) throw response;
    return response;
  });
  vi.stubGlobal("fetch", mock);
  return mock;
}

const failure = (promise: Promise<unknown>): Promise<ApiError> =>
  promise.then(
    () => Promise.reject(new Error("want a failure")),
    (error: unknown) => error as ApiError,
  );

afterEach(() => {
  vi.unstubAllGlobals();
  signedOut.set(false);
});

describe("errors", () => {
  it("show what the server says to its user", async () => {
    answer(problem(429, { detail: "You have 20 workspaces, which is the limit.", requestId: "r1" }));
    const error = await failure(call("POST", "/workspaces"));
    expect(error).toMatchObject({
      status: 429,
      requestId: "r1",
      message: "You have 20 workspaces, which is the limit.",
    });
  });

  it("keep the wrong fields, and name them instead of a general sentence", async () => {
    answer(
      problem(422, {
        detail: "validation failed",
        errors: [{ location: "body.name", message: "A name needs a letter." }],
      }),
    );
    const error = await failure(call("POST", "/workspaces"));
    expect(error.message).toBe("A name needs a letter.");
    expect(error.field("name")).toBe("A name needs a letter.");
    expect(error.field("username")).toBeUndefined();
  });

  it("of a stale save carry the item as it is now", async () => {
    answer(
      problem(409, {
        detail: "stale",
        current: { path: "a", version: 7, kind: "file", size: 1, changedAt: "2026-01-01T00:00:00Z" },
      }),
    );
    expect((await failure(writeFile("w", "a", "x", { version: 6 }))).current?.version).toBe(7);
  });

  it("of a stale save of a deleted file carry null", async () => {
    answer(problem(409, { detail: "stale" }));
    expect((await failure(writeFile("w", "a", "x", { version: 6 }))).current).toBeNull();
  });

  it.each([
    [
      "HTML of a proxy",
      new Response("<h1>Bad gateway</h1>", { status: 502, headers: { "Content-Type": "text/html" } }),
      /not available/,
    ],
    ["broken JSON", new Response("{", { status: 500, headers: { "Content-Type": "application/json" } }), /went wrong/],
    ["an empty body", new Response(null, { status: 404 }), /does not exist/],
    ["JSON that is no object", problem(403, null as unknown as object), /not allowed/],
  ])("from %s still say something", async (_name, response, want) => {
    answer(response);
    expect((await failure(call("GET", "/x"))).message).toMatch(want);
  });

  it("say when the server cannot be reached", async () => {
    answer(new TypeError("Failed to fetch"));
    const error = await failure(call("GET", "/x"));
    expect(error.status).toBe(0);
    expect(error.message).toMatch(/cannot be reached/);
  });

  it("tell how long to wait", async () => {
    answer(problem(429, {}, { "Retry-After": "30" }));
    expect((await failure(call("POST", "/auth/login"))).retryAfter).toBe(30);
  });

  it("never show the text of an unknown error", () => {
    expect(messageOf(new Error("secret detail"))).not.toContain("secret");
  });
});

describe("the end of a login", () => {
  it("is noticed with any request", async () => {
    answer(problem(401, { detail: "Sign in first." }));
    await failure(call("GET", "/workspaces"));
    expect(signedOut.get()).toBe(true);
  });

  it("is not a wrong password", async () => {
    answer(problem(401, { detail: "Wrong username or password." }));
    await failure(call("POST", "/auth/login"));
    expect(signedOut.get()).toBe(false);
  });
});

describe("requests", () => {
  it("escape each name of a path", () => {
    expect(encodePath("a b/ü#?.py/100%")).toBe("a%20b/%C3%BC%23%3F.py/100%25");
  });

  it.each([
    [{ version: 5 }, { "If-Match": '"5"' }],
    ["absent", { "If-None-Match": "*" }],
    ["any", { "If-Match": "*" }],
  ] as const)("a write that expects %j says so", async (expected, headers) => {
    const mock = answer(new Response("{}", { status: 200 }));
    await writeFile("w", "a.py", "x", expected);
    expect(mock.mock.calls[0]?.[1]?.headers).toMatchObject(headers);
  });

  it("a read gives bytes, version and the executable bit", async () => {
    answer(new Response("hi", { headers: { ETag: '"12"', "X-Vivarium-Executable": "1" } }));
    const content = await readFile("w", "a.sh");
    expect(new TextDecoder().decode(content.bytes)).toBe("hi");
    expect(content).toMatchObject({ version: 12, executable: true });
  });

  it("versionOf takes only our ETags", () => {
    expect([versionOf('"9"'), versionOf('W/"9"'), versionOf("9"), versionOf(null)]).toEqual([9, 9, 0, 0]);
  });

  it("without an answer's body give undefined", async () => {
    answer(new Response(null, { status: 204 }));
    expect(await call("DELETE", "/x")).toBeUndefined();
  });

  it("that were given up are no errors of ours", async () => {
    const abort = new AbortController();
    abort.abort();
    answer(new Error("aborted"));
    await expect(send("GET", "/x", { signal: abort.signal })).rejects.toThrow("aborted");
  });

  it("sockets go to the page's own host, encrypted where the page is", () => {
    expect(socketUrl("/x", { protocol: "https:", host: "h:1" })).toBe("wss://h:1/api/v1/x");
    expect(socketUrl("/x", { protocol: "http:", host: "h" })).toBe("ws://h/api/v1/x");
  });
});
