// Seeded chance for simulations: a run is the same on every machine.
export interface Chance {
  /** Uniform in [0, 1). */
  readonly uniform: () => number;
  readonly poisson: (mean: number) => number;
  readonly binomial: (trials: number, share: number) => number;
  /** Geometric from 1 on, with this mean. */
  readonly geometric: (mean: number) => number;
  readonly normal: () => number;
}

/** FNV-1a over the words: every cell and run gets its own stream. */
export const seedOf = (...words: readonly (string | number)[]): number => {
  let hash = 0x811c9dc5;
  for (const char of words.join('|')) hash = Math.imul(hash ^ char.charCodeAt(0), 0x01000193);
  return hash >>> 0;
};

/** sfc32, warmed up. */
const createUniform = (seed: number): (() => number) => {
  let a = seed | 0;
  let b = 0x9e3779b9 | 0;
  let c = 0x243f6a88 | 0;
  let counter = 1;
  const next = () => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return (sum >>> 0) / 4_294_967_296;
  };
  for (let warm = 0; warm < 15; warm += 1) next();
  return next;
};

export const createChance = (seed: number): Chance => {
  const uniform = createUniform(seed);
  const normal = () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
  const small = (mean: number): number => {
    const limit = Math.exp(-mean);
    let count = 0;
    for (let product = uniform(); product > limit; product *= uniform()) count += 1;
    return count;
  };
  // Large means are sums of small ones down to a normal approximation that is good to a part in a thousand.
  const poisson = (mean: number): number => {
    if (mean <= 0) return 0;
    if (mean < 30) return small(mean);
    const value = mean + Math.sqrt(mean) * normal() + (1 - 1 / (4 * mean)) / 6;
    return Math.max(0, Math.round(value - 1 / 6));
  };
  /** Counts successes by the gaps between them; large means by the normal approximation. */
  const binomial = (trials: number, share: number): number => {
    if (share <= 0 || trials <= 0) return 0;
    if (share > 0.5) return trials - binomial(trials, 1 - share);
    if (trials * share > 30) {
      const mean = trials * share;
      const value = Math.round(mean + Math.sqrt(mean * (1 - share)) * normal());
      return Math.min(trials, Math.max(0, value));
    }
    const log = Math.log1p(-share);
    let count = 0;
    for (let at = gap(log); at < trials; at += 1 + gap(log)) count += 1;
    return count;
  };
  const gap = (log: number): number => Math.floor(Math.log(1 - uniform()) / log);
  const geometric = (mean: number): number =>
    mean <= 1 ? 1 : 1 + Math.floor(Math.log(1 - uniform()) / Math.log(1 - 1 / mean));
  return { uniform, poisson, binomial, geometric, normal };
};

/** Draws an index by weight in constant time (Walker's alias method). */
export const aliasTable = (weights: readonly number[]): ((uniform: number) => number) => {
  const size = weights.length;
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const scaled = weights.map((weight) => (weight * size) / total);
  const keep = new Float64Array(size).fill(1);
  const alias = Int32Array.from({ length: size }, (_, at) => at);
  const low: number[] = [];
  const high: number[] = [];
  for (const [at, value] of scaled.entries()) (value < 1 ? low : high).push(at);
  while (low.length > 0 && high.length > 0) {
    const l = low.pop() ?? 0;
    const h = high.pop() ?? 0;
    keep[l] = scaled[l] ?? 1;
    alias[l] = h;
    scaled[h] = (scaled[h] ?? 0) + (scaled[l] ?? 0) - 1;
    ((scaled[h] ?? 0) < 1 ? low : high).push(h);
  }
  return (uniform) => {
    const position = uniform * size;
    const at = Math.floor(position);
    return position - at < (keep[at] ?? 1) ? at : (alias[at] ?? at);
  };
};
