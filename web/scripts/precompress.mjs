// Copies out/ to dist/ with a .br and a .gz beside each file that shrinks, for the binary to embed. dist/.keep stays, so
// that the Go package compiles in a fresh clone. Work is spread over worker threads: brotli at its best level is slow.
import { copyFile, mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { cpus } from "node:os";
import { dirname, extname, join, relative } from "node:path";
import { promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";

const from = "out";
const to = "dist";
const compressible = new Set([
  ".html",
  ".js",
  ".mjs",
  ".css",
  ".txt",
  ".json",
  ".svg",
  ".ttf",
  ".map",
  ".webmanifest",
  ".ico",
]);
const br = promisify(brotliCompress);
const gz = promisify(gzip);

async function files(dir) {
  const out = [];
  for (const entry of await readdir(dir, { withFileTypes: true })) {
    const path = join(dir, entry.name);
    if (entry.isDirectory()) out.push(...(await files(path)));
    else out.push(path);
  }
  return out;
}

for (const name of await readdir(to).catch(() => [])) {
  if (name !== ".keep") await rm(join(to, name), { recursive: true });
}

let raw = 0;
let packed = 0;
const queue = await files(from);

async function work() {
  for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
    const target = join(to, relative(from, path));
    await mkdir(dirname(target), { recursive: true });
    await copyFile(path, target);
    const { size } = await stat(path);
    raw += size;
    if (!compressible.has(extname(path)) || size < 256) {
      packed += size;
      continue;
    }
    const content = await readFile(path);
    const [b, g] = await Promise.all([
      br(content, {
        params: {
          [constants.BROTLI_PARAM_QUALITY]: 11,
          [constants.BROTLI_PARAM_SIZE_HINT]: size,
          [constants.BROTLI_PARAM_LGWIN]: 22,
        },
      }),
      gz(content, { level: 9 }),
    ]);
    packed += Math.min(b.length, size);
    if (b.length < size) await writeFile(`${target}.br`, b);
    if (g.length < size) await writeFile(`${target}.gz`, g);
  }
}

await Promise.all(Array.from({ length: cpus().length }, work));
await writeFile(join(to, ".keep"), "");
const mib = (n) => `${(n / (1 << 20)).toFixed(2)} MiB`;
console.log(`precompress: ${mib(raw)} raw, ${mib(packed)} with brotli`);
