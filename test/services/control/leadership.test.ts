import { afterEach, describe, expect, it } from 'vitest';
import { createMemoryHub, type MemoryBroker } from '#adapters/bus-memory/broker.ts';
import { buckets } from '#engine/model/subjects.ts';
import { type Leadership, startLeadership, type Term } from '#services/control/leadership.ts';
import { createTestTime } from './test-time.ts';

const time = createTestTime();
const running: AbortController[] = [];

interface Process extends Leadership {
  readonly broker: MemoryBroker;
  readonly seen: (Term | undefined)[];
  /** As by kill -9: nothing more is written, nothing is released. */
  kill(): void;
}

const start = async (
  hub: ReturnType<typeof createMemoryHub>,
  instance: string,
  floor = 0,
): Promise<Process> => {
  const broker = hub.connect(instance);
  const stop = new AbortController();
  running.push(stop);
  const leadership = startLeadership({
    store: await broker.store(buckets.leader),
    instance,
    time,
    signal: stop.signal,
    leaseMs: 3000,
    renewMs: 1000,
    pollMs: 250,
    floor: () => floor,
    onError: () => {},
  });
  const seen: (Term | undefined)[] = [];
  void (async () => {
    for await (const term of leadership.terms) seen.push(term);
  })();
  await time.advance(0);
  return Object.assign(leadership, {
    broker,
    seen,
    kill: () => {
      broker.cut();
      stop.abort();
    },
  });
};

afterEach(() => {
  for (const stop of running.splice(0)) stop.abort();
});

describe('leadership', () => {
  it('is taken at once where nobody leads', async () => {
    const one = await start(createMemoryHub(), 'one');
    expect(one.term?.epoch).toBe(1);
    expect(one.leader).toEqual({ instance: 'one', epoch: 1 });
  });

  it('belongs to one of two that start together', async () => {
    const hub = createMemoryHub();
    const [one, two] = await Promise.all([start(hub, 'one'), start(hub, 'two')]);
    await time.advance(1000);
    expect([one.term, two.term].filter(Boolean)).toHaveLength(1);
    expect(two.leader).toEqual(one.leader);
  });

  it('is kept for as long as the lease is renewed', async () => {
    const hub = createMemoryHub();
    const one = await start(hub, 'one');
    const two = await start(hub, 'two');
    await time.advance(20_000);
    expect(one.term?.epoch).toBe(1);
    expect(two.term).toBeUndefined();
  });

  it('passes on within five seconds of a kill', async () => {
    const hub = createMemoryHub();
    const one = await start(hub, 'one');
    const two = await start(hub, 'two');
    await time.advance(700);
    one.kill();
    await time.advance(5000);
    expect(two.term?.epoch).toBe(2);
  });

  it('ends for the old leader before it begins for the new one', async () => {
    const hub = createMemoryHub();
    const one = await start(hub, 'one');
    const two = await start(hub, 'two');
    await time.advance(900);
    const [term] = one.seen;
    one.broker.cut();
    for (let elapsed = 0; elapsed < 6000; elapsed += 50) {
      await time.advance(50);
      expect(term?.isValid() === true && two.term !== undefined).toBe(false);
    }
    expect(two.term).toBeDefined();
  });

  it('passes on at once when it is released', async () => {
    const hub = createMemoryHub();
    const one = await start(hub, 'one');
    const two = await start(hub, 'two');
    await one.close();
    await time.advance(250);
    expect(two.term?.epoch).toBe(2);
  });

  it('is taken at once by a process of the same name that was started again', async () => {
    const hub = createMemoryHub();
    const before = await start(hub, 'one');
    before.kill();
    const after = await start(hub, 'one');
    expect(after.term?.epoch).toBe(2);
  });

  it('does not go back and forth between two processes of one name', async () => {
    const hub = createMemoryHub();
    const before = await start(hub, 'one');
    const after = await start(hub, 'one');
    await time.advance(10_000);
    expect(before.term).toBeUndefined();
    expect(after.term?.epoch).toBe(2);
  });

  it('is won again after the bus was away, with a new epoch', async () => {
    const one = await start(createMemoryHub(), 'one');
    one.broker.cut();
    await time.advance(10_000);
    expect(one.term).toBeUndefined();
    one.broker.heal();
    await time.advance(500);
    expect(one.term?.epoch).toBe(2);
    expect(one.seen.map((term) => term?.epoch)).toEqual([1, undefined, 2]);
  });

  it('starts above what agents have already seen', async () => {
    const one = await start(createMemoryHub(), 'one', 41);
    expect(one.term?.epoch).toBe(42);
  });

  it('refuses to act when it does not lead', async () => {
    const hub = createMemoryHub();
    await start(hub, 'one');
    const two = await start(hub, 'two');
    expect(() => two.require()).toThrow(expect.objectContaining({ code: 'ERR_NOT_LEADER' }));
  });
});
