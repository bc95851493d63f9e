// What the suites of bus, log and store need of a technology.
import { it } from 'vitest';
import type { Broker } from '#engine/ports/bus.ts';

export interface BrokerWorld {
  /** A new connection; its name is what others learn as `BusMessage.user`, where the technology says. */
  readonly connect: (user?: string) => Promise<Broker>;
  /** Nobody reaches anybody while `meanwhile` runs; then all are connected again. */
  readonly outage: (meanwhile: () => Promise<void>) => Promise<void>;
  /** Deletes the stream and makes it anew: sequences start at 1. */
  readonly recreateStream: (name: string) => Promise<void>;
  readonly close: () => Promise<void>;
}

export interface SuiteOptions {
  readonly name: string;
  readonly create: () => Promise<BrokerWorld>;
  readonly skip?: readonly { readonly test: string; readonly reason: string }[];
}

export type Check = (name: string, test: (world: BrokerWorld) => Promise<void>) => void;

/** One world per suite, closed by its last test; names of subjects and keys keep the tests apart. */
export const checksIn = (options: SuiteOptions, world: () => BrokerWorld): Check => {
  const unused = new Set((options.skip ?? []).map(({ test }) => test));
  return (name, test) => {
    const skipped = options.skip?.find((entry) => entry.test === name);
    unused.delete(name);
    if (skipped) it.skip(`${name} (${skipped.reason})`, () => {});
    else it(name, () => test(world()));
  };
};

let counter = 0;
/** A token that no other test uses. */
export const fresh = (): string => `t${++counter}`;

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
export const text = (data: Uint8Array): string => new TextDecoder().decode(data);

/** Everything that this connection asked for before has reached the other side. */
export const settled = async (broker: Broker): Promise<void> => {
  await broker.bus.request(`settle.${fresh()}`, new Uint8Array(), 2000).catch(() => {});
};

export const take = async <T>(source: AsyncIterable<T>, count: number): Promise<T[]> => {
  const iterator = source[Symbol.asyncIterator]();
  const found: T[] = [];
  while (found.length < count) {
    const { value, done } = await iterator.next();
    if (done) break;
    found.push(value);
  }
  return found;
};

/** Collects in the background. */
export const collect = <T>(
  source: AsyncIterable<T>,
): { readonly items: T[]; ended: Promise<void> } => {
  const items: T[] = [];
  const ended = (async () => {
    for await (const item of source) items.push(item);
  })();
  return { items, ended };
};

export const until = async (
  isTrue: () => boolean | Promise<boolean>,
  timeoutMs = 10_000,
): Promise<void> => {
  const deadline = performance.now() + timeoutMs;
  while (!(await isTrue())) {
    if (performance.now() > deadline)
      throw new Error(`not true within ${timeoutMs} ms: ${isTrue.toString()}`);
    await new Promise((later) => setTimeout(later, 5));
  }
};
