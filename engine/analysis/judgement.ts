// From evidence to a verdict. The order of the questions is the policy: measured at all, worse, good enough, hopeless,
// not yet.
import type { Evidence, Verdict, VerdictOutcome } from '../model/verdict.ts';
import { eValue } from './e-process.ts';
import { type Weighed, weigh } from './evidence.ts';
import { type JudgeFacts, staleAfterMs, suspicionAt } from './facts.ts';
import { growthPerRequest, isHopeless } from './futility.ts';
import { quantile } from './histogram.ts';
import { type Finding, readingsFinding } from './readings.ts';
import { type AnalysisState, type ArmSums, spanMs } from './state.ts';
import { valueFinding } from './value-finding.ts';
import { isValue } from './values.ts';
import { explain } from './words.ts';

export const decide = (state: AnalysisState, facts: JudgeFacts): Verdict => {
  const weighed = weigh(state);
  const { analysis, minSoakMs } = state.plan;
  const promoteAt = Math.log(1 / analysis.beta);
  const rollbackAt = Math.log(1 / analysis.alpha);
  const unhealthy = isBaselineUnhealthy(state);
  const silent = state.samples === 0 || facts.nowMs - state.heardMs > staleAfterMs;
  const proven = weighed.promote >= promoteAt;
  const soaked = facts.step > 0 && facts.nowMs - facts.startedMs >= minSoakMs;
  const trusted = !unhealthy && weighed.rollback < Math.log(suspicionAt);
  const asked = readingsFinding(state, facts.nowMs, facts.step > 0);
  const readings = valueFinding(state, weighed.metrics, asked, facts.step > 0);
  const lacks = !proven || readings.waits !== undefined;
  const futile = !silent && facts.step > 0 && lacks && isHopeless(state, facts, weighed);
  const outcome = ((): VerdictOutcome => {
    if (weighed.rollback >= rollbackAt || readings.fails) return 'fail';
    if (silent) return 'error';
    return proven && soaked && trusted && !readings.waits ? 'pass' : 'inconclusive';
  })();
  // Without good values nobody gains traffic, not even where missing evidence would do.
  const mayAdvance = !readings.waits || state.plan.onInconclusive !== 'advance';
  const verdict: Omit<Verdict, 'reason'> = {
    type: 'verdict',
    rollout: state.rollout,
    service: state.service,
    baseline: state.baseline,
    canary: state.canary,
    outcome,
    evidence: evidenceOf(state, facts, weighed, readings),
    atMs: facts.nowMs,
    progress: readings.waits ? 0 : share(weighed.promote / promoteAt),
    requestRate: requestRate(state),
    futile: outcome === 'inconclusive' && futile && mayAdvance,
    baselineUnhealthy: unhealthy,
    learning: analysis.latency === 'on' && !state.edges,
  };
  return { ...verdict, reason: explain({ state, facts, verdict, weighed, readings }) };
};

const share = (value: number): number => Number(Math.max(0, Math.min(1, value)).toFixed(4));

const evidenceOf = (
  state: AnalysisState,
  facts: JudgeFacts,
  weighed: Weighed,
  { figures: readings }: Finding,
): Evidence => {
  const { analysis } = state.plan;
  const needed = requestsNeeded(state, facts, weighed);
  return {
    rollback: eValue(weighed.rollback),
    rollbackAt: 1 / analysis.alpha,
    promote: eValue(weighed.promote),
    promoteAt: 1 / analysis.beta,
    metrics: Object.fromEntries(
      weighed.metrics.filter(isWorthTelling).map(({ metric, rollback, promote }) => [
        metric,
        {
          rollback: eValue(rollback),
          ...(promote === undefined ? {} : { promote: eValue(promote) }),
        },
      ]),
    ),
    culprits: weighed.culprits,
    ...(readings.length > 0 ? { readings } : {}),
    canary: figures(state.arms.canary),
    baseline: figures(state.arms.baseline),
    dispersion: Number(state.dispersion.errors.toPrecision(4)),
    ...(needed === undefined ? {} : { requestsNeeded: needed }),
  };
};

/** Endpoint groups are many; only those that say something are told. */
const isWorthTelling = ({ metric, rollback }: Weighed['metrics'][number]): boolean =>
  !metric.startsWith('errors:') || rollback > 0;

const figures = ({ requests, errors, latency }: ArmSums) => ({
  requests,
  errors,
  p50Ms: Number(quantile(latency, 0.5).toPrecision(4)),
  p99Ms: Number(quantile(latency, 0.99).toPrecision(4)),
});

/** Canary requests still needed, if the versions are alike and rates and weight stay; the slowest metric decides. */
const requestsNeeded = (
  state: AnalysisState,
  { weight }: JudgeFacts,
  { metrics }: Weighed,
): number | undefined => {
  const goal = Math.log(1 / state.plan.analysis.beta);
  const growth = growthPerRequest(state, weight > 0 ? weight : (state.plan.steps[0] ?? 1));
  let needed = 0;
  for (const { metric, promote } of metrics) {
    if (promote === undefined || promote >= goal) continue;
    const perRequest = isValue(metric)
      ? promote / Math.max(1, state.arms.canary.requests)
      : growth(metric);
    if (perRequest === undefined || perRequest <= 0) return undefined;
    needed = Math.max(needed, (goal - promote) / perRequest);
  }
  return Math.ceil(needed);
};

/** Over the last whole spans; before there are two, what was usual. */
const requestRate = ({ recent, usualRequestRate }: AnalysisState): number => {
  const whole = recent.slice(0, -1);
  const first = whole[0];
  const last = whole.at(-1);
  if (!first || !last) return usualRequestRate ?? 0;
  const requests = whole.reduce((sum, span) => sum + span.requests + span.baselineRequests, 0);
  return Number(((requests * 1000) / ((last.span - first.span + 1) * spanMs)).toPrecision(4));
};

/** Far above its usual error rate in the last half minute: more than chance, and more than three times. */
const isBaselineUnhealthy = ({ recent, usualErrorRate, dispersion }: AnalysisState): boolean => {
  const newest = recent.at(-1)?.span ?? 0;
  let requests = 0;
  let errors = 0;
  for (const span of recent)
    if (span.span > newest - 6) {
      requests += span.baselineRequests;
      errors += span.baselineErrors;
    }
  const expected = Math.max(0.01, 3 * (usualErrorRate ?? 0)) * requests;
  return errors >= 5 && errors > expected + 3 * Math.sqrt(expected * dispersion.errors);
};
