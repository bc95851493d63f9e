// Adds what one window showed to the evidence. A window with few requests says next to nothing by itself, since what the
// versions' shares would have been is lost in chance; so small windows, of several agents or seconds, are pooled first.
// When a pool is full depends on requests alone, never on how they went, so pooling does not bend the tests.
import type { AnalysisPlan } from '../model/rollout-plan.ts';
import { addRelative, betterThan, type Counts, worse } from './e-process.ts';
import { marginsOf } from './margins.ts';
import {
  type AnalysisState,
  copiesKept,
  isErrors,
  noSums,
  type Pool,
  type Sums,
  segmentMs,
  settleMs,
  type TestSums,
} from './state.ts';

/** Requests, of both versions, that make a stratum of their own. */
const stratumRequests = 25;
/** A pool that has not filled up for so long counts as it is. */
const poolMs = 30_000;
/** More endpoint groups than this are judged in the total only. */
const rulesKept = 32;

type Evidence = Pick<AnalysisState, 'tests' | 'pools'>;

export const addStrata = (
  state: AnalysisState,
  strata: readonly (readonly [metric: string, Counts])[],
  atMs: number,
): Evidence => {
  const tests = { ...state.tests };
  const pools = { ...state.pools };
  for (const [metric, counts] of strata) {
    if (isOneTooMany({ tests, pools }, metric)) continue;
    const isSmall = counts.nc + counts.nb < stratumRequests;
    const whole = isSmall ? join(pools[metric], counts) : counts;
    if (isSmall && whole.nc + whole.nb < stratumRequests) {
      pools[metric] = { ...whole, sinceMs: pools[metric]?.sinceMs ?? state.clockMs };
      continue;
    }
    if (isSmall) delete pools[metric];
    tests[metric] = addCounts(targetOf(state, metric, atMs), tests[metric] ?? noSums, whole);
  }
  return { tests, pools };
};

const isOneTooMany = ({ tests, pools }: Evidence, metric: string): boolean =>
  metric.startsWith('errors:') &&
  !Object.hasOwn(tests, metric) &&
  !Object.hasOwn(pools, metric) &&
  Object.keys({ ...tests, ...pools }).filter((one) => one.startsWith('errors:')).length >=
    rulesKept;

/** Pools that have waited long enough; all of them when the split changes, because windows of two splits do not mix. */
export const closePools = (state: AnalysisState, nowMs: number, weight: number): Evidence => {
  const tests = { ...state.tests };
  const pools: Record<string, Pool> = {};
  for (const [metric, pool] of Object.entries(state.pools)) {
    if (weight === state.weight && nowMs - pool.sinceMs < poolMs) {
      pools[metric] = pool;
      continue;
    }
    // As old as its oldest window.
    const target = {
      ...targetOf(state, metric, nowMs),
      isSettled: isSettled(state, metric, pool.sinceMs),
    };
    tests[metric] = addCounts(target, tests[metric] ?? noSums, pool);
  }
  return { tests, pools };
};

const join = (pool: Counts | undefined, { nc, xc, nb, xb }: Counts): Counts => ({
  nc: nc + (pool?.nc ?? 0),
  xc: xc + (pool?.xc ?? 0),
  nb: nb + (pool?.nb ?? 0),
  xb: xb + (pool?.xb ?? 0),
});

interface Target {
  readonly plan: AnalysisPlan;
  readonly metric: string;
  readonly segment: number;
  readonly isSettled: boolean;
}

const targetOf = (state: AnalysisState, metric: string, atMs: number): Target => ({
  plan: state.plan.analysis,
  metric,
  segment: Math.max(0, Math.floor((atMs - state.startedMs) / segmentMs)),
  isSettled: isSettled(state, metric, atMs),
});

const isSettled = ({ trafficMs }: AnalysisState, metric: string, atMs: number): boolean =>
  !isErrors(metric) && trafficMs !== undefined && atMs >= trafficMs + settleMs;

const addCounts = (
  { plan, metric, segment, isSettled: settled }: Target,
  sums: TestSums,
  counts: Counts,
): TestSums => {
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
    ...(settled
      ? { settled: addSums(sums.settled ?? noSums.all, counts, up) }
      : sums.settled && { settled: sums.settled }),
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
