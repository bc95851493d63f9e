// Overdispersion: how much more than independent requests' the counts of bad requests jump from block to block. The
// von Neumann ratio compares neighbours, so slow drift does not count, and exposure is divided out, so load does not
// either. Outages are left out: they hit both versions of a rollout alike, and their edges would pass for huge clusters.
import { type Dispersion, latencyMetrics } from './state.ts';

/** `bad`: errors, then requests above each latency threshold. */
export interface Second {
  readonly second: number;
  readonly requests: number;
  readonly bad: readonly number[];
}

export interface Blocks {
  /** Per block length. */
  readonly running: readonly Running[];
  /** Half minutes, oldest first. */
  readonly chapters: readonly Chapter[];
}

/** The block being filled and the one before it. */
interface Running {
  readonly last: Block | undefined;
  readonly open: Block | undefined;
}

interface Block {
  readonly index: number;
  readonly requests: number;
  readonly bad: readonly number[];
}

interface Chapter {
  readonly number: number;
  readonly requests: number;
  /** By metric. */
  readonly bad: readonly number[];
  /** Per block length: sums over the pairs of neighbouring blocks whose later one ended in this chapter. */
  readonly sums: readonly PairSums[];
}

/** All by metric. */
interface PairSums {
  readonly pairs: readonly number[];
  readonly squares: readonly number[];
  readonly events: readonly number[];
}

const blockSeconds = [1, 5, 15] as const;
const chapterSeconds = 30;
const metrics = ['errors', ...latencyMetrics] as const;
/** Fewer bad requests than this say nothing about how they cluster. */
const minEvents = 20;
/** What is assumed then. */
export const assumedDispersion = 2;
/** More is not believed: evidence divided by it would never suffice, and a broken version would have to be let through. */
export const mostDispersion = 30;

const zeros = metrics.map(() => 0);
const noSums: PairSums = { pairs: zeros, squares: zeros, events: zeros };
export const emptyBlocks: Blocks = {
  running: blockSeconds.map(() => ({ last: undefined, open: undefined })),
  chapters: [],
};

/** Seconds come in order. `since`: by metric, the second from which on its counts mean the same; older blocks make no pairs. */
export const advanceBlocks = (blocks: Blocks, second: Second, since: readonly number[]): Blocks => {
  const number = Math.floor(second.second / chapterSeconds);
  const before = blocks.chapters.at(-1);
  const chapter = before?.number === number ? before : emptyChapter(number);
  const running: Running[] = [];
  const sums: PairSums[] = [];
  for (const [at, seconds] of blockSeconds.entries()) {
    const index = Math.floor(second.second / seconds);
    const now = blocks.running[at] ?? { last: undefined, open: undefined };
    const old = chapter.sums[at] ?? noSums;
    if (now.open?.index === index) {
      running.push({ ...now, open: join(now.open, second) });
      sums.push(old);
    } else {
      const { requests, bad } = second;
      running.push({ last: now.open ?? now.last, open: { index, requests, bad } });
      sums.push(addPair(old, now, (metric) => (since[metric] ?? 0) / seconds));
    }
  }
  const changed: Chapter = {
    number,
    requests: chapter.requests + second.requests,
    bad: add(chapter.bad, second.bad),
    sums,
  };
  return {
    running,
    chapters: [...(chapter === before ? blocks.chapters.slice(0, -1) : blocks.chapters), changed],
  };
};

/** Forgets the metrics whose threshold has moved. */
export const forgetMetrics = (blocks: Blocks, moved: readonly boolean[]): Blocks => {
  const keep = (values: readonly number[]) => values.map((value, at) => (moved[at] ? 0 : value));
  return {
    ...blocks,
    chapters: blocks.chapters.map((chapter) => ({
      ...chapter,
      bad: keep(chapter.bad),
      sums: chapter.sums.map(({ pairs, squares, events }) => ({
        pairs: keep(pairs),
        squares: keep(squares),
        events: keep(events),
      })),
    })),
  };
};

/** Sums from nothing, blocks under way kept. */
export const continueBlocks = ({ running }: Blocks): Blocks => ({ running, chapters: [] });

/** Generations of blocks, oldest first. */
export const mergedDispersion = (generations: readonly Blocks[]): Dispersion => {
  const chapters = generations.flatMap((blocks) => blocks.chapters);
  const of = (metric: number): number => dispersion(withoutOutages(chapters, metric), metric);
  return { errors: of(0), 'latency-p90': of(1), 'latency-p99': of(2), 'latency-p999': of(3) };
};

/** Chapters far above the usual rate, and what follows each. What fills more than a quarter of the time is usual. */
const withoutOutages = (chapters: readonly Chapter[], metric: number): readonly Chapter[] => {
  const rates = chapters.map(({ requests, bad }) => (bad[metric] ?? 0) / Math.max(1, requests));
  const usual = rates.toSorted((a, b) => a - b)[Math.floor((rates.length - 1) / 2)] ?? 0;
  const isFar = chapters.map(
    ({ requests, bad }) => (bad[metric] ?? 0) > 5 * usual * requests + minEvents,
  );
  const far = isFar.filter(Boolean).length;
  if (far === 0 || far > Math.max(1, chapters.length / 4)) return chapters;
  return chapters.filter((_, at) => !isFar[at] && !isFar[at - 1]);
};

const dispersion = (chapters: readonly Chapter[], metric: number): number => {
  let events = 0;
  let largest = 1;
  for (const at of blockSeconds.keys()) {
    const total = (value: (sums: PairSums) => readonly number[]) =>
      chapters.reduce((sum, { sums }) => sum + (value(sums[at] ?? noSums)[metric] ?? 0), 0);
    const pairs = total((sums) => sums.pairs);
    const counted = total((sums) => sums.events);
    // Each bad request is in two pairs.
    if (at === 0) events = counted / 2;
    if (pairs === 0 || counted === 0) continue;
    const ratio = total((sums) => sums.squares) / counted;
    // One standard error less, or chance alone would pass for clusters in the best of three.
    largest = Math.max(largest, ratio * (1 - Math.sqrt(3 / pairs)));
  }
  return Math.min(
    mostDispersion,
    events < minEvents ? Math.max(assumedDispersion, largest) : largest,
  );
};

const emptyChapter = (number: number): Chapter => ({
  number,
  requests: 0,
  bad: zeros,
  sums: blockSeconds.map(() => noSums),
});

const add = (left: readonly number[], right: readonly number[]): readonly number[] =>
  left.map((value, at) => value + (right[at] ?? 0));

const join = (block: Block, { requests, bad }: Second): Block => ({
  index: block.index,
  requests: block.requests + requests,
  bad: add(block.bad, bad),
});

/** The open block is closed: it and the one before it are a pair if they are neighbours. */
const addPair = (
  sums: PairSums,
  { open, last }: Running,
  since: (metric: number) => number,
): PairSums => {
  if (!open || last?.index !== open.index - 1 || last.requests === 0 || open.requests === 0)
    return sums;
  const jump = (at: number): number =>
    ((open.bad[at] ?? 0) * last.requests - (last.bad[at] ?? 0) * open.requests) ** 2 /
    (open.requests * last.requests);
  const more = (values: readonly number[], of: (at: number) => number) =>
    values.map((value, at) => (last.index >= since(at) ? value + of(at) : value));
  return {
    pairs: more(sums.pairs, () => 1),
    squares: more(sums.squares, jump),
    events: more(sums.events, (at) => (open.bad[at] ?? 0) + (last.bad[at] ?? 0)),
  };
};
