import { recall, remember } from "./storage";

const key = "vivarium.reloaded-for-stale-build";
const minute = 60_000;

/** Whether an error means that the server was upgraded under this tab, so that a part of the old build is gone. */
export function isStaleBuild(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return (
    error.name === "ChunkLoadError" ||
    /Loading (CSS )?chunk|Failed to load chunk|dynamically imported module/i.test(error.message)
  );
}

/** Reloads the page for a stale build, at most once a minute; says whether it does. */
export function reloadOnceForStaleBuild(error: unknown, reload: () => void = () => window.location.reload()): boolean {
  if (!isStaleBuild(error)) return false;
  const session = () => window.sessionStorage;
  const last = Number(recall(key, session) ?? 0);
  if (Date.now() - last < minute) return false;
  remember(key, String(Date.now()), session);
  reload();
  return true;
}
