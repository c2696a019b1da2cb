// Editing: what is saved is what runs, and what is what comes back.
import assert from "node:assert/strict";
import { after, before } from "node:test";
import { Api } from "./harness/api.mjs";
import { launch, Visitor } from "./harness/browser.mjs";
import { Server } from "./harness/server.mjs";
import { tests } from "./harness/steps.mjs";
import { until } from "./harness/wait.mjs";
import { WorkspacePage } from "./harness/workspace.mjs";

let server;
let browser;
let visitor;
let api;
let id;
let workspace;

const test = tests(() => visitor);

before(async () => {
  server = await Server.start();
  api = await Api.setUp(server);
  ({ id } = await api.createWorkspace("Editing", "blank"));
  browser = await launch();
  visitor = await Visitor.open(browser, server, { api });
  workspace = await WorkspacePage.open(visitor, id);
});

after(async () => {
  await api?.endSessions();
  await browser?.close();
  await server?.close();
});

const save = () => visitor.page.keyboard.press("Control+s");
const stored = (path, text) =>
  until(`${path} to be stored as ${JSON.stringify(text)}`, async () => (await api.read(id, path)) === text, {
    state: () => api.read(id, path),
  });

test("a line that is edited and saved with Ctrl+S is what runs", async () => {
  await workspace.openFile("main.py", "print");
  await workspace.replaceText('print("first", 6 * 7)\n');
  await save();
  await stored("main.py", 'print("first", 6 * 7)\n');
  await visitor.page.getByRole("button", { name: "Run", exact: true }).click();
  await workspace.terminalShows("first 42", { deadline: 60_000 });

  await workspace.replaceText('print("second", 6 * 8)\n');
  await save();
  await stored("main.py", 'print("second", 6 * 8)\n');
  await visitor.page.getByRole("button", { name: "Run", exact: true }).click();
  await workspace.terminalShows("second 48", { deadline: 60_000 });
  visitor.assertClean();
});

test("Run saves what was typed before it runs", async () => {
  await workspace.replaceText('print("unsaved", 7 * 7)\n');
  await visitor.page.keyboard.press("Control+Enter");
  await workspace.terminalShows("unsaved 49", { deadline: 60_000 });
  await stored("main.py", 'print("unsaved", 7 * 7)\n');
});

test("F2: a text with every kind of character arrives byte for byte in the sandbox and comes back", async () => {
  const text = "naïve Å 日本語 👩‍👩‍👧 ❤️ \u202eabc\u202c e\u0301\tend";
  await workspace.replaceText(text);
  await save();
  await stored("main.py", text);
  await visitor.page.getByRole("button", { name: "New terminal" }).click();
  await workspace.prompt();
  const sum = (await workspace.command("sha256sum < main.py", /[0-9a-f]{64}/)).match(/[0-9a-f]{64}/)[0];
  const { createHash } = await import("node:crypto");
  assert.equal(sum, createHash("sha256").update(text).digest("hex"));
});

test("a file that a program changes is shown changed in the editor", async () => {
  await workspace.openFile("README.md", "#");
  await workspace.command("printf '# changed by a program\\n' > README.md");
  await workspace.editorShows("# changed by a program");
  visitor.assertClean();
});

test("files made, moved and deleted in the sandbox appear and go in the tree", async () => {
  await workspace.command("mkdir -p reports && echo one > reports/one.txt && echo two > two.txt");
  await workspace.item("reports").waitFor();
  await workspace.item("two.txt").waitFor();
  await workspace.command("mv two.txt three.txt");
  await workspace.item("three.txt").waitFor();
  await workspace.item("two.txt").waitFor({ state: "detached" });
  await workspace.command("rm -r three.txt reports");
  await workspace.item("three.txt").waitFor({ state: "detached" });
  await workspace.item("reports").waitFor({ state: "detached" });
  visitor.assertClean();
});

test("F8: a save over a version that somebody else has replaced is refused and offers both", async () => {
  const { page } = visitor;
  await workspace.tab("main.py").click();
  await workspace.replaceText("print('mine')\n");
  await api.write(id, "main.py", "print('theirs')\n");
  visitor.allow(/409/);
  await save();
  await page.getByRole("button", { name: "Keep mine" }).waitFor();
  assert.equal(await api.read(id, "main.py"), "print('theirs')\n", "want their version untouched until I choose");
  assert.match(await workspace.editorText(), /mine/, "want my text still in the editor");
  await page.getByRole("button", { name: "Compare" }).click();
  await page.getByText("On the server now").first().waitFor();
  await page.getByRole("button", { name: "Keep mine" }).first().click();
  await stored("main.py", "print('mine')\n");
  visitor.assertClean();
});
