import { Signal } from "./signal";

/** Whether leaving the page would lose edits. Set by the editor, asked before anything that leaves the page. */
export const unsavedEdits = new Signal(false);
