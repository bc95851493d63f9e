// Adds one window of one agent to the evidence. The window is one stratum: its versions are compared with each other
// and with nobody else, so agents may differ in split, load, error level and clock.
import type { AnalysisPlan } from '../model/rollout-plan.ts';
import type { Histogram, Series } from '../model/telemetry.ts';
import { addRelative, betterThan, type Counts, worse } from './e-process.ts';
import { above, countOf, emptyHistogram, merge } from './histogram.ts';
import { marginsOf } from './margins.ts';
import {
  type AnalysisState,
  type ArmSums,
  copiesKept,
  edgeRequests,
  edgesOf,
  latencyMetrics,
  noSums,
  type RecentSpan,
  type Sums,
  segmentMs,
  spanMs,
  spansKept,
  type TestSums,
} from './state.ts';

/** More endpoint groups than this are judged in the total only. */
const rulesKept = 32;

export const count = (
  state: AnalysisState,
  series: readonly Series[],
  atMs: number,
): AnalysisState => {
  const canary = sum(series, state.canary);
  const baseline = sum(series, state.baseline);
  const segment = segmentOf(state, atMs);
  const add = (tests: Record<string, TestSums>, metric: string, counts: Counts) => {
    const target = { plan: state.plan.analysis, metric, segment };
    tests[metric] = addCounts(target, tests[metric] ?? noSums, counts);
  };
  const tests = { ...state.tests };
  add(
    tests,
    'errors',
    counts(canary, baseline, (arm) => arm.errors),
  );
  for (const [rule, ruleCounts] of byRule(series, state.canary)) {
    const metric = `errors:${rule}`;
    if (tests[metric] || Object.keys(tests).length < rulesKept) add(tests, metric, ruleCounts);
  }
  if (state.edges && isWarm(state, atMs))
    for (const metric of latencyMetrics) {
      const edge = state.edges[metric];
      add(
        tests,
        metric,
        counts(canary, baseline, (arm) => above(arm.latency, edge)),
      );
    }
  return {
    ...state,
    ...(state.edges ? {} : learn(merge(state.learning, baseline.latency))),
    tests,
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

const byRule = (series: readonly Series[], canary: string): ReadonlyMap<string, Counts> => {
  const rules = new Map<string, Counts>();
  for (const { rule, version, requests, errors } of series) {
    const { nc, xc, nb, xb } = rules.get(rule) ?? { nc: 0, xc: 0, nb: 0, xb: 0 };
    rules.set(
      rule,
      version === canary
        ? { nc: nc + requests, xc: xc + errors, nb, xb }
        : { nc, xc, nb: nb + requests, xb: xb + errors },
    );
  }
  return rules;
};

interface Target {
  readonly plan: AnalysisPlan;
  readonly metric: string;
  readonly segment: number;
}

const addCounts = ({ plan, metric, segment }: Target, sums: TestSums, counts: Counts): TestSums => {
  if (counts.nc === 0) return sums;
  const { maxRatio: ratio, promote } = marginsOf(plan, metric);
  const up = addRelative(
    [],
    worse.ratios.map((multiple) => multiple * ratio),
    ratio,
    counts,
  );
  return {
    all: addSums(sums.all, counts, up),
    down: promote
      ? addRelative(sums.down, betterThan(promote.ratio).ratios, promote.ratio, counts)
      : [],
    segments: addSegment(sums.segments, segment, counts, up),
  };
};

const addSums = (
  { requests, bad, up }: Sums,
  { nc, xc }: Counts,
  more: readonly number[],
): Sums => ({
  requests: requests + nc,
  bad: bad + xc,
  up: more.length === 0 ? up : more.map((value, at) => value + (up[at] ?? 0)),
});

const addSegment = (
  segments: TestSums['segments'],
  segment: number,
  counts: Counts,
  up: readonly number[],
): TestSums['segments'] => {
  const newest = Math.max(segment, segments.at(-1)?.segment ?? 0);
  if (segment <= newest - copiesKept || segment < 1) return segments;
  const old = segments.find((one) => one.segment === segment);
  const changed = { segment, ...addSums(old ?? noSums.all, counts, up) };
  return [
    ...segments.filter((one) => one !== old && one.segment > newest - copiesKept),
    changed,
  ].sort((a, b) => a.segment - b.segment);
};

const segmentOf = ({ startedMs }: AnalysisState, atMs: number): number =>
  Math.max(0, Math.floor((atMs - startedMs) / segmentMs));

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
