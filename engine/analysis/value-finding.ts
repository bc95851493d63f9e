// Metrics that answers carry, for people: means, of how many values, and what is missing.
import type { MetricFigure } from '../model/verdict.ts';
import { type Batch, joinBatches, noValues } from './means.ts';
import type { Finding } from './readings.ts';
import type { AnalysisState } from './state.ts';
import {
  noValueSums,
  type ResponsePlan,
  responsePlans,
  type ValueEvidence,
  valueMetric,
} from './values.ts';

type Judged = Omit<ValueEvidence, 'promote'> & { readonly promote: number | undefined };

/** Adds to what was asked of others: means, and whether the new version's answers carry any value at all. */
export const valueFinding = (
  state: AnalysisState,
  evidence: readonly Judged[],
  asked: Finding,
  hasTraffic: boolean,
): Finding => {
  const figures = responsePlans(state).map((plan) => figureOf(state, plan, evidence));
  const silent = hasTraffic && figures.find(({ value }) => value === undefined);
  const waits = asked.waits ?? (silent ? `metric "${silent.metric}" ${silent.reason}` : undefined);
  return {
    ...asked,
    ...(waits === undefined ? {} : { waits }),
    figures: [...asked.figures, ...figures],
  };
};

const figureOf = (
  state: AnalysisState,
  { name, source }: ResponsePlan,
  evidence: readonly Judged[],
): MetricFigure => {
  const sums = state.values?.[name] ?? noValueSums;
  const totalOf = (arm: 'canary' | 'baseline'): Batch =>
    joinBatches(sums[arm], sums.pool?.[arm] ?? noValues);
  const meanOf = ({ count, sum }: Batch): number | undefined =>
    count === 0 ? undefined : source.from + (sum / count) * (source.to - source.from);
  const [canary, baseline] = [totalOf('canary'), totalOf('baseline')];
  const [value, usual] = [meanOf(canary), meanOf(baseline)];
  return {
    metric: name,
    ...(value === undefined ? {} : { value }),
    ...(usual === undefined ? {} : { baseline: usual }),
    outcome: outcomeOf(
      state,
      evidence.find(({ metric }) => metric === valueMetric(name)),
    ),
    reason: reasonOf(state, { canary, baseline, value, usual, refused: sums.refused.canary }),
  };
};

const outcomeOf = (
  { plan: { analysis } }: AnalysisState,
  evidence: Judged | undefined,
): MetricFigure['outcome'] => {
  const { rollback = 0, promote = 0 } = evidence ?? {};
  if (rollback >= Math.log(1 / analysis.alpha)) return 'fail';
  return promote >= Math.log(1 / analysis.beta) ? 'good' : 'unknown';
};

interface Summary {
  readonly canary: Batch;
  readonly baseline: Batch;
  readonly value: number | undefined;
  readonly usual: number | undefined;
  readonly refused: number;
}

const reasonOf = (state: AnalysisState, told: Summary): string => {
  const { canary, baseline, value, usual, refused } = told;
  const doubts = refused > 0 ? `; ${refused} were not believed` : '';
  if (value === undefined)
    return `has no value yet: no answer of ${state.canary} has carried one${doubts}`;
  const versus =
    usual === undefined ? '' : ` against ${short(usual)} of ${state.baseline} (${baseline.count})`;
  return `mean ${short(value)} of ${canary.count} values${versus}${doubts}`;
};

const short = (value: number): string => String(Number(value.toPrecision(4)));
