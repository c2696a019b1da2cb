"use client";

import { useEffect, useRef } from "react";
import { useSignal } from "@/lib/signal";
import { useTheme } from "@/lib/theme";
import { useDesk } from "../workspace/use-desk";
import { languageOf } from "./content";
import { applyTheme, commonOptions, ModelBuffer, monaco, remeasure } from "./monaco";
import type { OpenFile } from "./open-file";

/** The editor: one Monaco for all open texts, which gets the model of the file in front. */
export function CodeEditor({ file }: { file: OpenFile }) {
  const desk = useDesk();
  const { theme } = useTheme();
  const host = useRef<HTMLDivElement>(null);
  const editor = useRef<monaco.editor.IStandaloneCodeEditor>(undefined);
  const wrap = useSignal(desk.wordWrap);
  const { path } = useSignal(file.state);

  useEffect(() => {
    applyTheme(theme);
  }, [theme]);

  useEffect(() => {
    if (!host.current) return;
    const made = monaco.editor.create(host.current, { ...commonOptions(), model: null });
    editor.current = made;
    remeasure();
    const watch = made.onDidChangeCursorSelection(({ selection }) => {
      const model = made.getModel();
      const position = selection.getPosition();
      desk.cursor.set({
        line: position.lineNumber,
        column: position.column,
        selected: model ? model.getValueLengthInRange(selection) : 0,
      });
    });
    desk.focusEditor = () => made.focus();
    return () => {
      desk.focusEditor = () => {};
      desk.cursor.set(undefined);
      watch.dispose();
      made.dispose();
      editor.current = undefined;
    };
  }, [desk]);

  useEffect(() => {
    const made = editor.current;
    if (!made) return;
    const buffer = file.buffer((text) => new ModelBuffer(text, languageOf(file.path).id));
    made.setModel(buffer.model);
    if (buffer.view) made.restoreViewState(buffer.view);
    const position = made.getPosition();
    if (position) desk.cursor.set({ line: position.lineNumber, column: position.column, selected: 0 });
    return () => {
      buffer.view = made.saveViewState();
    };
  }, [file, desk]);

  useEffect(() => {
    editor.current?.updateOptions({ ariaLabel: path, wordWrap: wrap ? "on" : "off" });
    const model = editor.current?.getModel();
    if (model) monaco.editor.setModelLanguage(model, languageOf(path).id);
  }, [path, wrap]);

  return <div ref={host} className="absolute inset-0" />;
}
