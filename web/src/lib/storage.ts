// The browser's storage for small preferences. It may be full, forbidden or edited by hand: then there is just no memory.

export function recall(key: string, storage: () => Storage = () => window.localStorage): string | null {
  try {
    return storage().getItem(key);
  } catch {
    return null;
  }
}

export function remember(key: string, value: string | null, storage: () => Storage = () => window.localStorage): void {
  try {
    if (value === null) storage().removeItem(key);
    else storage().setItem(key, value);
  } catch {
    // nothing is lost but the preference
  }
}

/** A remembered list of strings; empty when it is not one. */
export function recallList(key: string): string[] {
  try {
    const value: unknown = JSON.parse(recall(key) ?? "[]");
    return Array.isArray(value) ? value.filter((v): v is string => typeof v === "string") : [];
  } catch {
    return [];
  }
}
