// Puts a script into each exported page that sets the theme before the first paint, so that no page flashes in the other one.
// It is not React's: React would set it by innerHTML when it has to draw a page again, which Trusted Types refuse.
// The server allows it by its hash, as it does with Next's own inline scripts. src/lib/theme.tsx does the same later.
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

const script =
  'try{var c=localStorage.getItem("vivarium.theme")}catch(e){}' +
  'document.documentElement.dataset.theme=c==="dark"||c==="light"?c:' +
  'matchMedia("(prefers-color-scheme: dark)").matches?"dark":"light"';

for (const entry of await readdir("out", { recursive: true })) {
  if (!entry.endsWith(".html")) continue;
  const path = join("out", entry);
  const html = await readFile(path, "utf8");
  if (!html.includes("<head>")) throw new Error(`${entry} has no <head> to put the theme's script into`);
  if (!html.includes(script)) await writeFile(path, html.replace("<head>", `<head><script>${script}</script>`));
}
