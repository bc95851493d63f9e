// Metrics that others measure: values against bounds. Too many bad values in a row fail; a value that could not be had
// is neither good nor bad, but without good ones nobody gains traffic.
import type { MetricPlan, MetricReading } from '../model/metric-plan.ts';
import type { MetricFigure } from '../model/verdict.ts';
import type { AnalysisState, MetricTally } from './state.ts';

export interface Finding {
  /** In words. */
  readonly fails?: string;
  readonly waits?: string;
  readonly figures: readonly MetricFigure[];
}

/** A good value counts for so many intervals. */
const freshIntervals = 3;

/** About another pair of versions, out of order or unknown: nothing. */
export const addReading = (state: AnalysisState, reading: MetricReading): AnalysisState => {
  const { metric, baseline, canary, atMs } = reading;
  const plan = state.plan.analysis.metrics?.find(({ name }) => name === metric);
  const old = state.readings?.[metric];
  if (!plan || canary !== state.canary || baseline !== state.baseline) return state;
  if (old && atMs <= old.atMs) return state;
  return {
    ...state,
    readings: { ...state.readings, [metric]: tallyOf(plan, old, reading, state.baseline) },
  };
};

const tallyOf = (
  plan: MetricPlan,
  old: MetricTally | undefined,
  { atMs, value, baselineValue, problem }: MetricReading,
  baseline: string,
): MetricTally => {
  const needsBaseline = plan.minRatio !== undefined || plan.maxRatio !== undefined;
  const kept = old?.goodMs === undefined ? {} : { goodMs: old.goodMs };
  if (value === undefined || (needsBaseline && baselineValue === undefined))
    return { ...kept, breaches: old?.breaches ?? 0, atMs, problem: problem ?? 'has no value' };
  const values = { value, ...(baselineValue === undefined ? {} : { baselineValue }) };
  const breach = breachOf(plan, value, baselineValue, baseline);
  return breach === undefined
    ? { breaches: 0, atMs, goodMs: atMs, ...values }
    : { ...kept, breaches: (old?.breaches ?? 0) + 1, atMs, ...values, problem: breach };
};

const breachOf = (
  { min, max, minRatio, maxRatio }: MetricPlan,
  value: number,
  of: number | undefined,
  baseline: string,
): string | undefined => {
  if (min !== undefined && value < min) return `is ${short(value)}, below its min ${short(min)}`;
  if (max !== undefined && value > max) return `is ${short(value)}, above its max ${short(max)}`;
  if (of === undefined) return undefined;
  const times = (ratio: number) => `${short(ratio)} times the ${short(of)} of ${baseline}`;
  if (minRatio !== undefined && value < minRatio * of)
    return `is ${short(value)}, below ${times(minRatio)}`;
  if (maxRatio !== undefined && value > maxRatio * of)
    return `is ${short(value)}, above ${times(maxRatio)}`;
  return undefined;
};

/** `hasTraffic`: before that there is nothing to measure, and nothing is waited for. */
export const readingsFinding = (
  state: AnalysisState,
  nowMs: number,
  hasTraffic: boolean,
): Finding => {
  const plans = (state.plan.analysis.metrics ?? []).filter(
    ({ source }) => source.type !== 'response',
  );
  const judged = plans.map((plan) => judge(plan, state.readings?.[plan.name], nowMs));
  const words = (wanted: MetricFigure['outcome']): string | undefined => {
    const found = judged.find(({ outcome }) => outcome === wanted);
    return found && `metric "${found.metric}" ${found.reason}`;
  };
  const fails = words('fail');
  const waits = hasTraffic ? (words('bad') ?? words('unknown')) : undefined;
  return {
    ...(fails === undefined ? {} : { fails }),
    ...(waits === undefined ? {} : { waits }),
    figures: judged,
  };
};

const judge = (plan: MetricPlan, tally: MetricTally | undefined, nowMs: number): MetricFigure => {
  const { name: metric, failureLimit, intervalMs, timeoutMs } = plan;
  if (!tally) return { metric, outcome: 'unknown', reason: 'has not been measured yet' };
  const { value, baselineValue, breaches, goodMs, problem } = tally;
  const values = {
    metric,
    ...(value === undefined ? {} : { value }),
    ...(baselineValue === undefined ? {} : { baseline: baselineValue }),
  };
  const times = `${breaches} time${breaches === 1 ? '' : 's'} in a row`;
  if (breaches > failureLimit)
    return { ...values, outcome: 'fail', reason: `${problem ?? 'was bad'} (${times})` };
  if (value === undefined)
    return { ...values, outcome: 'unknown', reason: problem ?? 'has no value' };
  if (breaches > 0)
    return {
      ...values,
      outcome: 'bad',
      reason: `${problem ?? 'is bad'} (${times}, ${failureLimit} are borne)`,
    };
  const isFresh = goodMs !== undefined && nowMs - goodMs <= freshIntervals * intervalMs + timeoutMs;
  if (isFresh) return { ...values, outcome: 'good', reason: `is ${short(value)}` };
  const seconds = Math.round((nowMs - (goodMs ?? 0)) / 1000);
  return { ...values, outcome: 'unknown', reason: `has had no value for ${seconds} s` };
};

const short = (value: number): string => String(Number(value.toPrecision(4)));
