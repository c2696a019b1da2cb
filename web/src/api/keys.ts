// Every key of the query cache, so that an invalidation cannot miss by a typing error.
export const keys = {
  me: ["me"] as const,
  authOptions: ["auth-options"] as const,
  templates: ["templates"] as const,
  limits: ["limits"] as const,
  workspaces: ["workspaces"] as const,
  workspace: (id: string) => ["workspace", id] as const,
  tree: (id: string) => ["workspace", id, "tree"] as const,
  session: (id: string) => ["workspace", id, "session"] as const,
};
