import { useSyncExternalStore } from "react";

const never = () => () => {};

/**
 * False in the exported HTML and while it is hydrated, true after. What depends on the address or on the browser must wait
 * for it, or React finds other markup than the export's.
 */
export function useMounted(): boolean {
  return useSyncExternalStore(
    never,
    () => true,
    () => false,
  );
}
