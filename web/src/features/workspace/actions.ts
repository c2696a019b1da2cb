import { isStatus, messageOf } from "@/api/errors";
import { keys } from "@/api/keys";
import { closeTerminal, emptyView, endSession, openTerminal, restartSession, runFile } from "@/api/queries/session";
import type { SessionView, Terminal } from "@/api/types";
import { toast } from "@/components/ui/toast";
import type { OpenFile } from "../editor/open-file";
import { extension } from "../files/path";
import type { Desk } from "./desk";

/** How long a program may take to stop after Ctrl-C before ending it by force is offered. */
const stopGrace = 3_000;

/** The file that Run would run now: the one in front, else the last one. */
export function runnable(desk: Desk): string | undefined {
  const active = desk.files.tabs.get().active?.path;
  if (active && extension(active) === "py") return active;
  const last = desk.lastRun.get();
  return last && desk.item(last) ? last : undefined;
}

/** The program that Stop would stop: the one in front, else the last one started. */
export function stoppable(terminals: readonly Terminal[], active: string | undefined): Terminal | undefined {
  const running = terminals.filter((t) => t.kind === "run" && !t.exit);
  return running.find((t) => t.id === active) ?? running.at(-1);
}

function showTerminals(desk: Desk): void {
  desk.terminalShown.set(true);
  desk.pane.set("terminal");
}

/** Saves what is edited, then runs the file in a terminal of its own. */
export async function run(desk: Desk, path = runnable(desk)): Promise<void> {
  if (!path) {
    toast.info("Open a Python file (.py) to run it.");
    return;
  }
  if (desk.running.get()) return;
  desk.running.set(true);
  try {
    if (!(await saveAll(desk))) return;
    desk.lastRun.set(path);
    const terminal = await runFile(desk.id, path, desk.terminals.size);
    desk.added(terminal);
    showTerminals(desk);
  } catch (error) {
    toast.error(`Cannot run ${path}`, { description: messageOf(error) });
  } finally {
    desk.running.set(false);
  }
}

/** Asks the running program to stop, and offers to end it when it does not. */
export function stop(desk: Desk): void {
  const terminal = stoppable(desk.sessionView?.terminals ?? [], desk.terminals.active.get());
  if (!terminal) return;
  desk.terminals.show(terminal.id);
  desk.terminals.interrupt(terminal.id);
  setTimeout(() => {
    const still = desk.sessionView?.terminals.find((t) => t.id === terminal.id && !t.exit);
    if (!still) return;
    toast.info(`${terminal.title} has not stopped yet.`, {
      action: { label: "End it now", onClick: () => void close(desk, terminal.id) },
    });
  }, stopGrace);
}

/** Opens a shell; starts the sandbox if there is none. Says what went wrong, if something did. */
export async function newTerminal(desk: Desk): Promise<string | undefined> {
  try {
    desk.added(await openTerminal(desk.id, desk.terminals.size));
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

export async function newTerminalInFront(desk: Desk): Promise<void> {
  showTerminals(desk);
  const problem = await newTerminal(desk);
  if (problem) toast.error("Cannot open a terminal", { description: problem });
  else setTimeout(() => desk.terminals.focus(), 50);
}

/** Ends a terminal with what runs in it; its neighbour comes to the front. */
export async function close(desk: Desk, id: string): Promise<void> {
  const terminals = desk.sessionView?.terminals ?? [];
  const at = terminals.findIndex((t) => t.id === id);
  try {
    await closeTerminal(desk.id, id);
  } catch (error) {
    if (!isStatus(error, 404)) {
      toast.error("Cannot close the terminal", { description: messageOf(error) });
      return;
    }
  }
  desk.client.setQueryData<SessionView>(keys.session(desk.id), (view) =>
    view ? { ...view, terminals: view.terminals.filter((t) => t.id !== id) } : view,
  );
  if (desk.terminals.active.get() === id) desk.terminals.show((terminals[at + 1] ?? terminals[at - 1])?.id);
}

/** Ends the sandbox and starts a new one with a shell. */
export async function restart(desk: Desk): Promise<void> {
  try {
    const session = await restartSession(desk.id);
    desk.client.setQueryData<SessionView>(keys.session(desk.id), (view) => ({
      ...emptyView,
      conflicts: view?.conflicts ?? [],
      session,
    }));
    const problem = await newTerminal(desk);
    if (problem) toast.error("Cannot open a terminal", { description: problem });
  } catch (error) {
    toast.error("Cannot restart the sandbox", { description: messageOf(error) });
  }
}

export async function end(desk: Desk): Promise<void> {
  try {
    await endSession(desk.id);
    void desk.client.invalidateQueries({ queryKey: keys.session(desk.id) });
  } catch (error) {
    toast.error("Cannot end the session", { description: messageOf(error) });
  }
}

export async function save(desk: Desk, file: OpenFile | undefined): Promise<boolean> {
  if (!file) return true;
  const done = await file.save();
  if (!done) explain(desk, file);
  return done;
}

export async function saveAll(desk: Desk): Promise<boolean> {
  const unsaved = desk.files.unsaved;
  if (unsaved.length === 0) return true;
  const done = await desk.files.saveAll();
  if (!done) {
    const failed = unsaved.find((f) => ["failed", "conflict"].includes(f.state.get().save.is));
    if (failed) explain(desk, failed);
  }
  return done;
}

/** Shows the file that is not saved: what stands above its text says why, and what can be done. */
function explain(desk: Desk, file: OpenFile): void {
  desk.files.open(file.path);
  desk.pane.set("editor");
}

/** Closes a tab, after asking when something in it is not saved. */
export function closeFile(desk: Desk, file: OpenFile | undefined): void {
  if (!file) return;
  if (file.unsaved) desk.closing.set(file);
  else desk.files.close(file);
}
