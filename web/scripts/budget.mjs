// Fails when a page grows over its budget. Sizes are brotli's, in KiB, as they travel; they are read from dist/.
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";

const dist = "dist";
const budgets = { "w.html": 180, "*": 130 }; // first-load script
const cssBudget = 20;
const totalBudget = 1900; // everything, Monaco and its worker included, fonts not
const heavy = /xterm|monaco/i;

const kib = (n) => n / 1024;
const travels = async (path) => {
  const packed = await stat(`${path}.br`).catch(() => undefined);
  return (packed ?? (await stat(path))).size;
};

let failed = false;
const say = (ok, text) => {
  console.log(`${ok ? "  ok " : "OVER "} ${text}`);
  if (!ok) failed = true;
};

for (const page of (await readdir(dist)).filter((name) => name.endsWith(".html")).sort()) {
  const html = await readFile(join(dist, page), "utf8");
  const scripts = new Set(
    [...html.matchAll(/<script[^>]* src="([^"]+)"[^>]*>/g)].filter((m) => !/nomodule/i.test(m[0])).map((m) => m[1]),
  );
  const styles = new Set([...html.matchAll(/<link[^>]* rel="stylesheet"[^>]* href="([^"]+)"/g)].map((m) => m[1]));
  let js = 0;
  for (const src of scripts) {
    const path = join(dist, decodeURI(src));
    js += await travels(path);
    if (
      heavy.test(
        (await readFile(path, "utf8"))
          .slice(0, 2_000_000)
          .match(/xterm-helper-textarea|monaco-editor-background/)?.[0] ?? "",
      )
    ) {
      say(false, `${page}: the editor or the terminal is in its first load (${src})`);
    }
  }
  let css = 0;
  for (const href of styles) css += await travels(join(dist, decodeURI(href)));
  const budget = budgets[page] ?? budgets["*"];
  say(kib(js) <= budget, `${page}: ${kib(js).toFixed(1)} of ${budget} KiB script`);
  say(kib(css) <= cssBudget, `${page}: ${kib(css).toFixed(1)} of ${cssBudget} KiB style`);
}

let total = 0;
async function walk(dir) {
  for (const entry of await readdir(dir, { withFileTypes: true })) {
    const path = join(dir, entry.name);
    if (entry.isDirectory()) await walk(path);
    else if (!/\.(br|gz|woff2?)$/.test(entry.name)) total += await travels(path);
  }
}
await walk(dist);
say(kib(total) <= totalBudget, `all: ${kib(total).toFixed(0)} of ${totalBudget} KiB`);
process.exit(failed ? 1 : 0);
