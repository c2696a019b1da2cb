// Accounts: what one of them has, another does not see.
import assert from "node:assert/strict";
import { after, before } from "node:test";
import { Api, password } from "./harness/api.mjs";
import { launch, Visitor } from "./harness/browser.mjs";
import { Server } from "./harness/server.mjs";
import { tests } from "./harness/steps.mjs";

let server;
let browser;
let owner;
let stranger;
let visitor;
let id;

const test = tests(() => visitor, { story: true });

before(async () => {
  server = await Server.start("--registration=open");
  owner = await Api.setUp(server, "ada");
  ({ id } = await owner.createWorkspace("Ada's own"));
  browser = await launch();
  visitor = await Visitor.open(browser, server);
});

after(async () => {
  await owner?.endSessions();
  await browser?.close();
  await server?.close();
});

test("somebody who is not logged in is sent to the login page", async () => {
  visitor.allow(/401|HTTP Authentication failed/);
  await visitor.page.goto(`/w/${id}`);
  await visitor.page.waitForURL(/\/login/);
});

test("a second account is made on the page and starts with an empty list", async () => {
  const { page } = visitor;
  await page.goto("/login");
  await page.getByRole("button", { name: "Register" }).click();
  await page.getByLabel("Username").fill("grace");
  await page.getByLabel("Password", { exact: true }).fill(password);
  await page.getByRole("button", { name: "Create account" }).click();
  await page.waitForURL("**/workspaces");
  await page.getByRole("button", { name: "Create workspace" }).first().waitFor();
  assert.equal(await page.getByText("Ada's own").count(), 0);
  stranger = await Api.register(server, "linus");
  assert.deepEqual((await stranger.json("GET", "/workspaces")).items, []);
});

test("Z1: the page of somebody else's workspace says that there is none, without its name", async () => {
  const { page } = visitor;
  visitor.allow(/404/);
  await page.goto(`/w/${id}`);
  await page.getByRole("heading", { name: "There is no such workspace" }).waitFor();
  assert.equal(await page.getByText("Ada's own").count(), 0);
});

test("Z1: every operation on somebody else's workspace answers as on one that does not exist", async () => {
  const missing = "00000000-0000-4000-8000-000000000000";
  const answerTo = async (method, path, body) => {
    const headers = { "If-Match": "*", "Content-Type": "application/json" };
    const answer = await stranger.send(method, path, body === undefined ? undefined : JSON.stringify(body), headers);
    const { requestId, instance, ...rest } = JSON.parse(await answer.text());
    return { status: answer.status, rest };
  };
  for (const [method, path, body] of [
    ["GET", ""],
    ["PATCH", "", { name: "mine now" }],
    ["DELETE", ""],
    ["GET", "/tree"],
    ["GET", "/files/analysis.py"],
    ["PUT", "/files/analysis.py", "mine"],
    ["DELETE", "/files/analysis.py"],
    ["POST", "/folders", { path: "mine" }],
    ["POST", "/move", { from: "analysis.py", to: "mine.py" }],
    ["GET", "/session"],
    ["POST", "/session"],
    ["DELETE", "/session"],
    ["POST", "/session/restart"],
    ["POST", "/terminals", { cols: 80, rows: 24 }],
    ["POST", "/run", { path: "analysis.py", cols: 80, rows: 24 }],
  ]) {
    const foreign = await answerTo(method, `/workspaces/${id}${path}`, body);
    assert.equal(foreign.status, 404, `${method} ${path}`);
    assert.deepEqual(foreign, await answerTo(method, `/workspaces/${missing}${path}`, body), `${method} ${path}`);
  }
  assert.match(await owner.read(id, "analysis.py"), /import/, "want the owner's file as it was");
});

test("logging out closes the account's pages", async () => {
  const { page } = visitor;
  visitor.allow(/401/);
  await page.goto("/workspaces");
  await page
    .getByRole("button", { name: /grace|account/i })
    .first()
    .click();
  await page.getByRole("menuitem", { name: "Sign out" }).click();
  await page.waitForURL(/\/login/);
  await page.goto("/workspaces");
  await page.waitForURL(/\/login/);
  visitor.assertClean();
});
