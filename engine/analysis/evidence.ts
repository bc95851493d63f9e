// Combines the tests of all metrics. Their dependence is unknown, so e-values are averaged with fixed weights for
// rollback, and every metric must be proven by itself for promotion.
import { below, betterThan, logSum, mix, mixAbsolute, worse } from './e-process.ts';
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
  const metrics = weights(state).map(([metric, weight]) => ({
    metric,
    weight,
    rollback: rollbackEvidence(state, metric),
    promote: promotionEvidence(state, metric),
  }));
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

const rollbackEvidence = (state: AnalysisState, metric: string): number => {
  const sums = state.tests[metric] ?? noSums;
  // Nothing bad at the canary: zero is a valid lower bound of the e-value, and cheap.
  if (sums.all.bad === 0) return Number.NEGATIVE_INFINITY;
  const phi = dispersionOf(state.dispersion, metric);
  const { maxRate } = marginsOf(state.plan.analysis, metric);
  const relative = withRestarts(sums, ({ up }) => mix(up, worse, phi));
  if (maxRate === 0) return relative;
  // Above the ratio and above the rate: both must be proven.
  return Math.min(
    relative,
    withRestarts(sums, (tally) => mixAbsolute(tally, maxRate, worse, phi)),
  );
};

/** Half of the weight on the whole history, half on copies that began later, so that old good data cannot hide a late onset. */
const withRestarts = ({ all, segments }: TestSums, evidence: (sums: Sums) => number): number => {
  const logs = [Math.log(0.5) + evidence(all)];
  let since: Sums = noSums.all;
  for (const { segment, ...sums } of segments.slice(-copiesKept).reverse()) {
    since = {
      requests: since.requests + sums.requests,
      bad: since.bad + sums.bad,
      up: since.up.length === 0 ? sums.up : since.up.map((value, at) => value + (sums.up[at] ?? 0)),
    };
    logs.push(Math.log(0.5 / (segment * (segment + 1))) + evidence(since));
  }
  return logSum(logs);
};

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
