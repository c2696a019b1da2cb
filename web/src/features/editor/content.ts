import { extension } from "../files/path";

/** How a file is shown. */
export type Shows = "text" | "image" | "binary" | "large" | "link";

const images: Record<string, string> = {
  png: "image/png",
  jpg: "image/jpeg",
  jpeg: "image/jpeg",
  gif: "image/gif",
  webp: "image/webp",
  avif: "image/avif",
  bmp: "image/bmp",
  ico: "image/x-icon",
  svg: "image/svg+xml",
};

/** The type of an image by its name; undefined for what is none. An <img> runs no script, not even an SVG's. */
export const imageType = (path: string): string | undefined => images[extension(path)];

/** Beyond this many bytes a text is not opened in the editor. */
export const largeBytes = 8 << 20;

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The text of a file; undefined when it is not UTF-8 text. */
export function decodeText(bytes: Uint8Array): string | undefined {
  if (bytes.includes(0)) return undefined;
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}

const languages: Record<string, [id: string, name: string]> = {
  py: ["python", "Python"],
  pyi: ["python", "Python"],
  md: ["markdown", "Markdown"],
  yml: ["yaml", "YAML"],
  yaml: ["yaml", "YAML"],
  ini: ["ini", "INI"],
  toml: ["ini", "TOML"],
  cfg: ["ini", "INI"],
  sh: ["shell", "Shell"],
  bash: ["shell", "Shell"],
  sql: ["sql", "SQL"],
  js: ["javascript", "JavaScript"],
  mjs: ["javascript", "JavaScript"],
  json: ["javascript", "JSON"],
  ipynb: ["javascript", "Notebook"],
  html: ["html", "HTML"],
  css: ["css", "CSS"],
  xml: ["xml", "XML"],
  svg: ["xml", "SVG"],
  csv: ["plaintext", "CSV"],
  tsv: ["plaintext", "TSV"],
};

/** The editor's language for a file, and its name for people. */
export function languageOf(path: string): { id: string; name: string } {
  const [id, name] = languages[extension(path)] ?? ["plaintext", "Plain text"];
  return { id, name };
}
