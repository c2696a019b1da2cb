// Builds the static export and its precompressed copy for the embedding: next build → out/, the theme's
// script into each page, precompress → dist/, budgets.
import { spawnSync } from "node:child_process";

function step(...argv) {
  const { status } = spawnSync(process.execPath, argv, {
    stdio: "inherit",
    env: { ...process.env, NEXT_TELEMETRY_DISABLED: "1", NEXT_IGNORE_INCORRECT_LOCKFILE: "1" },
  });
  if (status !== 0) process.exit(status ?? 1);
}

step("node_modules/next/dist/bin/next", "build");
step("scripts/first-paint.mjs");
step("scripts/precompress.mjs");
step("scripts/budget.mjs");
