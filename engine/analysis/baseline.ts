// Learns what is normal for a service before a rollout: usual error rate, latency distribution, endpoint groups, and how
// clustered bad requests are. Two generations of ten minutes are kept, so it forgets.
import type { Histogram, Sample, Series } from '../model/telemetry.ts';
import {
  advanceBlocks,
  type Blocks,
  continueBlocks,
  emptyBlocks,
  forgetMetrics,
  mergedDispersion,
  type Second,
} from './dispersion.ts';
import { above, countOf, emptyHistogram, merge } from './histogram.ts';
import { type AnalysisState, type Edges, edgeRequests, edgesOf, latencyMetrics } from './state.ts';
import { believedTime } from './time.ts';
import { admit, type Watermarks } from './watermark.ts';

export interface BaselineState {
  readonly v: 1;
  readonly service: string;
  readonly version: string;
  readonly current: Generation;
  readonly previous: Generation | undefined;
  /** Thresholds at which slow requests are counted while learning. */
  readonly edges: Edges | undefined;
  /** By metric: from which second on the thresholds have been these. */
  readonly since: readonly number[];
  /** Seconds that late samples may still add to, oldest first. */
  readonly pending: readonly Second[];
  readonly watermarks: Watermarks;
}

interface Generation {
  readonly number: number;
  readonly requests: number;
  readonly errors: number;
  readonly latency: Histogram;
  readonly rules: readonly string[];
  /** Seconds with traffic. */
  readonly seconds: number;
  readonly blocks: Blocks;
}

const generationMs = 600_000;
const lateSeconds = 10;
/** Requests after which thresholds are set, and set again with better knowledge. */
const edgesAt = [200, 2000, 20_000];
const rulesKnown = 64;

/** With `nowMs`, an agent whose clock is more than a minute off is taken to speak of now. */
export const learnBaseline = (
  known: BaselineState | undefined,
  sample: Sample,
  of: { readonly service: string; readonly version: string; readonly nowMs?: number },
): BaselineState => {
  const isSame = known?.service === of.service && known.version === of.version;
  const state = isSame ? known : emptyBaseline(of.service, of.version);
  if (sample.reporter !== 'source') return state;
  const series = sample.series.filter(
    (one) => one.service === of.service && one.version === of.version,
  );
  if (series.length === 0) return state;
  const atMs = believedTime(sample.startMs, of.nowMs ?? sample.startMs);
  const turned = turn(state, Math.floor(atMs / generationMs));
  const watermarks = admit(turned.watermarks, sample);
  if (!watermarks) return state;
  const current = addSeries(turned.current, series);
  const refined = refine({ ...turned, watermarks, current }, countOf(turned.current.latency));
  const second = Math.floor(atMs / 1000);
  return flush({
    ...refined,
    pending: addPending(refined.pending, series, second, refined.edges),
  });
};

/** What the analysis of a rollout takes over; it stays as it is until the rollout ends. */
export const summarise = (
  known: BaselineState | undefined,
): Pick<
  AnalysisState,
  'edges' | 'learning' | 'dispersion' | 'usualErrorRate' | 'usualRequestRate' | 'knownRules'
> => {
  const generations = [known?.previous, known?.current].filter((one) => one !== undefined);
  const latency = merge(...generations.map((one) => one.latency));
  const requests = generations.reduce((sum, one) => sum + one.requests, 0);
  const errors = generations.reduce((sum, one) => sum + one.errors, 0);
  const seconds = generations.reduce((sum, one) => sum + one.seconds, known?.pending.length ?? 0);
  const isEnough = countOf(latency) >= edgeRequests;
  return {
    ...(isEnough ? { edges: edgesOf(latency) } : {}),
    learning: isEnough ? emptyHistogram : latency,
    dispersion: mergedDispersion(generations.map(({ blocks }) => blocks)),
    ...(requests >= edgeRequests ? { usualErrorRate: errors / requests } : {}),
    ...(seconds > 0 ? { usualRequestRate: Number((requests / seconds).toPrecision(4)) } : {}),
    knownRules: [...new Set(generations.flatMap(({ rules }) => rules))],
  };
};

export const readBaselineState = (value: unknown): BaselineState | undefined => {
  if (typeof value !== 'object' || value === null) return undefined;
  const state = value as Partial<BaselineState>;
  const isWhole =
    state.v === 1 &&
    typeof state.service === 'string' &&
    typeof state.version === 'string' &&
    Array.isArray(state.current?.blocks?.chapters) &&
    (!state.previous || Array.isArray(state.previous.blocks?.chapters)) &&
    Array.isArray(state.pending) &&
    typeof state.watermarks === 'object';
  return isWhole ? (state as BaselineState) : undefined;
};

const emptyGeneration = (number: number): Generation => ({
  number,
  requests: 0,
  errors: 0,
  latency: emptyHistogram,
  rules: [],
  seconds: 0,
  blocks: emptyBlocks,
});

const emptyBaseline = (service: string, version: string): BaselineState => ({
  v: 1,
  service,
  version,
  current: emptyGeneration(0),
  previous: undefined,
  edges: undefined,
  since: [],
  pending: [],
  watermarks: {},
});

/** Agents come and go: with every generation their marks begin anew; a double that slips through does no harm here. */
const turn = (known: BaselineState, number: number): BaselineState => {
  if (number <= known.current.number) return known;
  const state = { ...known, watermarks: {} };
  const { current } = state;
  if (current.requests === 0) return { ...state, current: emptyGeneration(number) };
  // The open blocks go on: the clock does not stop between generations.
  const blocks = continueBlocks(current.blocks);
  const next = { ...state, current: { ...emptyGeneration(number), blocks }, previous: current };
  return state.edges ? moveEdges(next, edgesOf(current.latency)) : next;
};

const addSeries = (generation: Generation, series: readonly Series[]): Generation => ({
  ...generation,
  requests: generation.requests + series.reduce((sum, one) => sum + one.requests, 0),
  errors: generation.errors + series.reduce((sum, one) => sum + one.errors, 0),
  latency: merge(generation.latency, ...series.map((one) => one.latency)),
  rules: addRules(generation.rules, series),
});

const addRules = (rules: readonly string[], series: readonly Series[]): readonly string[] => {
  const isNew = ({ rule }: Series): boolean => !rules.includes(rule);
  if (rules.length >= rulesKnown || !series.some(isNew)) return rules;
  const added = new Set(series.filter(isNew).map(({ rule }) => rule));
  return [...rules, ...added].slice(0, rulesKnown);
};

const refine = (state: BaselineState, before: number): BaselineState => {
  const { current, previous, edges } = state;
  const now = countOf(current.latency);
  const isDue = edgesAt.some((count) => before < count && now >= count);
  if (!isDue || (edges && previous)) return state;
  return moveEdges(state, edgesOf(current.latency));
};

/** Thresholds near the right place do for telling how slow requests cluster. */
const nearEnough = 2;

const moveEdges = (state: BaselineState, better: Edges): BaselineState => {
  const { edges, current, since, pending } = state;
  const moved = [
    false,
    ...latencyMetrics.map((one) => !edges || Math.abs(edges[one] - better[one]) > nearEnough),
  ];
  if (!moved.includes(true)) return state;
  const next = (pending.at(-1)?.second ?? 0) + 1;
  return {
    ...state,
    edges: Object.fromEntries(
      latencyMetrics.map((one, at) => [one, moved[at + 1] ? better[one] : (edges ?? better)[one]]),
    ) as Edges,
    since: moved.map((hasMoved, at) => (hasMoved ? next : (since[at] ?? 0))),
    current: { ...current, blocks: forgetMetrics(current.blocks, moved) },
  };
};

const addPending = (
  pending: readonly Second[],
  series: readonly Series[],
  second: number,
  edges: Edges | undefined,
): readonly Second[] => {
  const old = pending.find((one) => one.second === second);
  const first = pending[0];
  // Older than what is still open: too late for the blocks, which go strictly forward in time.
  if (!old && first && second < first.second) return pending;
  const total = (value: (one: Series) => number) =>
    series.reduce((sum, one) => sum + value(one), 0);
  const bad = [
    total((one) => one.errors),
    ...latencyMetrics.map((metric) =>
      edges ? total((one) => above(one.latency, edges[metric])) : 0,
    ),
  ];
  const changed: Second = {
    second,
    requests: (old?.requests ?? 0) + total((one) => one.requests),
    bad: bad.map((value, at) => value + (old?.bad[at] ?? 0)),
  };
  return [...pending.filter((one) => one !== old), changed].sort((a, b) => a.second - b.second);
};

const flush = (state: BaselineState): BaselineState => {
  const newest = state.pending.at(-1)?.second ?? 0;
  const done = state.pending.filter(({ second }) => second < newest - lateSeconds);
  if (done.length === 0) return state;
  return {
    ...state,
    pending: state.pending.slice(done.length),
    current: {
      ...state.current,
      seconds: state.current.seconds + done.length,
      blocks: done.reduce(
        (blocks, second) => advanceBlocks(blocks, second, state.since),
        state.current.blocks,
      ),
    },
  };
};
