// The HTTP API, for what a test needs beside what it looks at.

export const password = "a long phrase of tests 41";

export class Api {
  cookie = "";

  constructor(server) {
    this.server = server;
  }

  /** Makes the server's first account and logs in. */
  static async setUp(server, username = "ada") {
    const api = new Api(server);
    const token = (await server.setupLink).match(/token=(.+)$/)[1];
    await api.json("POST", "/auth/setup", { token, username, password });
    return api;
  }

  /** Makes another account, where registration is open, and logs in. */
  static async register(server, username) {
    const api = new Api(server);
    await api.json("POST", "/auth/register", { username, password });
    return api;
  }

  async send(method, path, body, headers = {}) {
    const answer = await fetch(`${this.server.url}/api/v1${path}`, {
      method,
      body,
      headers: { Origin: this.server.url, Cookie: this.cookie, ...headers },
    });
    for (const line of answer.headers.getSetCookie()) this.cookie = line.split(";")[0];
    return answer;
  }

  async json(method, path, body) {
    const headers = body === undefined ? {} : { "Content-Type": "application/json" };
    const answer = await this.send(method, path, body === undefined ? undefined : JSON.stringify(body), headers);
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return text === "" ? undefined : JSON.parse(text);
  }

  createWorkspace(name, template = "data-analysis") {
    return this.json("POST", "/workspaces", { name, template });
  }

  async read(workspace, path) {
    const answer = await this.send("GET", `/workspaces/${workspace}/files/${encodeURI(path)}`);
    if (!answer.ok) throw new Error(`reading ${path}: ${answer.status}`);
    return answer.text();
  }

  async write(workspace, path, content) {
    const answer = await this.send("PUT", `/workspaces/${workspace}/files/${encodeURI(path)}`, content, {
      "If-Match": "*",
      "Content-Type": "application/octet-stream",
    });
    if (!answer.ok) throw new Error(`writing ${path}: ${answer.status} ${await answer.text()}`);
  }

  /** Ends every sandbox of the account, so that none outlives its test. */
  async endSessions() {
    for (const { id } of (await this.json("GET", "/workspaces")).items)
      await this.json("DELETE", `/workspaces/${id}/session`);
  }
}
