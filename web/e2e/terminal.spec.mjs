// The terminal in a browser against a real PTY in a real sandbox.
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
let workspace;

const test = tests(() => visitor);

before(async () => {
  server = await Server.start();
  api = await Api.setUp(server);
  const { id } = await api.createWorkspace("Terminal", "blank");
  browser = await launch();
  visitor = await Visitor.open(browser, server, { api });
  workspace = await WorkspacePage.open(visitor, id);
  await workspace.prompt();
});

after(async () => {
  await api?.endSessions();
  await browser?.close();
  await server?.close();
});

const press = (key) => visitor.page.keyboard.press(key);

/** Copies text as if it came from another program, and pastes it into the terminal. */
async function paste(text) {
  await workspace.focusTerminal();
  await visitor.page.evaluate((pasted) => {
    const data = new DataTransfer();
    data.setData("text/plain", pasted);
    document.activeElement.dispatchEvent(
      new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }),
    );
  }, text);
}

test("a Python prompt computes and keeps its variables", async () => {
  await workspace.enter("python3 -q");
  await workspace.terminalShows(/>>> $/);
  await workspace.enter("total = sum(range(101))");
  await workspace.enter("print('total', total)");
  await workspace.terminalShows("total 5050");
});

test("Ctrl-C ends an endless loop and leaves Python alive", async () => {
  await workspace.enter("while True: pass");
  await press("Enter");
  await press("Control+c");
  await workspace.terminalShows("KeyboardInterrupt");
  await workspace.enter("print('still', total)");
  await workspace.terminalShows("still 5050");
  await press("Control+d");
  await workspace.prompt();
});

test("Ctrl-C ends a flood of output, and the prompt is there at once", async () => {
  await workspace.enter("yes flooding");
  await workspace.terminalShows(/(flooding\s+){20}/);
  await press("Control+c");
  await workspace.terminalShows(/130 \S+[$#] ?$/, { deadline: 2_000 });
  await workspace.command("echo after the flood", /after the flood/);
});

test("less takes the whole screen and gives it back", async () => {
  await workspace.command("seq 1 2000 > numbers.txt; echo before less", /before less/);
  await workspace.enter("less numbers.txt");
  await until("less to have the screen to itself", async () => {
    const text = await workspace.terminalText();
    return /^1\r?\n2\r?\n3/m.test(text) && !text.includes("before less");
  });
  await workspace.type("G");
  await workspace.terminalShows("2000");
  await workspace.type("q");
  await workspace.terminalShows("before less");
});

test("nano edits and saves a file", async () => {
  await workspace.enter("nano note.txt");
  await workspace.terminalShows("GNU nano");
  await workspace.type("written in nano");
  await press("Control+o");
  await workspace.terminalShows(/File Name to Write/);
  await press("Enter");
  await workspace.terminalShows(/Wrote 1 line/);
  await press("Control+x");
  await workspace.command("cat note.txt", /written in nano/);
  await workspace.item("note.txt").waitFor();
});

test("the shell knows the size of the window, also after the window has changed", async () => {
  const size = async () =>
    (await workspace.command("stty size", /\d+ \d+/))
      .match(/(\d+) (\d+)/)
      .slice(1)
      .map(Number);
  const [rows, cols] = await size();
  await visitor.page.setViewportSize({ width: 1000, height: 700 });
  await until("a narrower shell", async () => (await size())[1] < cols);
  await visitor.page.setViewportSize({ width: 1440, height: 900 });
  await until("the first size again", async () => {
    const [r, c] = await size();
    return r === rows && c === cols;
  });
});

test("text of every script is typed, echoed and printed", async () => {
  const text = "žluťoučký ελληνικά русский 日本語 한국어 🙂";
  await workspace.focusTerminal();
  await visitor.page.keyboard.insertText(`echo '${text}' | tee text.txt | wc -m`);
  await press("Enter");
  await workspace.terminalShows(new RegExp(`^\\s*${[...text].length + 1}\\s*$`, "m"));
  assert.match(await workspace.command("cat text.txt"), new RegExp(text));
});

test("5,000 pasted lines arrive complete and in order", async () => {
  const lines = Array.from({ length: 5000 }, (_, i) => `line ${i + 1} of a long paste`);
  await workspace.enter("cat > pasted.txt");
  await paste(`${lines.join("\n")}\n`);
  await workspace.terminalShows("line 5000 of a long paste", { deadline: 60_000 });
  await press("Control+d");
  await workspace.prompt();
  await workspace.command("wc -l pasted.txt", /^5000 pasted\.txt/m);
  const { createHash } = await import("node:crypto");
  const sum = createHash("sha256")
    .update(`${lines.join("\n")}\n`)
    .digest("hex");
  await workspace.command("sha256sum pasted.txt", new RegExp(sum), { deadline: 20_000 });
});

test("P5: what a program prints cannot write the clipboard, type for the user or lead to a dangerous address", async () => {
  const { page, context } = visitor;
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.evaluate(() => navigator.clipboard.writeText("mine"));
  const [, rows, cols] = (await workspace.command("stty size", /\d+ \d+/)).match(/(\d+) (\d+)/).map(Number);
  // Clears the screen, writes the clipboard, sets the title and asks for it, asks for a setting, and hides an address.
  const attack = String.raw`\033[2J\033[H\033]52;c;cHduZWQ=\007\033]0;echo pwned\007\033[21t\033P$q"p\033\\\005\033]8;;javascript:window.__pwned=1\007click\033]8;;\007\n`;
  await workspace.enter(`printf '${attack}'`);
  await workspace.terminalShows(/^click/m);
  await workspace.clickCell(2, 0, { rows, cols });
  await press("Control+c"); // the answer to the question for a setting is one of readline's keys
  await workspace.command("echo nothing typed by itself", /^nothing typed by itself/m);
  assert.equal(await page.evaluate(() => window.__pwned), undefined);
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), "mine");
  assert.doesNotMatch(await workspace.terminalText(), /command not found/);
  visitor.assertClean();
});

test("a second terminal is another shell, and closing it leaves the first", async () => {
  const first = await workspace.command("echo shell $$", /shell \d+/);
  await visitor.page.getByRole("button", { name: "New terminal" }).click();
  await workspace.prompt();
  const second = await workspace.command("echo shell $$", /shell \d+/);
  assert.notEqual(first.match(/\d+/)[0], second.match(/\d+/)[0]);
  await workspace.enter("exit");
  visitor.assertClean();
});
