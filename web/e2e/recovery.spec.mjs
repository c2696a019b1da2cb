// What survives: a reload, the death of the server, the death of the sandbox.
import assert from "node:assert/strict";
import { after, before } from "node:test";
import { Api } from "./harness/api.mjs";
import { launch, Visitor } from "./harness/browser.mjs";
import { processesWith, Server } from "./harness/server.mjs";
import { tests } from "./harness/steps.mjs";
import { until } from "./harness/wait.mjs";
import { WorkspacePage } from "./harness/workspace.mjs";

let server;
let browser;
let visitor;
let api;
let id;
let workspace;

const test = tests(() => visitor, { story: true });

before(async () => {
  server = await Server.start();
  api = await Api.setUp(server);
  ({ id } = await api.createWorkspace("Recovery", "blank"));
  browser = await launch();
  visitor = await Visitor.open(browser, server, { api });
  workspace = await WorkspacePage.open(visitor, id);
  await workspace.prompt();
  await workspace.command("echo scrollback from the beginning", /scrollback from the beginning/);
  await workspace.enter("python3 -q");
  await workspace.terminalShows(/>>> $/);
  await workspace.enter("answer = 6 * 7");
});

after(async () => {
  await api?.endSessions();
  await browser?.close();
  await server?.close();
});

test("a reload shows the same terminal with its scrollback, and Python still holds its variables", async () => {
  await visitor.page.reload();
  workspace = new WorkspacePage(visitor);
  await workspace.terminalShows("scrollback from the beginning");
  await workspace.enter("print('after the reload', answer)");
  await workspace.terminalShows("after the reload 42");
  const text = await workspace.terminalText();
  assert.equal(
    text.match(/^scrollback from the beginning/gm).length,
    1,
    "want the scrollback once, not replayed over itself",
  );
  visitor.assertClean();
});

test("D1: the server is killed and started again: the open tab comes back by itself, nothing is lost", async () => {
  visitor.allow(/ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE|WebSocket|Failed to (load|fetch)/);
  await api.write(id, "acknowledged.txt", "written before the kill\n");
  await workspace.enter(
    "import time; [print('tick', i) or time.sleep(0.1) for i in range(40)] and print('done', answer)",
  );
  await workspace.terminalShows("tick 3");
  await server.kill();
  await server.again();
  await workspace.terminalShows("done 42", { deadline: 30_000 });
  const text = await workspace.terminalText();
  const ticks = [...text.matchAll(/^tick (\d+)/gm)].map((m) => Number(m[1]));
  assert.deepEqual(
    ticks,
    Array.from({ length: 40 }, (_, i) => i),
    "want each line once and in order over the kill",
  );
  await workspace.enter("print('after the kill', answer)");
  await workspace.terminalShows("after the kill 42");
  await workspace.item("acknowledged.txt").waitFor();
  assert.equal(await api.read(id, "acknowledged.txt"), "written before the kill\n");
});

test("what is typed in the editor while the server is down is saved when it is back", async () => {
  await workspace.openFile("main.py", "print");
  await server.kill();
  await workspace.replaceText("print('typed while it was down')\n");
  await server.again();
  await visitor.page.keyboard.press("Control+s");
  await until("the save", async () => (await api.read(id, "main.py")) === "print('typed while it was down')\n");
});

test("S6: a sandbox that is killed behind the server's back: the page says so, a restart brings everything back", async () => {
  const { session } = await api.json("GET", `/workspaces/${id}/session`);
  const sandboxes = await until("the sandbox's process", async () => {
    const found = await processesWith("runsc-sandbox", session.id);
    return found.size > 0 && found;
  });
  for (const pid of sandboxes.keys()) process.kill(pid, "SIGKILL");
  await workspace.terminal.getByRole("heading", { name: "The sandbox ended" }).waitFor({ timeout: 30_000 });
  for (const name of ["main.py", "acknowledged.txt"]) await workspace.item(name).waitFor();
  await workspace.terminal.getByRole("button", { name: "Restart" }).click();
  await workspace.prompt();
  await workspace.command("cat acknowledged.txt", /written before the kill/);
  const { session: next } = await api.json("GET", `/workspaces/${id}/session`);
  assert.notEqual(next.id, session.id);
  assert.equal(next.state, "running");
});
