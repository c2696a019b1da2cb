/** The token in a link's fragment ("#token=…"), in a whole link, or alone; undefined when there is none. */
export function tokenIn(text: string): string | undefined {
  const trimmed = text.trim();
  const inLink = /[#&]token=([^&\s]+)/.exec(trimmed)?.[1];
  if (inLink) return decodeURIComponent(inLink);
  return /^[\w-]{8,}$/.test(trimmed) ? trimmed : undefined;
}
