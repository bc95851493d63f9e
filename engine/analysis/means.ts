// Sequential tests of means of bounded values, from counts, sums and sums of squares alone. For x in [0, 1], a guess m made
// before x and a bet 0 < b < 1, exp(b(x - E x) - (-ln(1 - b) - b)(x - m)^2) is at most 1 on average: the inequality of Fan,
// Grama and Liu (2015), as used by Howard et al. (2021, empirical Bernstein) and Waudby-Smith and Ramdas (2024). Products
// over values are e-values, whatever the distribution is and whenever one looks.
import { logSum } from './e-process.ts';

/** Values in units of their range, 0 to 1. */
export interface Batch {
  readonly count: number;
  readonly sum: number;
  readonly squares: number;
}

export const noValues: Batch = { count: 0, sum: 0, squares: 0 };

export const joinBatches = (left: Batch, right: Batch): Batch => ({
  count: left.count + right.count,
  sum: left.sum + right.sum,
  squares: left.squares + right.squares,
});

/** What the mean will be, said beforehand: any guess is valid, a good one is cheap. */
export const guessOf = ({ count, sum }: Batch): number => (sum + 0.5) / (count + 1);

/** Sum of the squared distances from the guess. */
export const spreadOf = ({ count, sum, squares }: Batch, guess: number): number =>
  Math.max(0, squares - 2 * guess * sum + count * guess * guess);

/** Evidence about one boundary. For the bet b, `b * below - cost` is the log e-value that the mean is below it. */
export interface MeanSums {
  readonly below: number;
  /** By bet. */
  readonly costs: readonly number[];
}

/** Small ones for small differences in noisy values, large ones for large differences. */
const bets = [0.005, 0.015, 0.05, 0.12, 0.25, 0.45, 0.7, 0.9];
export const noEvidence: MeanSums = { below: 0, costs: bets.map(() => 0) };

const costOf = (bet: number): number => -Math.log1p(-bet) - bet;

/** One version against a fixed bound. */
export const addAgainst = (
  { below, costs }: MeanSums,
  batch: Batch,
  bound: number,
  guess: number,
): MeanSums => {
  const spread = spreadOf(batch, guess);
  return {
    below: below + batch.count * bound - batch.sum,
    costs: costs.map((cost, at) => cost + costOf(bets[at] ?? 0) * spread),
  };
};

export interface Pair {
  readonly canary: Batch;
  readonly baseline: Batch;
  /** Said before either was seen. */
  readonly guesses: { readonly canary: number; readonly baseline: number };
}

/**
 * One stratum of both versions: is the canary's mean below `ratio` times the baseline's? Whatever the baseline's mean is in
 * this stratum cancels, so it may drift and differ among agents. `origin` is where 0 lies, in units of the range.
 */
export const addRatio = (
  sums: MeanSums,
  { canary, baseline, guesses }: Pair,
  ratio: number,
  origin: number,
): MeanSums => {
  const [nc, nb] = [canary.count, baseline.count];
  // One version alone says nothing about a ratio.
  if (nc === 0 || nb === 0) return sums;
  const weight = (nc * nb) / (nb + ratio * nc);
  const meanOf = ({ count, sum }: Batch): number => sum / count - origin;
  const spreads = {
    canary: spreadOf(canary, guesses.canary),
    baseline: spreadOf(baseline, guesses.baseline),
  };
  return {
    below: sums.below + weight * (ratio * meanOf(baseline) - meanOf(canary)),
    costs: sums.costs.map((cost, at) => {
      const bet = bets[at] ?? 0;
      return (
        cost +
        costOf((bet * weight) / nc) * spreads.canary +
        costOf((bet * weight * ratio) / nb) * spreads.baseline
      );
    }),
  };
};

/** log e-value that the mean is below the boundary, or above it. */
export const meanEvidence = (
  { below, costs }: MeanSums,
  direction: 'below' | 'above',
  dispersion: number,
): number => {
  const drift = direction === 'below' ? below : -below;
  const share = Math.log(bets.length);
  return logSum(costs.map((cost, at) => ((bets[at] ?? 0) * drift - cost) / dispersion - share));
};
