// After the promotion there is nobody left to compare with: the promoted version is held against what was recorded while
// there was. The tests are the absolute ones of the trial; the bounds are what both versions did then, and a margin.
import type { Sample } from '../model/telemetry.ts';
import { eValue, logSum, mixAbsolute, worse } from './e-process.ts';
import { above } from './histogram.ts';
import {
  type AnalysisState,
  copiesKept,
  edgeRequests,
  type LatencyMetric,
  segmentMs,
  tails,
} from './state.ts';
import { believedTime } from './time.ts';
import { admit, type Watermarks } from './watermark.ts';

/** Plain JSON, to be persisted. */
export interface WatchState {
  readonly v: 1;
  readonly service: string;
  readonly version: string;
  readonly alpha: number;
  readonly startedMs: number;
  readonly clockMs: number;
  readonly tests: Readonly<Partial<Record<WatchMetric, WatchTest>>>;
  readonly watermarks: Watermarks;
}

type WatchMetric = 'errors' | 'latency-p90' | 'latency-p99';

interface WatchTest {
  /** Share of bad requests that is no regression yet. */
  readonly bound: number;
  readonly dispersion: number;
  /** Bucket above which an answer is slow; absent for errors. */
  readonly edge?: number;
  readonly requests: number;
  readonly bad: number;
  /** Of 30 s, oldest first. */
  readonly segments: readonly {
    readonly segment: number;
    readonly requests: number;
    readonly bad: number;
  }[];
}

const weights: Readonly<Record<WatchMetric, number>> = {
  errors: 0.5,
  'latency-p90': 0.25,
  'latency-p99': 0.25,
};

/** Buckets in a factor of four: without a version beside it the load of the day is not the version's fault. */
const fourTimes = 16;

/** Nobody's clusters cancel here as they do between two versions: no smaller ones are believed in. */
const leastDispersion = 4;

/** Undefined when too little was recorded to hold anybody against. */
export const startWatch = (
  { service, canary, plan, arms, edges, dispersion }: AnalysisState,
  nowMs: number,
): WatchState | undefined => {
  const requests = arms.baseline.requests + arms.canary.requests;
  if (requests < edgeRequests) return undefined;
  // The record is a sample, too: its rate may have been this much higher, the more so where bad requests come in clusters.
  const margin = (bad: number, ratio: number, cluster: number): number =>
    (ratio * (bad + 2 * Math.sqrt(cluster * bad) + 3 * cluster)) / requests;
  const fresh = { requests: 0, bad: 0, segments: [] };
  const { maxErrorRate, maxErrorRatio, maxLatencyRatio, latency } = plan.analysis;
  const errors = arms.baseline.errors + arms.canary.errors;
  const clusters = (metric: keyof typeof dispersion): number =>
    Math.max(leastDispersion, dispersion[metric]);
  const slow = (metric: LatencyMetric): WatchTest | undefined => {
    if (latency === 'off' || !edges) return undefined;
    const edge = edges[metric] + fourTimes;
    const seen = above(arms.baseline.latency, edge) + above(arms.canary.latency, edge);
    const bound = Math.max(tails[metric], margin(seen, maxLatencyRatio, clusters(metric)));
    return { ...fresh, bound, edge, dispersion: clusters(metric) };
  };
  const [p90, p99] = [slow('latency-p90'), slow('latency-p99')];
  return {
    v: 1,
    service,
    version: canary,
    alpha: plan.analysis.alpha,
    startedMs: nowMs,
    clockMs: nowMs,
    tests: {
      errors: {
        ...fresh,
        bound: Math.max(maxErrorRate, margin(errors, maxErrorRatio, clusters('errors'))),
        dispersion: clusters('errors'),
      },
      ...(p90 && { 'latency-p90': p90 }),
      ...(p99 && { 'latency-p99': p99 }),
    },
    watermarks: {},
  };
};

/** As in the trial: each sample counts once, whenever it comes. */
export const observeWatch = (state: WatchState, sample: Sample): WatchState => {
  const atMs = believedTime(sample.startMs, state.clockMs);
  if (sample.reporter !== 'source' || atMs < state.startedMs) return state;
  const series = sample.series.filter(
    ({ service, version, source }) =>
      service === state.service && version === state.version && source !== 'mirror',
  );
  if (series.length === 0) return state;
  const watermarks = admit(state.watermarks, sample);
  if (!watermarks) return state;
  const segment = Math.floor((atMs - state.startedMs) / segmentMs) + 1;
  const requests = series.reduce((sum, one) => sum + one.requests, 0);
  const tests = Object.fromEntries(
    Object.entries(state.tests).map(([metric, test]) => {
      const bad = series.reduce(
        (sum, one) => sum + (test.edge === undefined ? one.errors : above(one.latency, test.edge)),
        0,
      );
      return [metric, addTo(test, { segment, requests, bad })];
    }),
  );
  return { ...state, tests, watermarks };
};

const addTo = (test: WatchTest, more: WatchTest['segments'][number]): WatchTest => {
  const old = test.segments.find(({ segment }) => segment === more.segment);
  const merged = {
    segment: more.segment,
    requests: (old?.requests ?? 0) + more.requests,
    bad: (old?.bad ?? 0) + more.bad,
  };
  return {
    ...test,
    requests: test.requests + more.requests,
    bad: test.bad + more.bad,
    segments: [...test.segments.filter((one) => one !== old), merged]
      .sort((a, b) => a.segment - b.segment)
      .slice(-copiesKept),
  };
};

/** Why the version is worse than what was recorded; undefined while that is not proven. */
export const judgeWatch = (state: WatchState, nowMs: number): readonly [WatchState, string?] => {
  const next = { ...state, clockMs: Math.max(state.clockMs, nowMs) };
  const found = Object.entries(state.tests).map(([metric, test]) => ({
    metric,
    test,
    evidence: Math.log(weights[metric as WatchMetric]) + evidenceOf(test),
  }));
  const total = logSum(found.map(({ evidence }) => evidence));
  if (total < Math.log(1 / state.alpha)) return [next];
  const [worst] = found.sort((a, b) => b.evidence - a.evidence);
  if (!worst) return [next];
  const { bad, requests, bound } = worst.test;
  const percent = (share: number): string => `${Number((100 * share).toPrecision(3))} %`;
  return [
    next,
    `${worst.metric}: ${bad} of ${requests} requests (${percent(bad / requests)}, at most ${percent(bound)} was expected); e-value ${eValue(total)} of ${1 / state.alpha}`,
  ];
};

/** Half on the whole watch, half on copies that began later. */
const evidenceOf = ({ bound, dispersion, requests, bad, segments }: WatchTest): number => {
  if (bad === 0) return Number.NEGATIVE_INFINITY;
  const logs = [Math.log(0.5) + mixAbsolute({ requests, bad }, bound, worse, dispersion)];
  let since = { requests: 0, bad: 0 };
  for (const one of [...segments].reverse()) {
    since = { requests: since.requests + one.requests, bad: since.bad + one.bad };
    logs.push(
      Math.log(0.5 / (one.segment * (one.segment + 1))) +
        mixAbsolute(since, bound, worse, dispersion),
    );
  }
  return logSum(logs);
};

export const readWatchState = (value: unknown): WatchState | undefined => {
  if (typeof value !== 'object' || value === null) return undefined;
  const state = value as Partial<WatchState>;
  const isWhole =
    state.v === 1 && typeof state.tests === 'object' && typeof state.watermarks === 'object';
  return isWhole ? (state as WatchState) : undefined;
};
