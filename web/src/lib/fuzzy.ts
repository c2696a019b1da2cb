/** Where a query was found in a text, and how well: higher is better. */
export interface Match {
  score: number;
  positions: number[];
}

/**
 * Finds the letters of the query in order. Letters that follow one another, begin a word or a name count more; a hit in the
 * last part of a path beats one in its folders.
 */
export function fuzzyMatch(query: string, text: string): Match | null {
  const q = query.toLowerCase().replaceAll(" ", "");
  if (q === "") return { score: 0, positions: [] };
  const t = text.toLowerCase();
  const name = text.lastIndexOf("/") + 1;
  // The name alone first: "main" should find src/main.py by its name, not by an m in a folder.
  return scan(q, t, text, name, name) ?? scan(q, t, text, 0, name);
}

function scan(q: string, t: string, text: string, from: number, name: number): Match | null {
  const positions: number[] = [];
  let score = 0;
  let at = from;
  for (const letter of q) {
    const found = t.indexOf(letter, at);
    if (found < 0) return null;
    const before = text[found - 1];
    if (found === at && positions.length > 0) score += 6;
    else if (before === undefined || /[/_\-. ]/.test(before)) score += 5;
    else score -= Math.min(3, found - at);
    if (found >= name) score += 3;
    positions.push(found);
    at = found + 1;
  }
  return { score: score - text.length / 50, positions };
}
