import type { ThemeChoice } from "@/lib/theme";
import { download, uploadInto } from "../files/explorer-menu";
import { parentOf } from "../files/path";
import {
  close,
  closeFile,
  end,
  newTerminalInFront,
  restart,
  run,
  runnable,
  save,
  saveAll,
  stop,
  stoppable,
} from "./actions";
import type { Desk } from "./desk";

/** Something that the user can do, from the palette or by its keys. */
export interface Command {
  id: string;
  title: string;
  /** "Mod" is Ctrl, or Command on a Mac. */
  keys?: string;
  /** Also while a terminal has the focus, where most keys belong to the program in it. */
  inTerminal?: boolean;
  /** Only by its keys. */
  hidden?: boolean;
  enabled?: (desk: Desk) => boolean;
  run: (desk: Desk) => void;
}

const active = (desk: Desk) => desk.files.tabs.get().active;
const folder = (desk: Desk) => {
  const item = desk.item(desk.selected.get() ?? "");
  return !item ? "" : item.kind === "folder" ? item.path : parentOf(item.path);
};
const focusSoon = (focus: () => void) => setTimeout(focus, 30);

function focusPane(desk: Desk, pane: "files" | "editor" | "terminal"): void {
  desk.pane.set(pane);
  if (pane === "files") desk.explorerShown.set(true);
  if (pane === "terminal") desk.terminalShown.set(true);
  focusSoon(() =>
    pane === "files" ? desk.focusFiles() : pane === "editor" ? desk.focusEditor() : desk.terminals.focus(),
  );
}

const paneOf = (element: Element | null): number =>
  ["Explorer", "Editor", "Terminal"].findIndex((name) => element?.closest(`section[aria-label="${name}"]`) != null);

/** All commands. The theme is the page's, not the desk's. */
export function commandsOf(chooseTheme: (choice: ThemeChoice) => void): readonly Command[] {
  return [
    {
      id: "run",
      title: "Run the file",
      keys: "Mod+Enter",
      enabled: (d) => runnable(d) !== undefined,
      run: (d) => void run(d),
    },
    {
      id: "stop",
      title: "Stop the running program",
      enabled: (d) => stoppable(d.sessionView?.terminals ?? [], d.terminals.active.get()) !== undefined,
      run: stop,
    },
    {
      id: "save",
      title: "Save",
      keys: "Mod+S",
      enabled: (d) => active(d) !== undefined,
      run: (d) => void save(d, active(d)),
    },
    { id: "save-all", title: "Save all", enabled: (d) => d.files.unsaved.length > 0, run: (d) => void saveAll(d) },
    { id: "go-to-file", title: "Go to file…", keys: "Mod+P", run: (d) => d.palette.set("files") },
    {
      id: "commands",
      title: "Show all commands",
      keys: "Mod+Shift+P",
      inTerminal: true,
      hidden: true,
      run: (d) => d.palette.set("commands"),
    },
    { id: "new-file", title: "New file…", run: (d) => d.asking.set({ ask: "file", folder: folder(d) }) },
    { id: "new-folder", title: "New folder…", run: (d) => d.asking.set({ ask: "folder", folder: folder(d) }) },
    { id: "upload", title: "Upload files…", run: (d) => uploadInto(d, folder(d)) },
    {
      id: "download",
      title: "Download the open file",
      enabled: (d) => active(d) !== undefined,
      run: (d) => {
        const file = active(d);
        if (file) download(d, file.path);
      },
    },
    {
      id: "rename",
      title: "Rename or move the open file…",
      enabled: (d) => active(d) !== undefined,
      run: (d) => {
        const file = active(d);
        if (file) d.asking.set({ ask: "rename", path: file.path });
      },
    },
    {
      id: "close-file",
      title: "Close the open file",
      keys: "Alt+W",
      enabled: (d) => active(d) !== undefined,
      run: (d) => closeFile(d, active(d)),
    },
    { id: "next-file", title: "Next open file", keys: "Alt+PageDown", run: (d) => d.files.cycle(1) },
    { id: "previous-file", title: "Previous open file", keys: "Alt+PageUp", run: (d) => d.files.cycle(-1) },
    {
      id: "new-terminal",
      title: "New terminal",
      keys: "Ctrl+Shift+`",
      inTerminal: true,
      run: (d) => void newTerminalInFront(d),
    },
    {
      id: "close-terminal",
      title: "Close the terminal",
      enabled: (d) => d.terminals.active.get() !== undefined,
      run: (d) => {
        const id = d.terminals.active.get();
        if (id) void close(d, id);
      },
    },
    { id: "focus-files", title: "Focus the files", run: (d) => focusPane(d, "files") },
    { id: "focus-editor", title: "Focus the editor", run: (d) => focusPane(d, "editor") },
    {
      id: "focus-terminal",
      title: "Focus the terminal",
      keys: "Ctrl+`",
      inTerminal: true,
      run: (d) => focusPane(d, "terminal"),
    },
    {
      id: "next-pane",
      title: "Focus the next part of the page",
      keys: "F6",
      inTerminal: true,
      run: (d) => {
        const panes = ["files", "editor", "terminal"] as const;
        focusPane(d, panes[(paneOf(document.activeElement) + 1) % panes.length] ?? "files");
      },
    },
    {
      id: "toggle-files",
      title: "Show or hide the files",
      keys: "Mod+B",
      run: (d) => d.explorerShown.set(!d.explorerShown.get()),
    },
    {
      id: "toggle-terminal",
      title: "Show or hide the terminal",
      keys: "Mod+J",
      run: (d) => d.terminalShown.set(!d.terminalShown.get()),
    },
    {
      id: "wrap",
      title: "Wrap long lines in the editor",
      keys: "Alt+Z",
      run: (d) => d.wordWrap.set(!d.wordWrap.get()),
    },
    {
      id: "screen-reader",
      title: "Read the terminal aloud: on or off",
      run: (d) => d.terminals.setScreenReader(!d.terminals.screenReader.get()),
    },
    { id: "theme-light", title: "Theme: light", run: () => chooseTheme("light") },
    { id: "theme-dark", title: "Theme: dark", run: () => chooseTheme("dark") },
    { id: "theme-system", title: "Theme: as the system", run: () => chooseTheme("system") },
    { id: "restart", title: "Restart the sandbox", run: (d) => void restart(d) },
    {
      id: "end",
      title: "End the session",
      enabled: (d) => d.sessionView?.session?.state === "running",
      run: (d) => void end(d),
    },
  ];
}

/** Whether a key press is a command's keys. Letters are compared by what they type, so that other layouts work. */
export function pressed(
  event: Pick<KeyboardEvent, "key" | "code" | "ctrlKey" | "metaKey" | "shiftKey" | "altKey">,
  keys: string,
  mac: boolean,
): boolean {
  const parts = keys.split("+");
  const key = parts.at(-1) ?? "";
  const mod = parts.includes("Mod");
  const ctrl = parts.includes("Ctrl") || (mod && !mac);
  if (event.ctrlKey !== ctrl || event.metaKey !== (mod && mac)) return false;
  if (event.shiftKey !== parts.includes("Shift") || event.altKey !== parts.includes("Alt")) return false;
  if (key === "`") return event.code === "Backquote";
  // With Alt a Mac types other letters.
  if (event.altKey && /^[A-Z]$/.test(key)) return event.code === `Key${key}`;
  return event.key.toLowerCase() === key.toLowerCase();
}
