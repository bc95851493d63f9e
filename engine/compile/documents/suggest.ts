// Finds the name that somebody probably meant.

/** The nearest of the names, if it is near enough to be a slip of the fingers. */
const nearest = (text: string, names: Iterable<string>): string | undefined => {
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(text.length / 3)) + 1;
  if (text.length > 64) return undefined;
  for (const name of names) {
    if (Math.abs(name.length - text.length) >= bestDistance) continue;
    const distance =
      name.toLowerCase() === text.toLowerCase() ? 0 : editDistance(name, text, bestDistance);
    if (distance < bestDistance) [best, bestDistance] = [name, distance];
  }
  return best;
};

/** A transposition counts as one edit. Stops early at `limit`. */
const editDistance = (a: string, b: string, limit: number): number => {
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const substitution = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      let least = Math.min(substitution, (previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        least = Math.min(least, (before[j - 2] ?? 0) + 1);
      row.push(least);
    }
    if (Math.min(...row) >= limit) return limit;
    before = previous;
    previous = row;
  }
  return previous[b.length] ?? 0;
};

/** `Did you mean "x"?`, or else the sentence given. */
export const didYouMean = (text: string, names: Iterable<string>, otherwise: string): string => {
  const name = nearest(text, names);
  return name === undefined ? otherwise : `Did you mean "${name}"?`;
};
