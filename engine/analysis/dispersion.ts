// Overdispersion: how much more than independent requests' the counts of bad requests jump from block to block. The
// von Neumann ratio compares neighbours, so slow drift does not count, and exposure is divided out, so load does not either.
import { type Dispersion, latencyMetrics } from './state.ts';

/** `bad`: errors, then requests above each latency threshold. */
export interface Second {
  readonly second: number;
  readonly requests: number;
  readonly bad: readonly number[];
}

/** Per block length: sums over finished pairs of neighbouring blocks, and the block being filled. */
export type Blocks = readonly BlockSums[];

interface BlockSums {
  /** All by metric. */
  readonly pairs: readonly number[];
  readonly squares: readonly number[];
  readonly events: readonly number[];
  readonly last: Block | undefined;
  readonly open: Block | undefined;
}

interface Block {
  readonly index: number;
  readonly requests: number;
  readonly bad: readonly number[];
}

const blockSeconds = [1, 5, 15] as const;
const metrics = ['errors', ...latencyMetrics] as const;
/** Fewer bad requests than this say nothing about how they cluster. */
const minEvents = 20;
/** What is assumed then. */
export const assumedDispersion = 2;

const zeros = metrics.map(() => 0);
const emptySums: BlockSums = {
  pairs: zeros,
  squares: zeros,
  events: zeros,
  last: undefined,
  open: undefined,
};
export const emptyBlocks: Blocks = blockSeconds.map(() => emptySums);

/** `since`: by metric, the second from which on its counts mean the same; older blocks make no pairs. */
export const advanceBlocks = (blocks: Blocks, second: Second, since: readonly number[]): Blocks =>
  blocks.map((sums, at) => {
    const seconds = blockSeconds[at] ?? 1;
    const index = Math.floor(second.second / seconds);
    if (sums.open?.index === index) return { ...sums, open: join(sums.open, second) };
    const { requests, bad } = second;
    const closed = close(sums, (metric) => (since[metric] ?? 0) / seconds);
    return { ...closed, open: { index, requests, bad } };
  });

/** Forgets the metrics whose threshold has moved. */
export const forgetMetrics = (blocks: Blocks, moved: readonly boolean[]): Blocks => {
  const keep = (values: readonly number[]) => values.map((value, at) => (moved[at] ? 0 : value));
  return blocks.map((sums) => ({
    ...sums,
    pairs: keep(sums.pairs),
    squares: keep(sums.squares),
    events: keep(sums.events),
  }));
};

/** Sums from nothing, blocks under way kept. */
export const continueBlocks = (blocks: Blocks): Blocks =>
  blocks.map(({ last, open }) => ({ ...emptySums, last, open }));

export const mergedDispersion = (generations: readonly Blocks[]): Dispersion => {
  const of = (metric: number): number => dispersion(generations, metric);
  return { errors: of(0), 'latency-p90': of(1), 'latency-p99': of(2), 'latency-p999': of(3) };
};

const dispersion = (generations: readonly Blocks[], metric: number): number => {
  let events = 0;
  let largest = 1;
  for (const at of blockSeconds.keys()) {
    const total = (value: (sums: BlockSums) => readonly number[]) =>
      generations.reduce((sum, blocks) => sum + (value(blocks[at] ?? emptySums)[metric] ?? 0), 0);
    const pairs = total((sums) => sums.pairs);
    const counted = total((sums) => sums.events);
    // Each bad request is in two pairs.
    if (at === 0) events = counted / 2;
    if (pairs === 0 || counted === 0) continue;
    const ratio = total((sums) => sums.squares) / counted;
    // One standard error less, or chance alone would pass for clusters in the best of three.
    largest = Math.max(largest, ratio * (1 - Math.sqrt(3 / pairs)));
  }
  return events < minEvents ? Math.max(assumedDispersion, largest) : largest;
};

const join = (block: Block, { requests, bad }: Second): Block => ({
  index: block.index,
  requests: block.requests + requests,
  bad: block.bad.map((value, at) => value + (bad[at] ?? 0)),
});

const close = (sums: BlockSums, since: (metric: number) => number): BlockSums => {
  const { open, last } = sums;
  if (!open) return sums;
  if (last?.index !== open.index - 1 || last.requests === 0 || open.requests === 0)
    return { ...sums, last: open };
  const jump = (at: number): number =>
    ((open.bad[at] ?? 0) * last.requests - (last.bad[at] ?? 0) * open.requests) ** 2 /
    (open.requests * last.requests);
  const add = (values: readonly number[], of: (at: number) => number) =>
    values.map((value, at) => (last.index >= since(at) ? value + of(at) : value));
  return {
    pairs: add(sums.pairs, () => 1),
    squares: add(sums.squares, jump),
    events: add(sums.events, (at) => (open.bad[at] ?? 0) + (last.bad[at] ?? 0)),
    last: open,
    open,
  };
};
