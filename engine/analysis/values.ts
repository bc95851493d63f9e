// Metrics that answers carry: what agents added up per second becomes evidence about the means of both versions.
import type { MetricPlan } from '../model/metric-plan.ts';
import type { ValueSeries } from '../model/telemetry.ts';
import { logSum } from './e-process.ts';
import {
  addAgainst,
  addRatio,
  type Batch,
  guessOf,
  joinBatches,
  type MeanSums,
  meanEvidence,
  noEvidence,
  noValues,
  type Pair,
  spreadOf,
} from './means.ts';
import type { AnalysisState, ValueSums } from './state.ts';

/** Values, of both versions, that make a stratum of their own; fewer wait for more, but not for longer than this. */
const stratumValues = 25;
const poolMs = 30_000;
/** Pairs of neighbouring windows before what they say about clusters is believed, and what is assumed until then. */
const enoughPairs = 20;
const assumedDispersion = 2;
const mostDispersion = 30;

export type ResponsePlan = MetricPlan & { readonly source: { readonly type: 'response' } };
type Bound = 'min' | 'max' | 'minRatio' | 'maxRatio';
const bounds = ['min', 'max', 'minRatio', 'maxRatio'] as const;

const isResponse = (plan: MetricPlan): plan is ResponsePlan => plan.source.type === 'response';

export const responsePlans = ({ plan }: Pick<AnalysisState, 'plan'>): readonly ResponsePlan[] =>
  (plan.analysis.metrics ?? []).filter(isResponse);

export const noValueSums: ValueSums = {
  canary: noValues,
  baseline: noValues,
  refused: { canary: 0, baseline: 0 },
  tests: {},
  pairs: 0,
  jumps: 0,
};

/** Adds what one sample tells of values; what cannot be is left out. */
export const addValues = (
  state: AnalysisState,
  series: readonly ValueSeries[],
): Pick<AnalysisState, 'values'> => {
  const plans = series.length === 0 ? [] : responsePlans(state);
  if (plans.length === 0) return {};
  const values = { ...state.values };
  for (const plan of plans) {
    const own = series.filter((one) => one.metric === plan.name && one.service === state.service);
    const canary = batchOf(plan, own, state.canary);
    const baseline = batchOf(plan, own, state.baseline);
    if (own.length > 0)
      values[plan.name] = addWindow(plan, values[plan.name] ?? noValueSums, {
        canary,
        baseline,
        sinceMs: state.clockMs,
      });
  }
  return { values };
};

/** Windows that have waited long enough; all of them when the split changes. */
export const closeValuePools = (
  state: AnalysisState,
  nowMs: number,
  weight: number,
): Pick<AnalysisState, 'values'> => {
  if (!state.values) return {};
  const values = { ...state.values };
  for (const plan of responsePlans(state)) {
    const sums = values[plan.name];
    if (sums?.pool && (weight !== state.weight || nowMs - sums.pool.sinceMs >= poolMs))
      values[plan.name] = addStratum(plan, sums, sums.pool);
  }
  return { values };
};

interface Told {
  readonly batch: Batch;
  readonly refused: number;
}

const batchOf = (
  { source: { from, to } }: ResponsePlan,
  series: readonly ValueSeries[],
  version: string,
): Told => {
  const width = to - from;
  let batch = noValues;
  let refused = 0;
  for (const one of series) {
    if (one.version !== version) continue;
    refused += one.refused ?? 0;
    const { count, sum, squares } = one;
    const scaled: Batch = {
      count,
      sum: (sum - count * from) / width,
      squares: (squares - 2 * from * sum + count * from * from) / (width * width),
    };
    if (isPossible(scaled)) batch = joinBatches(batch, scaled);
    else refused += count;
  }
  return { batch, refused };
};

/** Numbers between 0 and 1 add up like this; a little is left to rounding. */
const isPossible = ({ count, sum, squares }: Batch): boolean => {
  const slack = 1e-6 * count;
  return (
    count > 0 &&
    sum >= -slack &&
    squares <= sum + slack &&
    squares >= (sum * sum) / count - slack &&
    sum <= count + slack
  );
};

interface Window {
  readonly canary: Told;
  readonly baseline: Told;
  readonly sinceMs: number;
}

const addWindow = (
  plan: ResponsePlan,
  known: ValueSums,
  { canary, baseline, sinceMs }: Window,
): ValueSums => {
  const sums: ValueSums = {
    ...known,
    ...addJump(known, baseline.batch),
    refused: {
      canary: known.refused.canary + canary.refused,
      baseline: known.refused.baseline + baseline.refused,
    },
  };
  const one = { canary: canary.batch, baseline: baseline.batch };
  const isSmall = (pair: typeof one) => pair.canary.count + pair.baseline.count < stratumValues;
  if (!isSmall(one)) return addStratum(plan, sums, one, sums.pool);
  const pool = {
    canary: joinBatches(sums.pool?.canary ?? noValues, one.canary),
    baseline: joinBatches(sums.pool?.baseline ?? noValues, one.baseline),
    sinceMs: sums.pool?.sinceMs ?? sinceMs,
  };
  return isSmall(pool) ? { ...sums, pool } : addStratum(plan, sums, pool);
};

const addStratum = (
  plan: ResponsePlan,
  known: ValueSums,
  { canary, baseline }: Pick<Pair, 'canary' | 'baseline'>,
  kept?: ValueSums['pool'],
): ValueSums => {
  const { pool: _pool, ...sums } = known;
  const guesses = { canary: guessOf(sums.canary), baseline: guessOf(sums.baseline) };
  const pair: Pair = { canary, baseline, guesses };
  const tests: Partial<Record<Bound, MeanSums>> = { ...sums.tests };
  for (const bound of bounds) {
    const value = plan[bound];
    if (value !== undefined)
      tests[bound] = addPair(plan, { bound, value }, tests[bound] ?? noEvidence, pair);
  }
  return {
    ...sums,
    canary: joinBatches(sums.canary, canary),
    baseline: joinBatches(sums.baseline, baseline),
    tests,
    ...(kept && { pool: kept }),
  };
};

const addPair = (
  { source: { from, to } }: ResponsePlan,
  { bound, value }: { readonly bound: Bound; readonly value: number },
  sums: MeanSums,
  pair: Pair,
): MeanSums => {
  const width = to - from;
  return bound === 'min' || bound === 'max'
    ? addAgainst(sums, pair.canary, (value - from) / width, pair.guesses.canary)
    : addRatio(sums, pair, value, -from / width);
};

/** By how much the old version's mean jumps from one window to the next: more than chance where values come in clusters. */
const addJump = (
  { last, pairs, jumps }: ValueSums,
  next: Batch,
): Pick<ValueSums, 'last' | 'pairs' | 'jumps'> => {
  if (next.count === 0) return { ...(last && { last }), pairs, jumps };
  if (!last) return { last: next, pairs, jumps };
  const weight = (last.count * next.count) / (last.count + next.count);
  const jump = weight * (last.sum / last.count - next.sum / next.count) ** 2;
  return { last: next, pairs: pairs + 1, jumps: jumps + jump };
};

const dispersionOf = ({ pairs, jumps, baseline }: ValueSums): number => {
  const variance = spreadOf(baseline, baseline.sum / Math.max(1, baseline.count)) / baseline.count;
  const seen = variance > 0 ? (jumps / pairs / variance) * (1 - Math.sqrt(3 / pairs)) : 1;
  const least = pairs < enoughPairs ? assumedDispersion : 1;
  return Math.min(mostDispersion, Math.max(least, pairs > 3 ? seen : least));
};

export const valueMetric = (name: string): string => `value:${name}`;

export interface ValueEvidence {
  readonly metric: string;
  readonly rollback: number;
  readonly promote: number;
}

/** Worse than one of its bounds; better than all of them. All in natural logarithms. */
export const valueEvidence = (state: AnalysisState): readonly ValueEvidence[] =>
  responsePlans(state).map((plan) => {
    const metric = valueMetric(plan.name);
    const sums = state.values?.[plan.name];
    const asked = bounds.filter((bound) => plan[bound] !== undefined);
    if (!sums || sums.canary.count === 0) return { metric, rollback: -Infinity, promote: 0 };
    const phi = dispersionOf(sums);
    const of = (bound: Bound, isWorse: boolean): number => {
      const isFloor = bound === 'min' || bound === 'minRatio';
      const direction = isFloor === isWorse ? 'below' : 'above';
      return meanEvidence(sums.tests[bound] ?? noEvidence, direction, phi);
    };
    return {
      metric,
      rollback: logSum(asked.map((bound) => of(bound, true) - Math.log(asked.length))),
      promote: Math.min(...asked.map((bound) => of(bound, false))),
    };
  });

export const isValue = (metric: string): boolean => metric.startsWith('value:');
