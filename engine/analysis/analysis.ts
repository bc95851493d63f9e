// Samples in, verdict out: is the new version worse than the margins, good enough, or not known yet? Pure, and cheap
// enough to ask after every sample: looking often costs nothing, that is the point of sequential tests (docs/canary.md).
import type { RolloutPlan } from '../model/rollout-plan.ts';
import type { Sample } from '../model/telemetry.ts';
import type { Verdict } from '../model/verdict.ts';
import { type BaselineState, summarise } from './baseline.ts';
import { addCallers } from './callers.ts';
import type { JudgeFacts } from './facts.ts';
import { emptyHistogram } from './histogram.ts';
import { decide } from './judgement.ts';
import { count } from './observation.ts';
import type { AnalysisState, ArmSums } from './state.ts';
import { closePools } from './strata.ts';
import { believedTime } from './time.ts';
import { addValues, closeValuePools } from './values.ts';
import { admit } from './watermark.ts';

export { type BaselineState, learnBaseline, readBaselineState } from './baseline.ts';
export type { JudgeFacts } from './facts.ts';
export { addReading } from './readings.ts';
export { type AnalysisState, readAnalysisState } from './state.ts';

const emptyArm: ArmSums = { requests: 0, errors: 0, latency: emptyHistogram };

/** `learnt` is what `learnBaseline` knows of the service; without it thresholds come from the rollout's first requests. */
export const startAnalysis = (
  plan: RolloutPlan,
  arms: { readonly baseline: string; readonly canary: string },
  nowMs: number,
  learnt?: BaselineState,
): AnalysisState => ({
  v: 1,
  rollout: plan.id,
  service: plan.service,
  baseline: arms.baseline,
  canary: arms.canary,
  plan: {
    steps: plan.steps,
    minStepMs: plan.minStepMs,
    minSoakMs: plan.minSoakMs,
    deadlineMs: plan.deadlineMs,
    onInconclusive: plan.onInconclusive,
    analysis: plan.analysis,
  },
  startedMs: nowMs,
  clockMs: nowMs,
  ...summarise(isAbout(learnt, plan.service, arms.baseline) ? learnt : undefined),
  tests: {},
  pools: {},
  weight: 0,
  arms: { canary: emptyArm, baseline: emptyArm },
  recent: [],
  watermarks: {},
  samples: 0,
  samplesJudged: 0,
  heardMs: nowMs,
});

/** What was learnt about another version says nothing about this comparison. */
const isAbout = (learnt: BaselineState | undefined, service: string, version: string): boolean =>
  learnt?.service === service && learnt.version === version;

/**
 * Counts one sample exactly once. Doubled ones change nothing, late and reordered ones lead to the same state, foreign
 * ones (another service, the receiving side's view) are ignored. An agent whose clock is more than a minute off is taken
 * to speak of now.
 */
export const observe = (state: AnalysisState, sample: Sample): AnalysisState => {
  const atMs = believedTime(sample.startMs, state.clockMs);
  if (sample.reporter !== 'source' || atMs + sample.spanMs < state.startedMs) return state;
  const series = sample.series.filter(
    ({ service, version }) =>
      service === state.service && (version === state.canary || version === state.baseline),
  );
  if (series.length === 0) return state;
  const watermarks = admit(state.watermarks, sample);
  if (!watermarks) return state;
  const counted = count({ ...state, watermarks }, series, atMs);
  return {
    ...counted,
    ...addValues(counted, sample.values ?? []),
    ...addCallers(counted, sample.sticky),
  };
};

/** The verdict at this moment. The state it returns remembers when telemetry was last heard, by control's own clock. */
export const judge = (
  state: AnalysisState,
  facts: JudgeFacts,
): readonly [AnalysisState, Verdict] => {
  const heard = state.samples > state.samplesJudged;
  const next: AnalysisState = {
    ...state,
    ...closePools(state, facts.nowMs, facts.weight),
    ...closeValuePools(state, facts.nowMs, facts.weight),
    weight: facts.weight,
    clockMs: Math.max(state.clockMs, facts.nowMs),
    ...(state.trafficMs === undefined && facts.step > 0 ? { trafficMs: facts.startedMs } : {}),
    samplesJudged: state.samples,
    heardMs: heard ? facts.nowMs : state.heardMs,
  };
  return [next, decide(next, facts)];
};
