import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  addRelative,
  below,
  betterThan,
  type Counts,
  eValue,
  logSum,
  mix,
  mixAbsolute,
  worse,
} from '#engine/analysis/e-process.ts';

/** Exact expectation over both versions' independent errors. */
const expectation = (
  { nc, nb }: { readonly nc: number; readonly nb: number },
  pc: number,
  pb: number,
  value: (counts: Counts) => number,
): number => {
  let sum = 0;
  for (let xc = 0; xc <= nc; xc += 1)
    for (let xb = 0; xb <= nb; xb += 1)
      sum += binomial(nc, xc, pc) * binomial(nb, xb, pb) * value({ nc, xc, nb, xb });
  return sum;
};

const binomial = (n: number, k: number, p: number): number => {
  let log = 0;
  for (let i = 1; i <= k; i += 1) log += Math.log((n - k + i) / i);
  if (p === 0) return k === 0 ? 1 : 0;
  if (p === 1) return k === n ? 1 : 0;
  return Math.exp(log + k * Math.log(p) + (n - k) * Math.log(1 - p));
};

const sizes = fc.record({
  nc: fc.integer({ min: 1, max: 12 }),
  nb: fc.integer({ min: 1, max: 25 }),
});
const rate = fc.double({ min: 0, max: 1, noNaN: true });
const share = fc.double({ min: 0, max: 1, noNaN: true });
const dispersion = fc.double({ min: 1, max: 10, noNaN: true });

describe('no test gains evidence on average while its null is true', () => {
  it('worse than a ratio', () => {
    fc.assert(
      fc.property(sizes, rate, share, dispersion, (n, pb, below1, phi) => {
        const boundary = 1.25;
        const pc = Math.min(1, boundary * pb) * below1;
        const ratios = worse.ratios.map((multiple) => multiple * boundary);
        const mean = expectation(n, pc, pb, (counts) =>
          Math.exp(mix(addRelative([], ratios, boundary, counts), worse, phi)),
        );
        expect(mean).toBeLessThanOrEqual(1 + 1e-9);
      }),
      { numRuns: 60, seed: 1 },
    );
  });

  it('better than a ratio', () => {
    fc.assert(
      fc.property(sizes, rate, share, dispersion, (n, pc, between, phi) => {
        const boundary = 2;
        const pb = (pc / boundary) * between;
        const grid = betterThan(boundary);
        const mean = expectation(n, pc, pb, (counts) =>
          Math.exp(mix(addRelative([], grid.ratios, boundary, counts), grid, phi)),
        );
        expect(mean).toBeLessThanOrEqual(1 + 1e-9);
      }),
      { numRuns: 60, seed: 2 },
    );
  });

  it('above a rate, below a rate', () => {
    fc.assert(
      fc.property(sizes, rate, share, dispersion, (n, bound, part, phi) => {
        fc.pre(bound > 0);
        const mean = (grid: typeof worse, p: number) =>
          expectation(n, p, 0, ({ nc, xc }) =>
            Math.exp(mixAbsolute({ requests: nc, bad: xc }, bound, grid, phi)),
          );
        expect(mean(worse, bound * part)).toBeLessThanOrEqual(1 + 1e-9);
        expect(mean(below, bound + (1 - bound) * part)).toBeLessThanOrEqual(1 + 1e-9);
      }),
      { numRuns: 60, seed: 3 },
    );
  });
});

describe('evidence', () => {
  const ratios = worse.ratios.map((multiple) => 1.25 * multiple);

  it('is the likelihood ratio of whose errors they are', () => {
    // Five errors, all of the canary's tenth of the traffic: each is 1/s times as likely under "only the canary fails".
    const [, , , , , , , , , , last] = addRelative([], ratios, 1.25, {
      nc: 100,
      xc: 5,
      nb: 900,
      xb: 0,
    });
    const atNull = (1.25 * 100) / (1.25 * 100 + 900);
    expect(last).toBeCloseTo(5 * Math.log(1 / atNull), 1);
  });

  it('does not come from one version alone', () => {
    const sums = [1, 2, 3];
    expect(addRelative(sums, ratios, 1.25, { nc: 0, xc: 0, nb: 50, xb: 9 })).toBe(sums);
    expect(addRelative(sums, ratios, 1.25, { nc: 50, xc: 9, nb: 0, xb: 0 })).toBe(sums);
    expect(addRelative(sums, ratios, 1.25, { nc: 50, xc: 0, nb: 50, xb: 0 })).toBe(sums);
  });

  it('does not move when both versions fail alike', () => {
    let sums: readonly number[] = [];
    for (let second = 0; second < 60; second += 1)
      sums = addRelative(sums, ratios, 1.25, { nc: 50, xc: 40, nb: 450, xb: 360 });
    expect(mix(sums, worse, 1)).toBeLessThan(0);
  });

  it('is divided by the size of clusters', () => {
    const sums = worse.ratios.map(() => 10);
    expect(mix(sums, worse, 5)).toBeCloseTo(2, 10);
  });

  it('is summed without overflow', () => {
    expect(logSum([1000, 1000])).toBeCloseTo(1000 + Math.log(2), 10);
    expect(logSum([])).toBe(Number.NEGATIVE_INFINITY);
    expect(logSum([Number.NEGATIVE_INFINITY])).toBe(Number.NEGATIVE_INFINITY);
    expect(eValue(5000)).toBeLessThan(Number.POSITIVE_INFINITY);
    expect(eValue(Number.NEGATIVE_INFINITY)).toBe(0);
  });

  it('asks for no alternative beyond certainty', () => {
    const log = mixAbsolute({ requests: 10, bad: 10 }, 0.9, worse, 1);
    expect(Number.isFinite(log) || log === Number.NEGATIVE_INFINITY).toBe(true);
    expect(Math.exp(log)).toBeLessThanOrEqual(1);
  });

  it('keeps only alternatives on the good side of the boundary', () => {
    expect(betterThan(2).ratios).toEqual([0.2, 0.5, 0.75, 1, 1.2]);
    expect(betterThan(1).ratios).toEqual([0.2, 0.5, 0.75]);
  });
});
