// From an empty installation to a chart: what somebody does in the first five minutes.
import assert from "node:assert/strict";
import { after, before } from "node:test";
import { password } from "./harness/api.mjs";
import { launch, Visitor } from "./harness/browser.mjs";
import { Server } from "./harness/server.mjs";
import { tests } from "./harness/steps.mjs";
import { until } from "./harness/wait.mjs";
import { WorkspacePage } from "./harness/workspace.mjs";

let server;
let browser;
let visitor;

const test = tests(() => visitor, { story: true });

before(async () => {
  server = await Server.start();
  browser = await launch();
  visitor = await Visitor.open(browser, server);
});

after(async () => {
  await (await visitor?.api())?.endSessions();
  await browser?.close();
  await server?.close();
});

test("the printed link makes the first account and leads to an empty list of workspaces", async () => {
  const { page } = visitor;
  await page.goto(await server.setupLink);
  await page.getByLabel("Username").fill("ada");
  await page.getByLabel("Password", { exact: true }).fill(password);
  await page.getByRole("button", { name: "Create account" }).click();
  await page.waitForURL("**/workspaces");
  await page.getByRole("button", { name: "Create workspace" }).first().waitFor();
  visitor.assertClean();
});

test("the link works once", async () => {
  const second = await Visitor.open(browser, server);
  const answer = await second.page.request.post("/api/v1/auth/setup", {
    data: { token: (await server.setupLink).match(/token=(.+)$/)[1], username: "eve", password },
    headers: { Origin: server.url },
  });
  assert.equal(answer.status(), 403);
  await second.close();
});

test("a workspace made from the data analysis template opens with its files and the program in the editor", async () => {
  const { page } = visitor;
  await page.getByRole("button", { name: "Create workspace" }).first().click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Name").fill("Sales");
  await dialog.getByText("Data analysis").click();
  await dialog.getByRole("button", { name: "Create workspace" }).click();
  await page.waitForURL(/\/w\/[0-9a-f-]{36}$/);
  const workspace = new WorkspacePage(visitor);
  for (const name of ["analysis.py", "data", "README.md"]) await workspace.item(name).waitFor();
  await workspace.openFile("analysis.py", "import pandas");
  await workspace.prompt();
  visitor.assertClean();
});

test("Run executes the program and prints its table", async () => {
  const workspace = new WorkspacePage(visitor);
  await visitor.page.getByRole("button", { name: "Run", exact: true }).click();
  await workspace.terminalShows(/^month\s+\S+.*\ball$/m, { deadline: 60_000 });
  await workspace.terminalShows("The chart is in chart.png.", { deadline: 60_000 });
});

test("the chart appears among the files by itself and opens as a picture", async () => {
  const workspace = new WorkspacePage(visitor);
  await workspace.item("chart.png").waitFor();
  await workspace.item("chart.png").click();
  const picture = visitor.page.getByRole("img", { name: /chart\.png/ });
  await picture.waitFor();
  await until("a decoded picture", () => picture.evaluate((img) => img.naturalWidth > 0));
  await visitor.screenshot("first-chart");
  visitor.assertClean();
});

test("Ctrl+Enter runs the file that is open", async () => {
  const { page } = visitor;
  const workspace = new WorkspacePage(visitor);
  await workspace.tab("analysis.py").click();
  await workspace.editorShows("import pandas");
  const runs = async () =>
    (await (await visitor.api()).json("GET", `/workspaces/${workspace.id}/session`)).terminals.filter(
      (t) => t.kind === "run",
    );
  const first = await until("the end of the first run", async () => (await runs()).find((t) => t.exit));
  await page.locator(".monaco-editor .view-lines").first().click();
  await page.keyboard.press("Control+Enter");
  await until(
    "a second run, in the place of the first",
    async () => (await runs()).length === 1 && (await runs())[0].id !== first.id,
  );
  await workspace.terminalShows("The chart is in chart.png.", { deadline: 60_000 });
  await until("the end of the second run", async () => (await runs())[0].exit);
  await visitor.screenshot("overview");
  visitor.assertClean();
});
