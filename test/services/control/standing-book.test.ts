import { describe, expect, it } from 'vitest';
import { createMemoryHub } from '#adapters/bus-memory/broker.ts';
import type { DecisionBody } from '#engine/model/decision.ts';
import { buckets } from '#engine/model/subjects.ts';
import { StandingBook } from '#services/control/standing-book.ts';

const split = (weight: number): DecisionBody => ({
  type: 'split',
  target: 'bibby/catalog-service',
  weights: { 'v1.0': 10_000 - weight, 'v1.1': weight },
});
const id = 'split:bibby/catalog-service';
const origin = { by: 'rollout:bibby/catalog', reason: 'step 1' };

const open = async (hub = createMemoryHub()) => {
  const book = new StandingBook(await hub.connect().store(buckets.standing), () => {});
  await book.load();
  return book;
};

describe('the book of standing decisions', () => {
  it('keeps the newest decision over a restart', async () => {
    const hub = createMemoryHub();
    const book = await open(hub);
    await book.record(split(1000), origin);
    await book.record(split(2000), origin);
    const again = await open(hub);
    expect(again.standing.get(id)).toMatchObject({ serial: 2, body: split(2000) });
  });

  it('goes on counting after a withdrawal', async () => {
    const hub = createMemoryHub();
    const book = await open(hub);
    await book.record(split(1000), origin);
    await book.withdraw(id, 'the policy says the same');
    expect((await open(hub)).standing.size).toBe(0);
    const again = await open(hub);
    expect(await again.record(split(3000), origin)).toMatchObject({ serial: 3 });
  });

  it('lets one of two leaders make a step, and shows it to the other', async () => {
    const hub = createMemoryHub();
    const [one, two] = [await open(hub), await open(hub)];
    await one.record(split(1000), origin);
    await expect(two.record(split(9000), origin)).rejects.toThrow(
      expect.objectContaining({ code: 'ERR_STORE_CONFLICT' }),
    );
    expect(two.standing.get(id)?.body).toEqual(split(1000));
  });

  it('leaves out what cannot be read, and nothing else', async () => {
    const hub = createMemoryHub();
    const book = await open(hub);
    await book.record(split(1000), origin);
    const store = await hub.connect().store(buckets.standing);
    await store.put('breaker_x.1', new TextEncoder().encode('{'));
    expect((await open(hub)).standing.size).toBe(1);
  });
});
