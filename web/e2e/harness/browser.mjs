// Chromium, watched: what a page complains of makes the test that opened it fail.
import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { chromium } from "playwright-core";
import { Api } from "./api.mjs";
import { build } from "./server.mjs";

const args = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Starts a Chromium with an empty profile of its own. */
export function launch() {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", headless: true, args });
}

/** A page of a browser profile that has visited nothing, and everything that went wrong on it. */
export class Visitor {
  complaints = [];
  #allowed = [];

  static async open(browser, server, { api, colorScheme = "light", viewport = { width: 1440, height: 900 } } = {}) {
    const visitor = new Visitor();
    visitor.server = server;
    visitor.context = await browser.newContext({ colorScheme, viewport, baseURL: server.url, reducedMotion: "reduce" });
    visitor.context.setDefaultTimeout(15_000);
    if (api) {
      const [name, ...value] = api.cookie.split("=");
      await visitor.context.addCookies([
        { name, value: value.join("="), url: server.url, httpOnly: true, sameSite: "Lax" },
      ]);
    }
    await visitor.context.addInitScript(() => {
      document.addEventListener("securitypolicyviolation", (e) => {
        console.error(
          `policy violation: ${e.effectiveDirective} blocked ${e.blockedURI} at ${e.sourceFile}:${e.lineNumber}`,
        );
      });
    });
    await visitor.watch(await visitor.context.newPage());
    return visitor;
  }

  async watch(page) {
    this.page = page;
    page.on("pageerror", (error) => this.complain(`uncaught: ${error.stack ?? error}`));
    page.on("console", (message) => {
      if (message.type() === "error") this.complain(`console: ${message.text()} (${message.location().url})`);
    });
    page.on("request", (request) => {
      const { origin, protocol } = new URL(request.url());
      if (/^(https?|wss?):$/.test(protocol) && origin !== this.server.url)
        this.complain(`asked another host: ${request.url()}`);
    });
  }

  complain(text) {
    if (!this.#allowed.some((pattern) => pattern.test(text))) this.complaints.push(text);
  }

  /** From now on complaints like these are part of the test: what a page logs while its server is dead, for one. */
  allow(...patterns) {
    this.#allowed.push(...patterns);
  }

  /** Fails when the page has complained. */
  assertClean() {
    assert.deepEqual(this.complaints, [], "want no errors in the console and no policy violations");
  }

  /** The API with the login of this browser. */
  async api() {
    const api = new Api(this.server);
    const [cookie] = await this.context.cookies();
    api.cookie = cookie ? `${cookie.name}=${cookie.value}` : "";
    return api;
  }

  async screenshot(name) {
    const dir = path.join(build, "screenshots");
    await mkdir(dir, { recursive: true });
    await this.page.screenshot({ path: path.join(dir, `${name}.png`) });
  }

  async close() {
    await this.context.close();
  }
}
