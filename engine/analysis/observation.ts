// Adds one window of one agent to the evidence. The window is one stratum: its versions are compared with each other
// and with nobody else, so agents may differ in split, load, error level and clock.
import type { Histogram, Series } from '../model/telemetry.ts';
import type { Counts } from './e-process.ts';
import { above, countOf, emptyHistogram, merge } from './histogram.ts';
import {
  type AnalysisState,
  type ArmSums,
  edgeRequests,
  edgesOf,
  latencyMetrics,
  type RecentSpan,
  spanMs,
  spansKept,
} from './state.ts';
import { addStrata } from './strata.ts';

export const count = (
  state: AnalysisState,
  series: readonly Series[],
  atMs: number,
): AnalysisState => {
  const canary = sum(series, state.canary);
  const baseline = sum(series, state.baseline);
  const strata: (readonly [string, Counts])[] = [
    ['errors', counts(canary, baseline, (arm) => arm.errors)],
    ...byRule(series, state.canary),
  ];
  if (state.edges && isWarm(state, atMs))
    for (const metric of latencyMetrics) {
      const edge = state.edges[metric];
      strata.push([metric, counts(canary, baseline, (arm) => above(arm.latency, edge))]);
    }
  return {
    ...state,
    ...(state.edges ? {} : learn(merge(state.learning, baseline.latency))),
    ...addStrata(state, strata, atMs),
    arms: {
      canary: join(state.arms.canary, canary),
      baseline: join(state.arms.baseline, baseline),
    },
    recent: addRecent(state, canary, baseline, atMs),
    samples: state.samples + 1,
  };
};

/** The same windows are left out for both versions, whatever they held. */
const isWarm = ({ plan: { analysis }, trafficMs }: AnalysisState, atMs: number): boolean => {
  const { latency, warmUpMs = 0 } = analysis;
  if (latency === 'off' || warmUpMs === 0) return latency === 'on';
  return trafficMs !== undefined && atMs >= trafficMs + warmUpMs;
};

const counts = (canary: ArmSums, baseline: ArmSums, bad: (arm: ArmSums) => number): Counts => ({
  nc: canary.requests,
  xc: bad(canary),
  nb: baseline.requests,
  xb: bad(baseline),
});

const sum = (series: readonly Series[], version: string): ArmSums => {
  const own = series.filter((one) => one.version === version);
  return {
    requests: own.reduce((total, one) => total + one.requests, 0),
    errors: own.reduce((total, one) => total + one.errors, 0),
    latency: merge(...own.map((one) => one.latency)),
  };
};

const join = (left: ArmSums, right: ArmSums): ArmSums => ({
  requests: left.requests + right.requests,
  errors: left.errors + right.errors,
  latency: merge(left.latency, right.latency),
});

/** By metric of each endpoint group. */
const byRule = (series: readonly Series[], canary: string): ReadonlyMap<string, Counts> => {
  const rules = new Map<string, Counts>();
  for (const { rule, version, requests, errors } of series) {
    const metric = `errors:${rule}`;
    const { nc, xc, nb, xb } = rules.get(metric) ?? { nc: 0, xc: 0, nb: 0, xb: 0 };
    rules.set(
      metric,
      version === canary
        ? { nc: nc + requests, xc: xc + errors, nb, xb }
        : { nc, xc, nb: nb + requests, xb: xb + errors },
    );
  }
  return rules;
};

const addRecent = (
  state: AnalysisState,
  canary: ArmSums,
  baseline: ArmSums,
  atMs: number,
): readonly RecentSpan[] => {
  const span = Math.floor((atMs - state.startedMs) / spanMs);
  const newest = Math.max(span, state.recent.at(-1)?.span ?? 0);
  if (span <= newest - spansKept) return state.recent;
  const old = state.recent.find((one) => one.span === span);
  const changed: RecentSpan = {
    span,
    requests: (old?.requests ?? 0) + canary.requests,
    errors: (old?.errors ?? 0) + canary.errors,
    baselineRequests: (old?.baselineRequests ?? 0) + baseline.requests,
    baselineErrors: (old?.baselineErrors ?? 0) + baseline.errors,
  };
  const kept = state.recent.filter((one) => one !== old && one.span > newest - spansKept);
  return [...kept, changed].sort((a, b) => a.span - b.span);
};

const learn = (learning: Histogram): Pick<AnalysisState, 'learning' | 'edges'> =>
  countOf(learning) < edgeRequests
    ? { learning }
    : { learning: emptyHistogram, edges: edgesOf(learning) };
