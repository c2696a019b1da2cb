// The workspace page as its user has it: files, editor, terminal.
import { until } from "./wait.mjs";

export class WorkspacePage {
  constructor(visitor) {
    this.visitor = visitor;
    this.page = visitor.page;
    this.tree = this.page.getByRole("tree", { name: "Files" });
    this.terminal = this.page.getByRole("region", { name: "Terminal" });
  }

  static async open(visitor, id) {
    await visitor.page.goto(`/w/${id}`);
    const workspace = new WorkspacePage(visitor);
    await workspace.tree.waitFor();
    return workspace;
  }

  /** The workspace's id, from the address. */
  get id() {
    return new URL(this.page.url()).pathname.split("/")[2];
  }

  item(name) {
    return this.tree.getByRole("treeitem", { name, exact: true });
  }

  tab(name) {
    return this.page.getByRole("tablist", { name: "Open files" }).getByRole("tab", { name });
  }

  /** Opens a file by a click in the tree and waits for its text in the editor. */
  async openFile(name, text) {
    await this.item(name).click();
    await this.editorShows(text);
  }

  editorText() {
    // Monaco draws spaces as non-breaking ones.
    return this.page
      .locator(".monaco-editor .view-lines")
      .first()
      .textContent()
      .then((text) => text.replaceAll("\u00a0", " "));
  }

  async editorShows(text) {
    await until(`the editor to show ${JSON.stringify(text)}`, async () => (await this.editorText()).includes(text), {
      state: () => this.editorText().catch(String),
    });
  }

  /** Replaces the whole text of the open file. */
  async replaceText(text) {
    await this.page.locator(".monaco-editor .view-lines").first().click();
    await this.page.keyboard.press("Control+A");
    await this.page.keyboard.press("Delete");
    await this.page.keyboard.insertText(text);
  }

  /** All that the active terminal holds, scrollback included. */
  terminalText() {
    return this.page.evaluate(() => window.__vivarium?.terminalText() ?? "");
  }

  async terminalShows(pattern, options = {}) {
    const matches = (text) => (typeof pattern === "string" ? text.includes(pattern) : pattern.test(text));
    await until(`the terminal to show ${pattern}`, async () => matches(await this.terminalText()), {
      state: () => this.terminalText(),
      ...options,
    });
  }

  /** Waits for a shell's prompt at the end of the terminal. */
  prompt(options) {
    return this.terminalShows(/[$#] ?\s*$/, { deadline: 30_000, ...options });
  }

  async focusTerminal() {
    await this.terminal.locator(".xterm-screen").first().click();
  }

  /** Clicks on a character of the terminal's screen, counted from its upper left corner. */
  async clickCell(column, row, size) {
    const { x, y, width, height } = await this.terminal.locator(".xterm-screen").first().boundingBox();
    await this.page.mouse.click(x + (width * (column + 0.5)) / size.cols, y + (height * (row + 0.5)) / size.rows);
  }

  /** Types into the terminal, key by key. */
  async type(text) {
    await this.focusTerminal();
    await this.page.keyboard.type(text);
  }

  /** Types a line and ends it. */
  async enter(line) {
    await this.type(line);
    await this.page.keyboard.press("Enter");
  }

  /** Runs a command and waits until its output, between marks of its own, matches. Returns the output. */
  async command(line, pattern = /[\s\S]*/, options) {
    const mark = `m${Math.random().toString(36).slice(2, 10)}`;
    // The marks are put together by the shell, so that the echo of the line does not hold them.
    await this.enter(`echo "${mark}"'<'; ${line}; echo '>'"${mark}"`);
    const between = new RegExp(`^${mark}<\\r?\\n?([\\s\\S]*?)>${mark}`, "m");
    const find = async () => {
      const output = (await this.terminalText()).match(between)?.[1];
      return output !== undefined && pattern.test(output) ? { output } : undefined;
    };
    const { output } = await until(`${line} to print ${pattern}`, find, {
      state: () => this.terminalText(),
      ...options,
    });
    return output;
  }
}
