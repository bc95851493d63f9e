// The sequential tests of docs/canary.md: evidence is a sum of log-likelihood ratios per grid point, and an e-value is a
// mixture of their exponentials. Everything here is in natural logarithms until the last moment.

/** One stratum: what both versions did behind one agent in one window. */
export interface Counts {
  /** Canary requests and how many of them were bad. */
  readonly nc: number;
  readonly xc: number;
  /** Baseline. */
  readonly nb: number;
  readonly xb: number;
}

/** Alternatives of a test, relative to its null boundary, with prior weights that add up to 1. */
export interface Grid {
  readonly ratios: readonly number[];
  readonly logRatios: readonly number[];
  readonly logWeights: readonly number[];
}

const gridOf = (ratios: readonly number[], weights: readonly number[]): Grid => {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return {
    ratios,
    logRatios: ratios.map(Math.log),
    logWeights: weights.map((weight) => Math.log(weight / total)),
  };
};

/** Alternatives "worse than the boundary", as multiples of it; more weight where regressions mostly are. */
export const worse = gridOf(
  [1.2, 1.6, 2.4, 3.2, 4.8, 7.2, 12.8, 25.6, 51, 102, 819],
  [1, 1, 2, 2, 2, 2, 2, 1, 1, 1, 1],
);

/** The share of slow requests cannot grow a hundredfold: the weight is where it can. Same alternatives, same sums. */
export const slower = gridOf(worse.ratios, [2, 3, 3, 2, 1, 1, 1, 1, 0, 0, 0]);

const betterRatios = [0.2, 0.5, 0.75, 1, 1.2] as const;
const betterWeights = [1, 1, 2, 4, 2] as const;

/** Alternatives "better than `boundary` times the baseline", as ratios to the baseline: centred on equality. */
export const betterThan = (boundary: number): Grid => {
  const kept = betterRatios.flatMap((ratio, at) => (ratio < boundary ? [at] : []));
  return gridOf(
    kept.map((at) => betterRatios[at] ?? 1),
    kept.map((at) => betterWeights[at] ?? 1),
  );
};

/** Alternatives "below the absolute bound", as shares of it. */
export const below = gridOf([0.1, 0.35, 0.6], [1, 3, 1]);

/**
 * Adds to `sums` what one stratum says for `ratio` times the baseline's rate against `boundary` times it. The common
 * error level cancels, so it may drift or jump; only the versions' shares of the traffic and of the errors count.
 */
export const addRelative = (
  sums: readonly number[],
  ratios: readonly number[],
  boundary: number,
  counts: Counts,
): readonly number[] => {
  const { nc, xc, nb, xb } = counts;
  // One version alone says nothing about a ratio.
  if (xc + xb === 0 || nc === 0 || nb === 0) return sums;
  const atBoundary = boundary * nc + nb;
  return ratios.map(
    (ratio, at) =>
      (sums[at] ?? 0) +
      xc * Math.log(ratio / boundary) -
      (xc + xb) * Math.log((ratio * nc + nb) / atBoundary),
  );
};

/** log of the sum of exponentials; -Infinity for nothing. */
export const logSum = (logs: ArrayLike<number>): number => {
  let top = Number.NEGATIVE_INFINITY;
  for (let at = 0; at < logs.length; at += 1) top = Math.max(top, logs[at] ?? top);
  if (top === Number.NEGATIVE_INFINITY) return top;
  let sum = 0;
  for (let at = 0; at < logs.length; at += 1) {
    const below = (logs[at] ?? top) - top;
    // What is smaller by so much adds nothing that a double could hold.
    if (below > -40) sum += Math.exp(below);
  }
  return top + Math.log(sum);
};

/**
 * log e-value of a mixture. Bad requests that come in clusters of up to `dispersion` count as one: dividing the evidence
 * keeps the test valid (a power below 1 of an e-value is one).
 */
export const mix = (logs: readonly number[], grid: Grid, dispersion: number): number =>
  mixed(grid, (at) => (logs[at] ?? 0) / dispersion);

/**
 * The same for one version against a fixed rate: alternatives are multiples of `bound`. Only sums enter, so strata need
 * not be kept apart.
 */
export const mixAbsolute = (
  sums: { readonly requests: number; readonly bad: number },
  bound: number,
  grid: Grid,
  dispersion: number,
): number => mixed(grid, (at) => logAbsolute(sums, bound, grid, at) / dispersion);

/** What the sums say for one alternative of the grid. */
export const logAbsolute = (
  { requests, bad }: { readonly requests: number; readonly bad: number },
  bound: number,
  { ratios, logRatios }: Grid,
  at: number,
): number => {
  const multiple = ratios[at] ?? 1;
  // A rate above 1 is no alternative.
  if (multiple * bound > 1) return Number.NEGATIVE_INFINITY;
  return bad * (logRatios[at] ?? 0) - (multiple - 1) * bound * requests;
};

/** log of the mixture of what `log` says for each alternative. */
export const mixed = ({ logWeights }: Grid, log: (at: number) => number): number => {
  const logs = new Float64Array(logWeights.length);
  for (let at = 0; at < logs.length; at += 1) logs[at] = (logWeights[at] ?? 0) + log(at);
  return logSum(logs);
};

/** e-value for people and JSON: finite, four digits. */
export const eValue = (log: number): number =>
  log < -30 ? 0 : Number(Math.exp(Math.min(690, log)).toPrecision(4));
