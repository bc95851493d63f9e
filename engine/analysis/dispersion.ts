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
  readonly pairs: number;
  /** By metric. */
  readonly squares: readonly number[];
  readonly events: readonly number[];
  readonly last: Block | undefined;
  readonly open: Block | undefined;
}

type Block = { readonly index: number; readonly requests: number; readonly bad: readonly number[] };

const blockSeconds = [1, 5, 15] as const;
const metrics = ['errors', ...latencyMetrics] as const;
/** Fewer bad requests than this say nothing about how they cluster. */
const minEvents = 20;
/** What is assumed then. */
export const assumedDispersion = 2;

export const emptyBlocks: Blocks = blockSeconds.map(() => ({
  pairs: 0,
  squares: metrics.map(() => 0),
  events: metrics.map(() => 0),
  last: undefined,
  open: undefined,
}));

export const advanceBlocks = (blocks: Blocks, second: Second): Blocks =>
  blocks.map((sums, at) => advance(sums, second, blockSeconds[at] ?? 1));

export const mergedDispersion = (all: readonly Blocks[]): Dispersion => {
  const of = (metric: number): number => {
    let events = 0;
    let largest = 1;
    for (const at of blockSeconds.keys()) {
      const sums = all
        .map((blocks) => blocks[at] ?? emptyBlocks[0])
        .filter((one) => one !== undefined);
      const total = (value: (one: BlockSums) => number) =>
        sums.reduce((sum, one) => sum + value(one), 0);
      const pairs = total((one) => one.pairs);
      const counted = total((one) => one.events[metric] ?? 0);
      // Each bad request is in two pairs.
      if (at === 0) events = counted / 2;
      if (pairs === 0 || counted === 0) continue;
      const ratio = total((one) => one.squares[metric] ?? 0) / counted;
      largest = Math.max(largest, ratio * (1 - Math.sqrt(3 / pairs)));
    }
    return events < minEvents ? Math.max(assumedDispersion, largest) : largest;
  };
  return { errors: of(0), 'latency-p90': of(1), 'latency-p99': of(2), 'latency-p999': of(3) };
};

const advance = (
  sums: BlockSums,
  { second, requests, bad }: Second,
  seconds: number,
): BlockSums => {
  const index = Math.floor(second / seconds);
  const { open } = sums;
  if (open && index === open.index)
    return {
      ...sums,
      open: {
        index,
        requests: open.requests + requests,
        bad: open.bad.map((value, at) => value + (bad[at] ?? 0)),
      },
    };
  return { ...close(sums), open: { index, requests, bad } };
};

const close = (sums: BlockSums): BlockSums => {
  const { open, last } = sums;
  if (!open) return sums;
  const isPair = last?.index === open.index - 1 && last.requests > 0 && open.requests > 0;
  if (!isPair) return { ...sums, last: open };
  const jump = (at: number): number =>
    ((open.bad[at] ?? 0) * last.requests - (last.bad[at] ?? 0) * open.requests) ** 2 /
    (open.requests * last.requests);
  return {
    pairs: sums.pairs + 1,
    squares: sums.squares.map((value, at) => value + jump(at)),
    events: sums.events.map((value, at) => value + (open.bad[at] ?? 0) + (last.bad[at] ?? 0)),
    last: open,
    open,
  };
};
