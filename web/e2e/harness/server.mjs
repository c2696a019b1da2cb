// The real server, with a data folder of its own: started, killed, started again, stopped.
import { execFile, spawn } from "node:child_process";
import { chmod, mkdtemp, readdir, readFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { until } from "./wait.mjs";

export const build = fileURLToPath(new URL("../../../.build", import.meta.url));
const binary = path.join(build, "bin", "vivarium");

async function freePort() {
  const listener = createServer();
  await new Promise((resolve, reject) => listener.once("error", reject).listen(0, "127.0.0.1", resolve));
  const { port } = listener.address();
  await new Promise((resolve) => listener.close(resolve));
  return port;
}

export class Server {
  /** Everything that the server's processes have said, for failures. */
  log = "";
  #process;
  #ended;

  constructor(dataDir, port, flags) {
    this.dataDir = dataDir;
    this.url = `http://127.0.0.1:${port}`;
    this.flags = ["serve", "--data-dir", dataDir, "--listen", `127.0.0.1:${port}`, "--public-url", this.url, ...flags];
  }

  /** Starts a server with an empty data folder on a free port. */
  static async start(...flags) {
    const dataDir = await mkdtemp(path.join(tmpdir(), "vivarium-e2e-"));
    await chmod(dataDir, 0o711); // PostgreSQL runs as a user of its own, who must pass through
    const server = new Server(dataDir, await freePort(), flags);
    await server.again();
    return server;
  }

  get pid() {
    return this.#process.pid;
  }

  /** Starts the server on the data that is there. */
  async again() {
    const child = spawn(binary, this.flags, { stdio: ["ignore", "pipe", "pipe"] });
    this.#process = child;
    this.#ended = new Promise((resolve) => child.once("exit", (code, signal) => resolve({ code, signal })));
    for (const out of [child.stdout, child.stderr]) {
      out.setEncoding("utf8");
      out.on("data", (text) => {
        this.log += text;
      });
    }
    await until(
      "a ready server",
      async () => {
        if (child.exitCode !== null) throw new Error(`the server ended with code ${child.exitCode}`);
        return (await fetch(`${this.url}/readyz`)).ok;
      },
      { deadline: 60_000, state: () => this.log.slice(-8000) },
    );
  }

  /** The one-time link to the first account, as the server printed it. */
  get setupLink() {
    return until("the setup link", () => this.log.match(new RegExp(`${this.url}/setup[?#]token=[A-Za-z0-9_-]+`))?.[0], {
      state: () => this.log.slice(-8000),
    });
  }

  /** Ends the server as a power cut would: nothing of its own runs any more. */
  async kill() {
    this.#process.kill("SIGKILL");
    await this.#ended;
  }

  /** Stops the server in order and deletes its data, with whatever a failed test has left running. */
  async close() {
    const child = this.#process;
    if (child.exitCode === null && child.signalCode === null) child.kill("SIGTERM");
    const late = setTimeout(() => child.kill("SIGKILL"), 30_000);
    const { code, signal } = await this.#ended;
    clearTimeout(late);
    await promisify(execFile)("bash", [
      fileURLToPath(new URL("../../../scripts/wipe.sh", import.meta.url)),
      this.dataDir,
    ]);
    if (code !== 0)
      throw new Error(`want a server that stops in order, got ${code ?? signal}:\n${this.log.slice(-8000)}`);
  }
}

/** The command lines of this machine's processes whose arguments hold all the words, by process id. */
export async function processesWith(...words) {
  const found = new Map();
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    const line = (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).replaceAll("\0", " ");
    if (words.every((word) => line.includes(word))) found.set(Number(pid), line);
  }
  return found;
}
