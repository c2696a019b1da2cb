// The only module that imports xterm. It is loaded when the first terminal is shown.

import { FitAddon } from "@xterm/addon-fit";
import { Unicode11Addon } from "@xterm/addon-unicode11";
import { WebLinksAddon } from "@xterm/addon-web-links";
import { WebglAddon } from "@xterm/addon-webgl";
import { type ITheme, Terminal } from "@xterm/xterm";
import "@xterm/xterm/css/xterm.css";
import { isMac } from "@/lib/platform";
import { cssColor } from "@/lib/theme";
import type { Screen } from "./session";

const ansi = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"] as const;

/** The terminal's colours, from the same variables as the pages'. */
function themeOf(): ITheme {
  const theme: Record<string, string> = {
    background: cssColor("surface"),
    foreground: cssColor("ink"),
    cursor: cssColor("accent"),
    cursorAccent: cssColor("surface"),
    selectionBackground: cssColor("code-selection"),
    selectionInactiveBackground: cssColor("line"),
  };
  for (const color of ansi) {
    theme[color] = cssColor(`ansi-${color}`);
    theme[`bright${color[0]?.toUpperCase()}${color.slice(1)}`] = cssColor(`ansi-bright-${color}`);
  }
  return theme;
}

/** Loads the font before anything is measured with it; a terminal measured with another font never fits. */
export async function loadFont(): Promise<void> {
  await Promise.all([
    document.fonts.load('13px "JetBrains Mono Variable"'),
    document.fonts.load('bold 13px "JetBrains Mono Variable"'),
  ]).catch(() => {});
}

export interface ScreenHandlers {
  onData(data: string): void;
  onBinary(data: string): void;
  onResize(): void;
  /** Somebody clicked on a link, which is http or https. */
  onLink(url: string): void;
}

/** An xterm in an element of its own, which may be moved about in the page. */
export class XtermScreen implements Screen {
  readonly element: HTMLDivElement;
  readonly #terminal: Terminal;
  readonly #fit = new FitAddon();
  #webgl: WebglAddon | undefined;
  #opened = false;

  constructor(handlers: ScreenHandlers, screenReader: boolean) {
    this.element = document.createElement("div");
    this.element.className = "h-full w-full";
    this.#terminal = new Terminal({
      allowProposedApi: true, // for the width of characters
      cursorBlink: !window.matchMedia("(prefers-reduced-motion: reduce)").matches,
      fontFamily: '"JetBrains Mono Variable", ui-monospace, Menlo, Consolas, monospace',
      fontSize: 13,
      lineHeight: 1.25,
      macOptionIsMeta: true,
      minimumContrastRatio: 4.5,
      scrollback: 10_000,
      screenReaderMode: screenReader,
      theme: themeOf(),
      // Addresses that a program hides behind a text (OSC 8): the handler shows where they lead.
      linkHandler: { activate: (_event, url) => open(url), allowNonHttpProtocols: false },
    });
    const open = (url: string) => {
      if (isWebAddress(url)) handlers.onLink(url);
    };
    this.#terminal.loadAddon(this.#fit);
    this.#terminal.loadAddon(new Unicode11Addon());
    this.#terminal.unicode.activeVersion = "11";
    this.#terminal.loadAddon(new WebLinksAddon((_event, url) => open(url)));
    this.#terminal.onData((data) => handlers.onData(data));
    this.#terminal.onBinary((data) => handlers.onBinary(data));
    this.#terminal.onResize(() => handlers.onResize());
    this.#terminal.attachCustomKeyEventHandler((event) => this.#key(event));
  }

  get cols(): number {
    return this.#terminal.cols;
  }

  get rows(): number {
    return this.#terminal.rows;
  }

  write(bytes: Uint8Array, drawn: () => void): void {
    this.#terminal.write(bytes, drawn);
  }

  /** Draws into its element, which must be in the page and visible. */
  show(): void {
    if (!this.#opened) {
      this.#opened = true;
      this.#terminal.open(this.element);
    }
    if (!this.#webgl) {
      try {
        const webgl = new WebglAddon();
        // Browsers take contexts away when there are many; the DOM renderer goes on.
        webgl.onContextLoss(() => this.#dropWebgl());
        this.#terminal.loadAddon(webgl);
        this.#webgl = webgl;
      } catch {
        this.#webgl = undefined;
      }
    }
    this.fit();
  }

  /** Frees what only a visible terminal needs. */
  hide(): void {
    this.#dropWebgl();
  }

  fit(): void {
    if (this.#opened && this.element.offsetParent !== null) this.#fit.fit();
  }

  focus(): void {
    this.#terminal.focus();
  }

  retheme(): void {
    this.#terminal.options.theme = themeOf();
  }

  set screenReader(on: boolean) {
    this.#terminal.options.screenReaderMode = on;
  }

  /** All that it holds, as text: lines that were wrapped are one again. */
  text(): string {
    const buffer = this.#terminal.buffer.active;
    let out = "";
    for (let y = 0; y < buffer.length; y++) {
      const line = buffer.getLine(y);
      if (!line) continue;
      out += (line.isWrapped || y === 0 ? "" : "\n") + line.translateToString(true);
    }
    return out.replace(/\n+$/, "");
  }

  dispose(): void {
    this.#dropWebgl();
    this.#terminal.dispose();
    this.element.remove();
  }

  #dropWebgl(): void {
    this.#webgl?.dispose();
    this.#webgl = undefined;
  }

  /** False for keys that the browser or the page is to have. */
  #key(event: KeyboardEvent): boolean {
    if (isMac || event.type !== "keydown" || !event.ctrlKey || event.altKey) return true;
    const key = event.key.toLowerCase();
    // A paste that does not come from the browser would need a permission.
    if (key === "v") return false;
    if ((key === "c" && event.shiftKey) || key === "insert") {
      const selection = this.#terminal.getSelection();
      if (selection !== "") void navigator.clipboard?.writeText(selection).catch(() => {});
      event.preventDefault();
      return false;
    }
    return true;
  }
}

function isWebAddress(url: string): boolean {
  try {
    return ["http:", "https:"].includes(new URL(url).protocol);
  } catch {
    return false;
  }
}
