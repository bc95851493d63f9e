// Combines the tests of all metrics. Their dependence is unknown, so e-values are averaged with fixed weights for
// rollback, and every metric must be proven by itself for promotion.
import {
  below,
  betterThan,
  type Grid,
  logAbsolute,
  logSum,
  mix,
  mixAbsolute,
  mixed,
  slower,
  worse,
} from './e-process.ts';
import { marginsOf } from './margins.ts';
import {
  type AnalysisState,
  copiesKept,
  type Dispersion,
  isErrors,
  latencyMetrics,
  noSums,
  type Sums,
  type TestSums,
} from './state.ts';
import { valueEvidence } from './values.ts';

/** All in natural logarithms. */
export interface Weighed {
  readonly rollback: number;
  readonly promote: number;
  readonly metrics: readonly MetricEvidence[];
  readonly culprits: readonly string[];
}

interface MetricEvidence {
  readonly metric: string;
  readonly weight: number;
  readonly rollback: number;
  /** Absent where promotion does not ask. */
  readonly promote: number | undefined;
}

export const weigh = (state: AnalysisState): Weighed => {
  const values = valueEvidence(state);
  const rest = values.length === 0 ? 1 : 1 - valuesShare;
  const metrics: readonly MetricEvidence[] = [
    ...weights(state).map(([metric, weight]) => ({
      metric,
      weight: weight * rest,
      rollback: rollbackEvidence(state, metric),
      promote: promotionEvidence(state, metric),
    })),
    ...values.map((one) => ({ ...one, weight: valuesShare / values.length })),
  ];
  const rollback = logSum(metrics.map((one) => Math.log(one.weight) + one.rollback));
  const threshold = Math.log(1 / state.plan.analysis.alpha);
  return {
    rollback,
    promote: Math.min(...metrics.map(({ promote }) => promote ?? Number.POSITIVE_INFINITY)),
    metrics,
    culprits: metrics
      .filter((one) => one.rollback + Math.log(one.weight) >= threshold)
      .sort((a, b) => b.rollback - a.rollback)
      .map(({ metric }) => metric),
  };
};

/** Of metrics that answers carry, where there are any. */
const valuesShare = 0.25;

/** Fixed before the evidence comes in: they may depend on what was known beforehand and on order of appearance only. */
const weights = (state: AnalysisState): readonly (readonly [string, number])[] => {
  const hasLatency = state.plan.analysis.latency === 'on';
  const errors = hasLatency ? 0.5 : 1;
  const rules = Object.keys(state.tests).filter((metric) => metric.startsWith('errors:'));
  const known = new Set(state.knownRules.map((rule) => `errors:${rule}`));
  const late = rules.filter((metric) => !known.has(metric));
  const share = ruleShares(known.size);
  return [
    ['errors', errors / 2],
    ...rules.map((metric): [string, number] => [
      metric,
      (errors / 2) * (known.has(metric) ? share.known : share.late(late.indexOf(metric))),
    ]),
    ...(hasLatency ? latencyMetrics.map((metric): [string, number] => [metric, 0.5 / 3]) : []),
  ];
};

const lateShare = 0.1;
const unknownRules = 16;
const ruleShares = (known: number) =>
  known === 0
    ? { known: 0, late: (at: number) => (at < unknownRules ? 1 / unknownRules : 0) }
    : {
        known: (1 - lateShare) / known,
        late: (at: number) => lateShare / ((at + 1) * (at + 2)),
      };

const dispersionOf = (dispersion: Dispersion, metric: string): number =>
  isErrors(metric) ? dispersion.errors : dispersion[metric as keyof Dispersion];

/** What was worked out last for these very sums: most metrics get nothing new between two judgements. */
const known = new WeakMap<TestSums, { readonly phi: number; readonly evidence: number }>();

const rollbackEvidence = (state: AnalysisState, metric: string): number => {
  const sums = state.tests[metric];
  // Nothing bad at the canary: zero is a valid lower bound of the e-value, and cheap.
  if (!sums || sums.all.bad === 0) return Number.NEGATIVE_INFINITY;
  const phi = dispersionOf(state.dispersion, metric);
  const old = known.get(sums);
  if (old?.phi === phi) return old.evidence;
  const { maxRate } = marginsOf(state.plan.analysis, metric);
  const grid = isErrors(metric) ? worse : slower;
  const total = bothProven({ maxRate, phi, grid }, (log) => withRestarts(sums, grid, log));
  const evidence = isErrors(metric)
    ? total
    : Math.min(total, beforeSettled + settledEvidence(sums, { maxRate, phi, grid }));
  known.set(sums, { phi, evidence });
  return evidence;
};

/** What slowness at the start can come to at most: enough to hold, not enough to roll back. */
const beforeSettled = Math.log(150);

interface Test {
  readonly maxRate: number;
  readonly phi: number;
  readonly grid: Grid;
}

const settledEvidence = ({ settled }: TestSums, test: Test): number =>
  settled ? bothProven(test, (log) => mixed(test.grid, (at) => log(settled, at))) : 0;

type Log = (sums: Sums, alternative: number) => number;

/** Above the ratio and above the rate. */
const bothProven = ({ maxRate, phi, grid }: Test, evidence: (log: Log) => number): number => {
  const relative = evidence(({ up }, at) => (up[at] ?? 0) / phi);
  if (maxRate === 0) return relative;
  return Math.min(
    relative,
    evidence((sums, at) => logAbsolute(sums, maxRate, grid, at) / phi),
  );
};

const worseLogs = new Float64Array((copiesKept + 1) * worse.ratios.length);

/**
 * Half of the weight on the whole history, half on copies that began later, so that old good data cannot hide a late
 * onset. `log` is what a tally says for an alternative of the grid.
 */
const withRestarts = ({ all, segments }: TestSums, { logWeights }: Grid, log: Log): number => {
  let used = 0;
  const add = (sums: Sums, share: number): void => {
    const logShare = Math.log(share);
    for (let at = 0; at < logWeights.length; at += 1) {
      worseLogs[used] = logShare + (logWeights[at] ?? 0) + log(sums, at);
      used += 1;
    }
  };
  add(all, 0.5);
  let since: Sums = noSums.all;
  for (let at = segments.length - 1; at >= 0 && at >= segments.length - copiesKept; at -= 1) {
    const one = segments[at];
    if (!one) break;
    since = join(since, one);
    // Nothing bad since then: leaving the copy out only loses evidence.
    if (since.bad > 0) add(since, 0.5 / (one.segment * (one.segment + 1)));
  }
  return logSum(worseLogs.subarray(0, used));
};

const join = (later: Sums, earlier: Sums): Sums => ({
  requests: later.requests + earlier.requests,
  bad: later.bad + earlier.bad,
  up:
    later.up.length === 0 ? earlier.up : later.up.map((value, at) => value + (earlier.up[at] ?? 0)),
});

const promotionEvidence = (state: AnalysisState, metric: string): number | undefined => {
  const { promote } = marginsOf(state.plan.analysis, metric);
  if (promote === undefined) return undefined;
  const sums = state.tests[metric] ?? noSums;
  const phi = dispersionOf(state.dispersion, metric);
  const relative = mix(sums.down, betterThan(promote.ratio), phi);
  if (promote.rate === 0) return relative;
  // Below the ratio or below the rate: either proof will do.
  const share = rateShare(state, metric, promote.rate);
  return logSum([
    Math.log(1 - share) + relative,
    Math.log(share) + mixAbsolute(sums.all, promote.rate, below, phi),
  ]);
};

/**
 * Weight of the proof by rate, from what was known beforehand: near or above the bound it can hardly succeed. Latency
 * thresholds lie where the baseline is near it.
 */
const rateShare = ({ usualErrorRate }: AnalysisState, metric: string, rate: number): number => {
  if (!isErrors(metric)) return 0.1;
  return usualErrorRate !== undefined && usualErrorRate >= rate * 0.7 ? 0.1 : 0.5;
};
