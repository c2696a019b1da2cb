// Sums up the results of one test runner: node scripts/testsum.mjs go|node|vitest COUNTS_FILE < results
//
// Prints each failure in full, and one line a package or file; writes "passed failed skipped" to COUNTS_FILE. Tests that
// hold others are not counted, only the innermost. What ended without a result counts as failed, so that a runner that dies
// cannot look like one that passed.
import { writeFileSync } from "node:fs";
import { createInterface } from "node:readline";

const [kind, countsFile] = process.argv.slice(2);
const counts = { passed: 0, failed: 0, skipped: 0 };
const print = (line) => process.stdout.write(line.endsWith("\n") ? line : `${line}\n`);

function failure(name, output) {
  counts.failed++;
  print(`--- FAILED: ${name}`);
  for (const line of output.replace(/\n$/, "").split("\n")) print(`    ${line}`);
}

/** The events of `go test -json`, one JSON object a line. */
class GoResults {
  packages = new Map();
  builds = new Map();

  take(line) {
    let event;
    try {
      event = JSON.parse(line);
    } catch {
      print(line); // what the go command itself has to say
      return;
    }
    if (event.ImportPath) {
      if (event.Output) this.builds.set(event.ImportPath, (this.builds.get(event.ImportPath) ?? "") + event.Output);
      return;
    }
    const pack = this.of(event.Package);
    if (event.Test === undefined) this.ofPackage(pack, event);
    else this.ofTest(pack, event);
  }

  of(name) {
    if (!this.packages.has(name)) this.packages.set(name, { name, tests: new Map(), output: "", ended: false });
    return this.packages.get(name);
  }

  ofTest(pack, { Test, Action, Output }) {
    if (!pack.tests.has(Test)) pack.tests.set(Test, { output: "", result: undefined, inner: false });
    const test = pack.tests.get(Test);
    const outer = Test.lastIndexOf("/");
    if (outer > 0 && pack.tests.has(Test.slice(0, outer))) pack.tests.get(Test.slice(0, outer)).inner = true;
    if (Action === "output") test.output += Output;
    if (Action === "pass" || Action === "fail" || Action === "skip") test.result = Action;
  }

  ofPackage(pack, { Action, Output, Elapsed, FailedBuild }) {
    if (Action === "output") pack.output += Output;
    if (Action !== "pass" && Action !== "fail" && Action !== "skip") return;
    pack.ended = true;
    this.close(pack, Action, FailedBuild);
    if (pack.tests.size > 0 || Action === "fail") {
      print(
        `${Action === "fail" ? "FAIL" : "ok  "} ${pack.name}  ${pack.tests.size} tests, ${(Elapsed ?? 0).toFixed(1)} s`,
      );
    }
  }

  close(pack, action, failedBuild) {
    const before = counts.failed;
    for (const [name, test] of pack.tests) {
      const full = `${pack.name} ${name}`;
      if (test.result === "pass" && !test.inner) counts.passed++;
      else if (test.result === "skip" && !test.inner) this.skip(full, test);
      else if (test.result === "fail" && !(test.inner && this.innerFailed(pack, name)))
        failure(full, this.outputOf(pack, name));
      else if (test.result === undefined) failure(`${full} (ended without a result)`, this.outputOf(pack, name));
    }
    if (action === "fail" && counts.failed === before) {
      failure(pack.name, (failedBuild && this.builds.get(failedBuild)) || pack.output);
    }
  }

  skip(name, test) {
    counts.skipped++;
    print(
      `skipped: ${name}: ${
        test.output
          .split("\n")
          .find((line) => /\.go:\d+:/.test(line))
          ?.trim() ?? ""
      }`,
    );
  }

  /** A test that holds others fails with them; it is reported only when it failed on its own. */
  innerFailed(pack, outer) {
    for (const [name, test] of pack.tests) if (name.startsWith(`${outer}/`) && test.result !== "pass") return true;
    return false;
  }

  /** The output of a test; that of the tests around it too when they hold its panic. */
  outputOf(pack, name) {
    let { output } = pack.tests.get(name);
    for (let at = name.lastIndexOf("/"); at > 0; at = name.lastIndexOf("/", at - 1)) {
      const outer = pack.tests.get(name.slice(0, at))?.output ?? "";
      if (/^panic: /m.test(outer)) output += outer;
    }
    return /^exit status|^panic: /m.test(pack.output) ? output + pack.output : output;
  }

  end() {
    for (const pack of this.packages.values()) {
      if (!pack.ended) {
        this.close(pack, "fail");
        print(`FAIL ${pack.name}  ended without a result`);
      }
    }
  }
}

/** What scripts/node-reporter.mjs writes: one JSON object for each innermost test. */
class NodeResults {
  take(line) {
    const { name, file, result, message } = JSON.parse(line);
    if (result === "passed") counts.passed++;
    else if (result === "skipped") counts.skipped++;
    else failure(`${file}: ${name}`, message);
  }

  end() {}
}

/** The JSON report of vitest, one object over all. */
class VitestResults {
  text = "";

  take(line) {
    this.text += line;
  }

  end() {
    for (const file of JSON.parse(this.text).testResults) {
      if (file.status === "failed" && file.assertionResults.length === 0) failure(file.name, file.message);
      for (const test of file.assertionResults) {
        if (test.status === "passed") counts.passed++;
        else if (test.status === "failed") failure(`${file.name}: ${test.fullName}`, test.failureMessages.join("\n"));
        else counts.skipped++;
      }
    }
  }
}

const results = { go: GoResults, node: NodeResults, vitest: VitestResults }[kind];
if (results === undefined || countsFile === undefined) {
  process.stderr.write("usage: node scripts/testsum.mjs go|node|vitest COUNTS_FILE < results\n");
  process.exit(2);
}
const taker = new results();
for await (const line of createInterface({ input: process.stdin })) taker.take(line);
taker.end();
writeFileSync(countsFile, `${counts.passed} ${counts.failed} ${counts.skipped}\n`);
process.exitCode = counts.failed > 0 ? 1 : 0;
