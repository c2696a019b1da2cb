// Tests that tell, when they fail, what was on the page.
import { test } from "node:test";

/**
 * Returns what declares the tests of one file. A test that fails leaves a picture of the page in .build/screenshots and says
 * what the page complained of. In a story each test goes on where the one before it stopped, so after a failure the others
 * are not tried.
 */
export function tests(visitor, { story = false } = {}) {
  let failed;
  return (name, body) =>
    test(name, async (t) => {
      if (story && failed) throw new Error(`not tried, because this failed before: ${failed}`);
      try {
        await body(t);
      } catch (error) {
        failed = name;
        throw await withPage(error, name, visitor());
      }
    });
}

async function withPage(error, name, visitor) {
  if (visitor === undefined) return error;
  const picture = `failed-${name.replaceAll(/[^\w]+/g, "-").slice(0, 80)}`;
  const seen = await visitor.screenshot(picture).then(
    () => `.build/screenshots/${picture}.png`,
    (problem) => `no picture: ${problem.message}`,
  );
  const complaints = visitor.complaints.map((line) => `\n  ${line}`).join("") || " nothing";
  const told = new Error(`${error.message}\nat ${visitor.page.url()}, ${seen}\nthe page complained of:${complaints}`);
  const frames = (error.stack ?? "").split("\n").filter((line) => line.startsWith("    at "));
  told.stack = [`Error: ${told.message}`, ...frames].join("\n");
  return told;
}
