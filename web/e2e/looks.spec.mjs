// How the pages look, and whether everybody can use them: axe-core without serious findings, and a picture of each page in
// both colour schemes and three sizes, in .build/screenshots.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { Api } from "./harness/api.mjs";
import { launch, Visitor } from "./harness/browser.mjs";
import { Server } from "./harness/server.mjs";
import { WorkspacePage } from "./harness/workspace.mjs";

const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const sizes = [
  { width: 1440, height: 900 },
  { width: 1024, height: 768 },
  { width: 390, height: 844 },
];

let server;
let browser;
let api;
let id;

before(async () => {
  server = await Server.start("--registration=open");
  api = await Api.setUp(server);
  ({ id } = await api.createWorkspace("Quarterly sales"));
  await api.createWorkspace("Scratch", "blank");
  browser = await launch();
});

after(async () => {
  await api?.endSessions();
  await browser?.close();
  await server?.close();
});

/** The findings of axe-core that shut somebody out. */
async function findings(page) {
  await page.evaluate(`${axe}; undefined`);
  const { violations } = await page.evaluate(() =>
    window.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }),
  );
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html }) => html.slice(0, 200)).join(" | ")}`);
}

const pages = [
  { name: "login", path: "/login", ready: (v) => v.page.getByLabel("Username").waitFor(), anonymous: true },
  { name: "workspaces", path: "/workspaces", ready: (v) => v.page.getByText("Quarterly sales").first().waitFor() },
  {
    name: "workspace",
    path: () => `/w/${id}`,
    ready: async (v, wide) => {
      const workspace = new WorkspacePage(v);
      if (!wide) return workspace.editorShows("import pandas");
      await workspace.openFile("analysis.py", "import pandas");
      await workspace.prompt();
    },
  },
];

for (const { name, path, ready, anonymous } of pages) {
  for (const colorScheme of ["light", "dark"]) {
    for (const viewport of sizes) {
      test(`${name}, ${colorScheme}, ${viewport.width} by ${viewport.height}`, async () => {
        const visitor = await Visitor.open(browser, server, {
          api: anonymous ? undefined : api,
          colorScheme,
          viewport,
        });
        if (anonymous) visitor.allow(/401/);
        try {
          await visitor.page.goto(typeof path === "function" ? path() : path);
          await ready(visitor, viewport.width > 600);
          await visitor.screenshot(`${name}-${colorScheme}-${viewport.width}`);
          const { scrollWidth, clientWidth } = await visitor.page.evaluate(() => {
            const { scrollWidth, clientWidth } = document.documentElement;
            return { scrollWidth, clientWidth };
          });
          assert.ok(scrollWidth <= clientWidth, `want nothing beyond the right edge: ${scrollWidth} > ${clientWidth}`);
          assert.deepEqual(await findings(visitor.page), []);
          visitor.assertClean();
        } finally {
          await visitor.close();
        }
      });
    }
  }
}
