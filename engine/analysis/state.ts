// What the analysis of one rollout remembers: sums of evidence, never samples. Plain JSON, so it can be persisted between
// any two windows and read back by a later release.
import type { RolloutPlan } from '../model/rollout-plan.ts';
import type { Histogram } from '../model/telemetry.ts';
import type { Counts } from './e-process.ts';
import { edgeFor } from './histogram.ts';
import type { Batch, MeanSums } from './means.ts';
import type { Watermarks } from './watermark.ts';

export interface AnalysisState {
  readonly v: 1;
  readonly rollout: string;
  readonly service: string;
  readonly baseline: string;
  readonly canary: string;
  /** The rules as they were when the rollout began: changing them in its middle would void the error bounds. */
  readonly plan: FrozenPlan;
  readonly startedMs: number;
  /** When the new version got its first traffic, as far as judged. */
  readonly trafficMs?: number;
  /** Control's clock at the last judgement: bounds what a wild agent clock can do. */
  readonly clockMs: number;
  /** Buckets whose upper edges are the latency thresholds; absent until enough of the baseline has been seen. */
  readonly edges?: Edges;
  /** Baseline latency seen while there are no edges yet. */
  readonly learning: Histogram;
  readonly dispersion: Dispersion;
  /** Errors per baseline request before the rollout; absent if it was not watched. */
  readonly usualErrorRate?: number;
  /** Requests per second before the rollout. */
  readonly usualRequestRate?: number;
  /** Endpoint groups known beforehand share most of the endpoint weight; later ones share the rest. */
  readonly knownRules: readonly string[];
  readonly tests: Readonly<Record<string, TestSums>>;
  /** By metric: windows too small to count by themselves. */
  readonly pools: Readonly<Record<string, Pool>>;
  /** Percent, at the last judgement. */
  readonly weight: number;
  readonly arms: { readonly canary: ArmSums; readonly baseline: ArmSums };
  /** The last minute in spans of five seconds, oldest first. */
  readonly recent: readonly RecentSpan[];
  readonly watermarks: Watermarks;
  /** By metric that others measure. */
  readonly readings?: Readonly<Record<string, MetricTally>>;
  /** By metric that answers carry. */
  readonly values?: Readonly<Record<string, ValueSums>>;
  /** Errors by group of callers who stay with their version. */
  readonly callers?: readonly number[];
  /** Samples counted, how many of them by the last judgement, and control's time when it last saw the number grow. */
  readonly samples: number;
  readonly samplesJudged: number;
  readonly heardMs: number;
}

type FrozenPlan = Pick<
  RolloutPlan,
  'steps' | 'minStepMs' | 'minSoakMs' | 'deadlineMs' | 'analysis'
> &
  Partial<Pick<RolloutPlan, 'onInconclusive'>>;

export type LatencyMetric = 'latency-p90' | 'latency-p99' | 'latency-p999';
export type Edges = Readonly<Record<LatencyMetric, number>>;
/** Largest cluster size that bad requests come in, as far as the baseline shows; 1 means independent. */
export type Dispersion = Readonly<Record<'errors' | LatencyMetric, number>>;

export interface Pool extends Counts {
  readonly sinceMs: number;
}

/** Evidence sums of one metric. */
export interface TestSums {
  /** Since the start. */
  readonly all: Sums;
  /** Towards promotion, per grid point; empty where promotion does not ask. */
  readonly down: readonly number[];
  /** Of latency only, and only what came when the new version had had traffic for a while; nothing yet if absent. */
  readonly settled?: Sums;
  /** By segment of 30 s, oldest first: tests that begin later see a late onset undiluted. */
  readonly segments: readonly (Sums & { readonly segment: number })[];
}

export interface Sums {
  /** Canary requests and bad ones: all that an absolute test needs. */
  readonly requests: number;
  readonly bad: number;
  /** Relative evidence per grid point; empty while there is none. */
  readonly up: readonly number[];
}

export interface ArmSums {
  readonly requests: number;
  readonly errors: number;
  readonly latency: Histogram;
}

/** What is remembered of a metric that others measure. */
export interface MetricTally {
  /** Bad values in a row. */
  readonly breaches: number;
  /** Of the last answer, and of the last good value. */
  readonly atMs: number;
  readonly goodMs?: number;
  readonly value?: number;
  readonly baselineValue?: number;
  /** Why there is no value, or why it is bad. */
  readonly problem?: string;
}

/** Of a metric that answers carry; values in units of its range. */
export interface ValueSums {
  readonly canary: Batch;
  readonly baseline: Batch;
  /** Values that were not believed. */
  readonly refused: { readonly canary: number; readonly baseline: number };
  /** By bound. */
  readonly tests: Readonly<Partial<Record<'min' | 'max' | 'minRatio' | 'maxRatio', MeanSums>>>;
  /** Windows too small to count by themselves. */
  readonly pool?: { readonly canary: Batch; readonly baseline: Batch; readonly sinceMs: number };
  /** The old version's last window, and its squared jumps from window to window. */
  readonly last?: Batch;
  readonly pairs: number;
  readonly jumps: number;
}

export interface RecentSpan {
  readonly span: number;
  readonly requests: number;
  readonly errors: number;
  readonly baselineRequests: number;
  readonly baselineErrors: number;
}

/** New processes are slow; for so long after the first traffic slowness is no proof by itself. */
export const settleMs = 10_000;
export const segmentMs = 30_000;
/** Restarted copies in force; older ones are dropped, which only loses evidence. */
export const copiesKept = 6;
export const spanMs = 5000;
export const spansKept = 12;

/** Share of slower requests that defines each threshold. */
export const tails: Readonly<Record<LatencyMetric, number>> = {
  'latency-p90': 0.1,
  'latency-p99': 0.01,
  'latency-p999': 0.001,
};
export const latencyMetrics = Object.keys(tails) as readonly LatencyMetric[];

/** Baseline requests that make its quantiles good enough to be thresholds. */
export const edgeRequests = 200;
export const edgesOf = (baseline: Histogram): Edges => ({
  'latency-p90': edgeFor(baseline, tails['latency-p90']),
  'latency-p99': edgeFor(baseline, tails['latency-p99']),
  'latency-p999': edgeFor(baseline, tails['latency-p999']),
});

export const noSums: TestSums = {
  all: { requests: 0, bad: 0, up: [] },
  down: [],
  segments: [],
};

export const isErrors = (metric: string): boolean => metric.startsWith('errors');

const shape: Readonly<Record<string, 'string' | 'number' | 'object'>> = {
  rollout: 'string',
  service: 'string',
  baseline: 'string',
  canary: 'string',
  plan: 'object',
  startedMs: 'number',
  clockMs: 'number',
  learning: 'object',
  dispersion: 'object',
  knownRules: 'object',
  tests: 'object',
  pools: 'object',
  weight: 'number',
  arms: 'object',
  recent: 'object',
  watermarks: 'object',
  samples: 'number',
  samplesJudged: 'number',
  heardMs: 'number',
};

/** Reads back a persisted state; undefined if no release that this one knows wrote it. */
export const readAnalysisState = (value: unknown): AnalysisState | undefined => {
  if (typeof value !== 'object' || value === null) return undefined;
  const fields = value as Record<string, unknown>;
  const isWhole = Object.entries(shape).every(
    ([field, type]) => typeof fields[field] === type && fields[field] !== null,
  );
  return isWhole && fields['v'] === 1 ? (value as AnalysisState) : undefined;
};
