// How fast evidence for promotion can grow at best: if the versions are alike. Tells how many requests are still needed,
// and when waiting is pointless.

import type { Weighed } from './evidence.ts';
import type { JudgeFacts } from './facts.ts';
import { above } from './histogram.ts';
import { marginsOf } from './margins.ts';
import { type AnalysisState, isErrors, type LatencyMetric } from './state.ts';

/** Requests before rates are taken seriously, and time. */
const minRequests = 50;
const minWatchMs = 30_000;

/** Expected growth of log evidence per canary request at `weight` percent; undefined while the rates are unknown. */
export const growthPerRequest = (
  state: AnalysisState,
  weight: number,
): ((metric: string) => number | undefined) => {
  const share = shareOf(weight);
  return (metric) => {
    const { promote } = marginsOf(state.plan.analysis, metric);
    const rate = badRate(state, metric);
    if (promote === undefined || rate === undefined) return undefined;
    const phi = phiOf(state, metric);
    // Both versions' bad requests are evidence: per canary request there are rate / share of them.
    const relative = (rate / share) * divergence(share, promote.ratio);
    return Math.max(relative, belowBound(rate, promote.rate)) / phi;
  };
};

/** The deadline has passed, or would pass even at the largest weight with identical versions. */
export const isHopeless = (
  state: AnalysisState,
  facts: JudgeFacts,
  { metrics }: Weighed,
): boolean => {
  const { steps, deadlineMs, analysis } = state.plan;
  const elapsedMs = facts.nowMs - facts.startedMs;
  if (elapsedMs >= deadlineMs) return true;
  const watchedMs = facts.nowMs - state.startedMs;
  const { canary, baseline } = state.arms;
  const requests = canary.requests + baseline.requests;
  if (watchedMs < minWatchMs || requests < minRequests) return false;
  const weight = steps.at(-1) ?? 100;
  const growth = growthPerRequest(state, weight);
  const left = ((requests / watchedMs) * weight * (deadlineMs - elapsedMs)) / 100;
  const goal = Math.log(1 / analysis.beta);
  return metrics.some(({ metric, promote }) => {
    const perRequest = promote === undefined || promote >= goal ? undefined : growth(metric);
    if (promote === undefined || perRequest === undefined || perRequest <= 0) return false;
    const luck = Math.sqrt(left * wanderingPerRequest(state, weight, metric));
    return promote + perRequest * left + luck < goal;
  });
};

/** Variance of the growth per canary request: with one standard deviation of luck it may still be enough. */
const wanderingPerRequest = (state: AnalysisState, weight: number, metric: string): number => {
  const { promote } = marginsOf(state.plan.analysis, metric);
  const rate = badRate(state, metric) ?? 0;
  if (promote === undefined || rate === 0) return 0;
  const phi = phiOf(state, metric);
  return (rate * (1 - shareOf(weight)) * Math.log(promote.ratio) ** 2) / phi;
};

const shareOf = (weight: number): number => Math.min(0.99, Math.max(0.0001, weight / 100));

const phiOf = ({ dispersion }: AnalysisState, metric: string): number =>
  isErrors(metric) ? dispersion.errors : dispersion[metric as LatencyMetric];

const badRate = ({ arms, edges }: AnalysisState, metric: string): number | undefined => {
  const { requests, errors, latency } = arms.baseline;
  if (requests < minRequests) return undefined;
  if (isErrors(metric)) return errors / requests;
  const edge = edges?.[metric as LatencyMetric];
  return edge === undefined ? undefined : above(latency, edge) / requests;
};

/** Kullback-Leibler distance of the canary's share of bad requests if alike from that at the boundary. */
const divergence = (share: number, boundary: number): number => {
  const atBoundary = (boundary * share) / (boundary * share + 1 - share);
  return (
    share * Math.log(share / atBoundary) + (1 - share) * Math.log((1 - share) / (1 - atBoundary))
  );
};

const belowBound = (rate: number, bound: number): number =>
  rate >= bound ? 0 : bound - rate + (rate === 0 ? 0 : rate * Math.log(rate / bound));
