// Shares in proportion to weights. A point in [0, 1) is compared with cumulative weights in list order, so as long as
// only the first or the last share grows, everybody who was in it stays in it.

export interface WeightedChoice<T> {
  readonly items: readonly T[];
  /** Upper end of each item's share, out of `total`. Items without weight have none. */
  readonly ends: readonly number[];
  readonly total: number;
}

export const weightedChoice = <T>(
  items: readonly T[],
  weightOf: (item: T) => number,
): WeightedChoice<T> => {
  const ends: number[] = [];
  const weighted = items.filter((item) => weightOf(item) > 0);
  let total = 0;
  for (const item of weighted) {
    total += weightOf(item);
    ends.push(total);
  }
  return { items: weighted, ends, total };
};

export const choose = <T>(choice: WeightedChoice<T>, point: number): T | undefined => {
  const at = point * choice.total;
  for (let i = 0; i < choice.ends.length; i += 1)
    if (at < (choice.ends[i] ?? 0)) return choice.items[i];
  return choice.items[choice.items.length - 1];
};

const BUCKETS = 10_000;

/** The same key is at the same point for ever; `salt` makes the points of different splits independent. */
export const pointOf = (key: string, salt: string): number =>
  (hash(key, hash(salt, 0x811c9dc5)) % BUCKETS) / BUCKETS;

/** FNV-1a over UTF-16 units, finished as in MurmurHash3: 32 bits, well mixed also for short keys. */
const hash = (text: string, seed: number): number => {
  let h = seed;
  for (let i = 0; i < text.length; i += 1) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
};
