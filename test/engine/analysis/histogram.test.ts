import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  above,
  countOf,
  edgeFor,
  emptyHistogram,
  merge,
  quantile,
  upperEdge,
} from '#engine/analysis/histogram.ts';
import type { Histogram } from '#engine/model/telemetry.ts';

const sparse: fc.Arbitrary<Histogram> = fc
  .uniqueArray(fc.tuple(fc.integer({ min: -60, max: 150 }), fc.integer({ min: 1, max: 1000 })), {
    selector: ([index]) => index,
    maxLength: 40,
  })
  .map((pairs) => ({
    zero: 0,
    buckets: [...pairs].sort(([a], [b]) => a - b).flat(),
    sum: 0,
  }));

describe('a histogram', () => {
  it('merges in any order to the same', () => {
    fc.assert(
      fc.property(sparse, sparse, sparse, (a, b, c) => {
        expect(merge(a, merge(b, c))).toEqual(merge(c, b, a));
        expect(countOf(merge(a, b, c))).toBe(countOf(a) + countOf(b) + countOf(c));
        expect(merge(a, emptyHistogram)).toEqual(a);
      }),
      { seed: 1 },
    );
  });

  it('splits at every edge without losing a value', () => {
    fc.assert(
      fc.property(sparse, fc.integer({ min: -70, max: 160 }), (histogram, edge) => {
        const { buckets } = histogram;
        const low = buckets.flatMap((count, at) =>
          at % 2 === 1 && (buckets[at - 1] ?? 0) <= edge ? [count] : [],
        );
        const within = low.reduce((sum, count) => sum + count, 0);
        expect(above(histogram, edge) + within).toBe(countOf(histogram));
      }),
      { seed: 2 },
    );
  });

  it('puts a threshold where the share above it is nearest', () => {
    fc.assert(
      fc.property(sparse, fc.constantFrom(0.1, 0.01, 0.001), (histogram, share) => {
        fc.pre(countOf(histogram) > 0);
        const wanted = share * countOf(histogram);
        const distance = (edge: number) => Math.abs(above(histogram, edge) - wanted);
        const best = distance(edgeFor(histogram, share));
        for (let edge = -61; edge <= 151; edge += 1)
          expect(best).toBeLessThanOrEqual(distance(edge) + 1e-9);
      }),
      { seed: 3 },
    );
  });

  it('has no values above the threshold when all values are alike', () => {
    const alike = { zero: 0, buckets: [40, 10_000], sum: 0 };
    expect(above(alike, edgeFor(alike, 0.01))).toBe(0);
  });

  it('tells quantiles within a bucket of the truth', () => {
    const histogram = { zero: 0, buckets: [8, 50, 16, 49, 24, 1], sum: 0 };
    expect(quantile(histogram, 0.5)).toBeCloseTo(upperEdge(8), 10);
    expect(quantile(histogram, 0.99)).toBeCloseTo(upperEdge(16), 10);
    expect(quantile(histogram, 1)).toBeCloseTo(upperEdge(24), 10);
    expect(quantile(emptyHistogram, 0.99)).toBe(0);
    expect(quantile({ zero: 10, buckets: [], sum: 0 }, 0.5)).toBe(0);
  });
});
