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

/** Deposed leaders are held up for good in these tests: whether they are valid is asked by nobody else. */
const lead = async (hub: ReturnType<typeof createMemoryHub>, epoch: number, isValid = false) => {
  const book = new StandingBook(await hub.connect().store(buckets.standing), () => {});
  await book.begin({ epoch, isValid: () => isValid });
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

  it('holds for void what a deposed leader writes late, also for every later leader', async () => {
    const hub = createMemoryHub();
    const first = await lead(hub, 1);
    await first.record(split(1000), origin);
    const second = await lead(hub, 2);
    // It had asked whether it leads, and was held up since.
    await first.record(split(9000), origin);
    const other = { ...split(5000), target: 'bibby/library-service' };
    await first.record(other, origin);
    for (const reader of [second, await open(hub), await lead(hub, 3)]) {
      await reader.load();
      expect(reader.standing.get(id)?.body).toEqual(split(1000));
      expect(reader.standing.size).toBe(1);
    }
  });

  it('goes on after a serial that a void page has taken', async () => {
    const hub = createMemoryHub();
    const first = await lead(hub, 1);
    await first.record(split(1000), origin);
    const second = await lead(hub, 2, true);
    await first.record(split(9000), origin);
    await expect(second.record(split(2000), origin)).resolves.toMatchObject({ serial: 3 });
    expect((await lead(hub, 3)).standing.get(id)?.body).toEqual(split(2000));
  });

  it('does not let a late leader delete what its successor relies on', async () => {
    const hub = createMemoryHub();
    const first = await lead(hub, 1);
    await first.record(split(1000), origin);
    await lead(hub, 2);
    for (const weight of [7000, 8000, 9000]) await first.record(split(weight), origin);
    expect((await lead(hub, 3)).standing.get(id)?.body).toEqual(split(1000));
  });

  it('keeps what a leader wrote just before it was deposed', async () => {
    const hub = createMemoryHub();
    const first = await lead(hub, 1);
    for (const weight of [1000, 2000, 3000]) await first.record(split(weight), origin);
    expect((await lead(hub, 2)).standing.get(id)?.body).toEqual(split(3000));
    expect((await lead(hub, 7)).standing.get(id)).toMatchObject({ serial: 3, body: split(3000) });
  });

  it('does not grow with the number of decisions and of leaders', async () => {
    const hub = createMemoryHub();
    for (let epoch = 1; epoch <= 40; epoch += 1) {
      const book = await lead(hub, epoch, true);
      for (const weight of [1000, 2000, 3000]) await book.record(split(weight), origin);
    }
    const entries = await (await hub.connect().store(buckets.standing)).entries();
    expect(entries.length).toBeLessThan(22);
  });

  it('keeps few pages of a long term', async () => {
    const hub = createMemoryHub();
    const book = await lead(hub, 1);
    for (let weight = 1; weight <= 100; weight += 1) await book.record(split(weight), origin);
    const entries = await (await hub.connect().store(buckets.standing)).entries();
    expect(entries.length).toBeLessThan(12);
    expect((await lead(hub, 2)).standing.get(id)).toMatchObject({ serial: 100 });
  });

  it('deletes nothing for a leader whose clock stood still', async () => {
    const hub = createMemoryHub();
    const first = await lead(hub, 1, true);
    await first.record(split(1000), origin);
    await lead(hub, 2);
    for (let weight = 1; weight <= 40; weight += 1) await first.record(split(weight), origin);
    expect((await lead(hub, 3)).standing.get(id)?.body).toEqual(split(1000));
  });

  it('does not begin the term of a leader after whom another has begun', async () => {
    const hub = createMemoryHub();
    await lead(hub, 2);
    await expect(lead(hub, 1)).rejects.toThrow(expect.objectContaining({ code: 'ERR_NOT_LEADER' }));
  });

  it('does not begin with a copy of the record that lags behind', async () => {
    const hub = createMemoryHub();
    const store = await hub.connect().store(buckets.standing);
    const before = await store.entries();
    const book = new StandingBook({ ...store, entries: async () => before }, () => {});
    await expect(book.begin({ epoch: 1, isValid: () => true })).rejects.toThrow(
      /without its epoch.1/,
    );
  });

  it('reads what a release without epochs has written', async () => {
    const hub = createMemoryHub();
    const old = await open(hub);
    await old.record(split(1000), origin);
    await old.withdraw(id, 'enough');
    await old.record(split(4000), origin);
    expect((await lead(hub, 5)).standing.get(id)).toMatchObject({ serial: 3, body: split(4000) });
  });

  it('takes back from what was published even what is void on record', async () => {
    const hub = createMemoryHub();
    const first = await lead(hub, 1);
    const made = await first.record(split(1000), origin);
    const second = await lead(hub, 2, true);
    const late = await first.record(split(2000), origin);
    await second.adopt(late);
    expect(second.standing.get(id)).toMatchObject({ serial: 3, body: split(2000) });
    await second.adopt(made);
    expect(second.standing.get(id)?.body).toEqual(split(2000));
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
