import type { Item, Terminal, Workspace } from "@/api/types";

// One maker per entity, with values that a test overrides where it cares.

export const item = (path: string, more: Partial<Item> = {}): Item => ({
  path,
  kind: "file",
  size: 1,
  version: 1,
  changedAt: "2026-01-02T03:04:05Z",
  ...more,
});

export const workspace = (more: Partial<Workspace> = {}): Workspace => ({
  id: "7c9e6679-7425-40de-944b-e07fc1f90ae7",
  name: "Penguins",
  createdAt: "2026-01-02T03:04:05Z",
  changedAt: "2026-01-02T03:04:05Z",
  ...more,
});

export const terminal = (more: Partial<Terminal> = {}): Terminal => ({
  id: "1b4e28ba-2fa1-41d2-883f-0016d3cca427",
  kind: "shell",
  title: "bash",
  cols: 80,
  rows: 24,
  startedAt: "2026-01-02T03:04:05Z",
  ...more,
});
