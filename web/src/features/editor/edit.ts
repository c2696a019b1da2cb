/** One replacement: the text between two offsets becomes another. */
export interface Edit {
  from: number;
  to: number;
  text: string;
}

/** The shortest single replacement that turns one text into another; undefined when they are the same. */
export function smallestEdit(before: string, after: string): Edit | undefined {
  if (before === after) return undefined;
  const shortest = Math.min(before.length, after.length);
  let start = 0;
  while (start < shortest && before[start] === after[start]) start++;
  let end = 0;
  while (end < shortest - start && before[before.length - 1 - end] === after[after.length - 1 - end]) end++;
  // Half of a pair of surrogates, or of a line ending, must not be replaced alone.
  while (start > 0 && joins(before, start)) start--;
  while (end > 0 && joins(before, before.length - end)) end--;
  return { from: start, to: before.length - end, text: after.slice(start, after.length - end) };
}

function joins(text: string, at: number): boolean {
  const code = text.charCodeAt(at - 1);
  return (code >= 0xd800 && code <= 0xdbff) || (text[at - 1] === "\r" && text[at] === "\n");
}
