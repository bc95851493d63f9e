// What each agent answered lately, before anybody tries anything: agents differ in callers and machines, and what was so
// before is not the new revision's fault. Two generations of five minutes are kept, so it forgets.
import type { Histogram, Sample } from '../model/telemetry.ts';
import { above, countOf, edgeFor, emptyHistogram, merge } from './histogram.ts';

/** By agent. In memory only: it is learnt again within minutes. */
type Usual = ReadonlyMap<string, Lately>;

export interface Lately {
  readonly generation: number;
  readonly now: Answers;
  readonly before: Answers;
}

export interface Answers {
  readonly requests: number;
  readonly refused: number;
  readonly failed: number;
  readonly latency: Histogram;
}

/** How many times the rest's share of such answers the cohort's was anyway; 1 at least. */
export interface UsualRatios {
  readonly refused: number;
  readonly failed: number;
  readonly slow: number;
}

const GENERATION_MS = 300_000;
/** Fewer bad answers say nothing about whose they are. */
const MIN_BAD = 20;
const MOST = 20;
const TAILS = [0.1, 0.01] as const;

const nothing: Answers = { requests: 0, refused: 0, failed: 0, latency: emptyHistogram };
export const alike: UsualRatios = { refused: 1, failed: 1, slow: 1 };

export const answersIn = ({ series }: Pick<Sample, 'series'>): Answers =>
  series
    .filter(({ source }) => source !== 'mirror')
    .map(({ requests, errors: failed, statuses, latency }) => ({
      requests,
      failed,
      refused: refusedIn(statuses),
      latency,
    }))
    .reduce(joinAnswers, nothing);

export const joinAnswers = (left: Answers, right: Answers): Answers => ({
  requests: left.requests + right.requests,
  refused: left.refused + right.refused,
  failed: left.failed + right.failed,
  latency: merge(left.latency, right.latency),
});

const refusedIn = (statuses: Readonly<Record<string, number>>): number =>
  Object.entries(statuses).reduce(
    (sum, [status, count]) => (/^4\d\d$/.test(status) ? sum + count : sum),
    0,
  );

export const noteUsual = (
  known: Lately | undefined,
  sample: Pick<Sample, 'series'>,
  nowMs: number,
): Lately => {
  const generation = Math.floor(nowMs / GENERATION_MS);
  const answers = answersIn(sample);
  if (known?.generation === generation) return { ...known, now: joinAnswers(known.now, answers) };
  const before = known?.generation === generation - 1 ? known.now : nothing;
  return { generation, now: answers, before };
};

export const usualRatios = (
  usual: Usual,
  cohort: readonly string[],
  rest: readonly string[],
): UsualRatios => {
  const [left, right] = [cohort, rest].map((agents) =>
    agents
      .flatMap((agent) => usual.get(agent) ?? [])
      .flatMap(({ now, before }) => [now, before])
      .reduce(joinAnswers, nothing),
  );
  if (!left || !right) return alike;
  const slow = TAILS.map((tail) => {
    const edge = edgeFor(right.latency, tail);
    const slower = ({ latency }: Answers): Pair => [above(latency, edge), countOf(latency)];
    return ratio(slower(left), slower(right));
  });
  return {
    refused: ratio([left.refused, left.requests], [right.refused, right.requests]),
    failed: ratio([left.failed, left.requests], [right.failed, right.requests]),
    slow: Math.max(...slow),
  };
};

type Pair = readonly [bad: number, requests: number];

const ratio = ([xc, nc]: Pair, [xb, nb]: Pair): number => {
  if (nc === 0 || nb === 0 || xc + xb < MIN_BAD) return 1;
  const times = xc / nc / (Math.max(1, xb) / nb);
  return Math.min(MOST, Math.max(1, times));
};
