// A reporter for node --test: one JSON object for each innermost test, for scripts/testsum.mjs.
import path from "node:path";

/** message gives an error with what is inside it; node:test wraps what a test threw. */
function message(error) {
  const inner = error?.cause ?? error;
  const stack = String(inner?.stack ?? inner?.message ?? inner ?? "no reason given");
  return inner?.cause ? `${stack}\ncaused by ${message(inner)}` : stack;
}

export default async function* report(events) {
  for await (const { type, data } of events) {
    if (type !== "test:pass" && type !== "test:fail") continue;
    const suite = data.details?.type === "suite";
    // A suite or an outer test fails with the tests in it; on its own only when a hook or the file itself failed.
    const cause = data.details?.error?.failureType;
    if (type === "test:pass" && suite) continue;
    if (type === "test:fail" && cause === "subtestsFailed") continue;
    const skipped = data.skip !== undefined || data.todo !== undefined;
    const result = type === "test:fail" ? "failed" : skipped ? "skipped" : "passed";
    yield `${JSON.stringify({
      name: data.name,
      file: data.file ? path.relative(process.cwd(), data.file) : "",
      result,
      message: result === "failed" ? message(data.details.error) : "",
    })}\n`;
  }
}
