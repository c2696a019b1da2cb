// Writes src/api/schema.gen.ts from an OpenAPI document:  go run ./cmd/vivarium openapi > FILE && pnpm gen:api FILE
import { readFile, writeFile } from "node:fs/promises";
import openapi, { astToString } from "openapi-typescript";

const [path] = process.argv.slice(2);
if (!path) {
  console.error("usage: pnpm gen:api FILE   (the OpenAPI document of the server)");
  process.exit(2);
}
const document = JSON.parse(await readFile(path, "utf8"));
const types = astToString(await openapi(document, { alphabetize: true }));
await writeFile(
  "src/api/schema.gen.ts",
  `// Generated from the server's OpenAPI document by \`pnpm gen:api\`. Do not edit.\n\n${types}`,
);
