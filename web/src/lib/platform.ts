/** Whether shortcuts use the Command key. */
export const isMac = typeof navigator !== "undefined" && /mac|iphone|ipad/i.test(navigator.platform);

/** A shortcut in the words of the platform: "Mod+Shift+P" is ⇧⌘P or Ctrl+Shift+P. */
export function shortcut(keys: string, mac = isMac): string {
  const parts = keys.split("+");
  if (!mac) return parts.map((k) => (k === "Mod" ? "Ctrl" : k)).join("+");
  const order = ["Ctrl", "Alt", "Shift", "Mod"];
  const symbols: Record<string, string> = { Ctrl: "⌃", Alt: "⌥", Shift: "⇧", Mod: "⌘", Enter: "↩", Delete: "⌫" };
  return parts
    .sort((a, b) => (order.indexOf(a) + 1 || 9) - (order.indexOf(b) + 1 || 9))
    .map((k) => symbols[k] ?? k)
    .join("");
}
