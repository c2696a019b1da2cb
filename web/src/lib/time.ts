const steps: [limit: number, divisor: number, unit: Intl.RelativeTimeFormatUnit][] = [
  [60, 1, "second"],
  [3600, 60, "minute"],
  [86_400, 3600, "hour"],
  [7 * 86_400, 86_400, "day"],
];

/** When something was, as a person would say it: "just now", "5 minutes ago", "yesterday", then the date. */
export function formatAgo(iso: string, now = Date.now()): string {
  const then = Date.parse(iso);
  if (Number.isNaN(then)) return "";
  const seconds = Math.max(0, (now - then) / 1000);
  if (seconds < 60) return "just now";
  const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
  for (const [limit, divisor, unit] of steps) {
    if (seconds < limit) return relative.format(-Math.max(1, Math.floor(seconds / divisor)), unit);
  }
  return new Date(then).toLocaleDateString("en", { day: "numeric", month: "short", year: "numeric" });
}
