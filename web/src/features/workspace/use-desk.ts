"use client";

import { useQuery } from "@tanstack/react-query";
import { createContext, useContext } from "react";
import { sessionQuery } from "@/api/queries/session";
import type { Desk } from "./desk";

export const DeskContext = createContext<Desk | null>(null);

/** The desk of the workspace that is shown. */
export function useDesk(): Desk {
  const desk = useContext(DeskContext);
  if (!desk) throw new Error("useDesk is used outside of a workspace");
  return desk;
}

/** The workspace's items. */
export function useTree() {
  const desk = useDesk();
  return useQuery(desk.treeQuery());
}

/** The workspace's session with its terminals. */
export function useSession() {
  const desk = useDesk();
  return useQuery(sessionQuery(desk.id));
}
