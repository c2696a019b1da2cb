const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];

/** A size in words: "1 byte", "1.5 KiB". */
export function formatBytes(n: number): string {
  if (n === 1) return "1 byte";
  let unit = 0;
  let value = n;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  const digits = unit === 0 || value >= 100 || Number.isInteger(value) ? 0 : 1;
  return `${value.toFixed(digits)} ${units[unit]}`;
}
