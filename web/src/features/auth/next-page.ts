/** Where to go after signing in: a path of ours that was asked for, never another site. */
export function nextPage(search: string): string {
  const next = new URLSearchParams(search).get("next") ?? "";
  return /^\/(workspaces|w\/[0-9a-f-]{36})$/.test(next) ? next : "/workspaces";
}

/** The login page's address for somebody who is to come back here. */
export function loginPage(pathname: string): string {
  const to = nextPage(`?next=${encodeURIComponent(pathname)}`);
  return to === "/workspaces" ? "/login" : `/login?next=${encodeURIComponent(to)}`;
}
