// The only module that imports Monaco. It is loaded when the first text is shown.

import * as monaco from "monaco-editor/editor";
import "monaco-editor/features/register.all";
import "monaco-editor/languages/definitions/css/register";
import "monaco-editor/languages/definitions/html/register";
import "monaco-editor/languages/definitions/ini/register";
import "monaco-editor/languages/definitions/javascript/register";
import "monaco-editor/languages/definitions/markdown/register";
import "monaco-editor/languages/definitions/python/register";
import "monaco-editor/languages/definitions/shell/register";
import "monaco-editor/languages/definitions/sql/register";
import "monaco-editor/languages/definitions/xml/register";
import "monaco-editor/languages/definitions/yaml/register";
import { cssColor, type Theme } from "@/lib/theme";
import { smallestEdit } from "./edit";
import type { TextBuffer } from "./open-file";

self.MonacoEnvironment = {
  getWorker: (_id, label) =>
    new Worker(new URL("./editor.worker.ts", import.meta.url), { name: label, type: "module" }),
};

export { monaco };

/** A Monaco model as the text that is edited. */
export class ModelBuffer implements TextBuffer {
  readonly model: monaco.editor.ITextModel;
  /** Where the cursor was when another tab came to the front. */
  view: monaco.editor.ICodeEditorViewState | null = null;

  constructor(text: string, language: string) {
    this.model = monaco.editor.createModel(text, language);
  }

  text(): string {
    return this.model.getValue(undefined, true);
  }

  replace(text: string): void {
    const { model } = this;
    // Monaco keeps one kind of line ending per text.
    const eol = model.getEOL();
    const wanted = text.replace(/\r\n|\r|\n/g, eol);
    const edit = smallestEdit(model.getValue(), wanted.startsWith("\ufeff") ? wanted.slice(1) : wanted);
    if (!edit) return;
    const range = monaco.Range.fromPositions(model.getPositionAt(edit.from), model.getPositionAt(edit.to));
    model.pushStackElement();
    model.pushEditOperations([], [{ range, text: edit.text }], () => null);
    model.pushStackElement();
  }

  version(): number {
    return this.model.getAlternativeVersionId();
  }

  onChange(changed: () => void): void {
    this.model.onDidChangeContent(changed);
  }

  dispose(): void {
    this.model.dispose();
  }
}

export const themeName = "vivarium";

/** Makes the editor's theme from the pages' colours, and applies it. */
export function applyTheme(theme: Theme): void {
  const color = (name: string) => cssColor(name).replace("#", "");
  const hex = cssColor;
  const rule = (token: string, name: string, fontStyle?: string) => ({
    token,
    foreground: color(name),
    ...(fontStyle ? { fontStyle } : {}),
  });
  monaco.editor.defineTheme(themeName, {
    base: theme === "dark" ? "vs-dark" : "vs",
    inherit: false,
    rules: [
      rule("", "ink"),
      rule("comment", "code-comment", "italic"),
      rule("keyword", "code-keyword"),
      rule("string", "code-string"),
      rule("string.escape", "code-string"),
      rule("string.link", "code-type"),
      rule("number", "code-number"),
      rule("constant", "code-number"),
      rule("regexp", "code-string"),
      rule("type", "code-type"),
      rule("tag", "code-decorator"),
      rule("attribute.name", "code-type"),
      rule("attribute.value", "code-string"),
      rule("key", "code-type"),
      rule("variable", "code-type"),
      rule("predefined", "code-type"),
      rule("metatag", "code-decorator"),
      rule("annotation", "code-decorator"),
      rule("delimiter", "muted"),
      rule("operator", "muted"),
      rule("strong", "ink", "bold"),
      rule("emphasis", "ink", "italic"),
      rule("invalid", "danger"),
    ],
    colors: {
      foreground: hex("ink"),
      "editor.background": hex("surface"),
      "editor.foreground": hex("ink"),
      "editorLineNumber.foreground": hex("faint"),
      "editorLineNumber.activeForeground": hex("ink"),
      "editorLineNumber.dimmedForeground": hex("faint"),
      "editorCursor.foreground": hex("accent"),
      "editor.selectionBackground": hex("code-selection"),
      "editor.inactiveSelectionBackground": hex("line"),
      "editor.selectionHighlightBackground": `${hex("code-selection")}88`,
      "editor.wordHighlightBackground": `${hex("code-selection")}66`,
      "editor.wordHighlightStrongBackground": `${hex("code-selection")}88`,
      "editor.findMatchBackground": hex("code-match"),
      "editor.findMatchHighlightBackground": `${hex("code-match")}99`,
      "editor.lineHighlightBackground": hex("code-line"),
      "editor.lineHighlightBorder": "#00000000",
      "editorIndentGuide.background1": hex("line"),
      "editorIndentGuide.activeBackground1": hex("line-strong"),
      "editorWhitespace.foreground": hex("line-strong"),
      "editorBracketMatch.background": hex("code-selection"),
      "editorBracketMatch.border": "#00000000",
      "editorBracketHighlight.foreground1": hex("muted"),
      "editorBracketHighlight.foreground2": hex("code-type"),
      "editorBracketHighlight.foreground3": hex("code-keyword"),
      "editorBracketHighlight.unexpectedBracket.foreground": hex("danger"),
      "editorWidget.background": hex("raised"),
      "editorWidget.foreground": hex("ink"),
      "editorWidget.border": hex("line"),
      "editorSuggestWidget.background": hex("raised"),
      "editorSuggestWidget.border": hex("line"),
      "editorSuggestWidget.foreground": hex("ink"),
      "editorSuggestWidget.selectedBackground": hex("accent-soft"),
      "editorSuggestWidget.selectedForeground": hex("accent-ink"),
      "editorSuggestWidget.highlightForeground": hex("accent-ink"),
      "editorSuggestWidget.focusHighlightForeground": hex("accent-ink"),
      "editorHoverWidget.background": hex("raised"),
      "editorHoverWidget.border": hex("line"),
      "editorStickyScroll.background": hex("surface"),
      "editorStickyScroll.border": hex("line"),
      "editorStickyScrollHover.background": hex("code-line"),
      "editorOverviewRuler.border": "#00000000",
      "editorGutter.background": hex("surface"),
      "scrollbarSlider.background": `${hex("faint")}44`,
      "scrollbarSlider.hoverBackground": `${hex("faint")}66`,
      "scrollbarSlider.activeBackground": `${hex("faint")}88`,
      "scrollbar.shadow": "#00000000",
      focusBorder: hex("accent"),
      "input.background": hex("surface"),
      "input.foreground": hex("ink"),
      "input.border": hex("line-strong"),
      "input.placeholderForeground": hex("faint"),
      "inputOption.activeBackground": hex("accent-soft"),
      "inputOption.activeForeground": hex("accent-ink"),
      "inputOption.activeBorder": hex("accent"),
      "inputValidation.errorBackground": hex("danger-soft"),
      "inputValidation.errorBorder": hex("danger"),
      "list.hoverBackground": hex("sunken"),
      "list.activeSelectionBackground": hex("accent-soft"),
      "list.activeSelectionForeground": hex("accent-ink"),
      "list.focusBackground": hex("accent-soft"),
      "list.focusForeground": hex("accent-ink"),
      "list.highlightForeground": hex("accent-ink"),
      "list.focusHighlightForeground": hex("accent-ink"),
      "quickInput.background": hex("raised"),
      "quickInput.foreground": hex("ink"),
      "quickInputList.focusBackground": hex("accent-soft"),
      "quickInputList.focusForeground": hex("accent-ink"),
      "menu.background": hex("raised"),
      "menu.foreground": hex("ink"),
      "menu.selectionBackground": hex("accent-soft"),
      "menu.selectionForeground": hex("accent-ink"),
      "menu.border": hex("line"),
      "widget.shadow": "#00000022",
      "diffEditor.insertedTextBackground": `${hex("diff-added")}cc`,
      "diffEditor.removedTextBackground": `${hex("diff-removed")}cc`,
      "diffEditor.insertedLineBackground": `${hex("diff-added")}66`,
      "diffEditor.removedLineBackground": `${hex("diff-removed")}66`,
      "diffEditor.diagonalFill": hex("line"),
      "diffEditor.unchangedRegionBackground": hex("canvas"),
      "diffEditor.unchangedRegionForeground": hex("muted"),
      "editorError.foreground": hex("danger"),
      "editorWarning.foreground": hex("warn"),
      "editorInfo.foreground": hex("accent"),
      "editorLink.activeForeground": hex("accent-ink"),
      "textLink.foreground": hex("accent-ink"),
      "editorUnicodeHighlight.border": hex("warn"),
      "editorUnicodeHighlight.background": hex("warn-soft"),
    },
  });
  monaco.editor.setTheme(themeName);
}

const reducedMotion = () => window.matchMedia("(prefers-reduced-motion: reduce)").matches;

/** The options that every editor of ours has. */
export function commonOptions() {
  return {
    theme: themeName,
    automaticLayout: true,
    fontFamily: '"JetBrains Mono Variable", ui-monospace, Menlo, Consolas, monospace',
    fontSize: 13,
    lineHeight: 20,
    fontLigatures: false,
    minimap: { enabled: false },
    scrollBeyondLastLine: false,
    smoothScrolling: !reducedMotion(),
    cursorBlinking: reducedMotion() ? "solid" : "blink",
    renderLineHighlight: "line",
    renderWhitespace: "selection",
    overviewRulerBorder: false,
    hideCursorInOverviewRuler: true,
    fixedOverflowWidgets: true,
    padding: { top: 10, bottom: 10 },
    tabSize: 4,
    insertSpaces: true,
    detectIndentation: true,
    guides: { indentation: true, bracketPairs: false },
    lineNumbersMinChars: 4,
    lineDecorationsWidth: 8,
    folding: true,
    showFoldingControls: "mouseover",
    stickyScroll: { enabled: true, maxLineCount: 3 },
    scrollbar: { verticalScrollbarSize: 10, horizontalScrollbarSize: 10, useShadows: false },
    unicodeHighlight: { ambiguousCharacters: true, invisibleCharacters: true, nonBasicASCII: false },
    accessibilitySupport: "auto",
  } as const satisfies monaco.editor.IStandaloneEditorConstructionOptions;
}

/** Measures the editors again once the font is there. */
export function remeasure(): void {
  void document.fonts.load('13px "JetBrains Mono Variable"').then(
    () => monaco.editor.remeasureFonts(),
    () => {},
  );
}
