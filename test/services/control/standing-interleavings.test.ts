// Leaders without clocks: every write and read of every leader may be held up for as long as it takes, and nobody asks
// whether it still leads. Whoever reads the record must see what was decided before the next leader began, and nothing else.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { createMemoryHub } from '#adapters/bus-memory/broker.ts';
import type { DecisionBody } from '#engine/model/decision.ts';
import { buckets } from '#engine/model/subjects.ts';
import type { Store } from '#engine/ports/store.ts';
import { MachineStore } from '#services/control/machine-store.ts';
import { StandingBook } from '#services/control/standing-book.ts';

const targets = ['one', 'two'];
const body = (target: string, percent: number): DecisionBody => ({
  type: 'retry-budget',
  target,
  percent,
});
const origin = { by: 'test', reason: 'why not' };

/** Operations of it happen when the scheduler says so. */
const heldUp = (store: Store, scheduler: fc.Scheduler): Store => {
  const later = <T>(work: () => Promise<T>): Promise<T> =>
    scheduler.schedule(Promise.resolve()).then(work);
  return {
    ...store,
    entries: () => later(() => store.entries()),
    create: (key, value) => later(() => store.create(key, value)),
    put: (key, value) => later(() => store.put(key, value)),
    delete: (key) => later(() => store.delete(key)),
  };
};

interface Written {
  readonly key: string;
  readonly page: {
    readonly epoch: number;
    readonly decision?: { readonly id: string; readonly serial: number; readonly body: unknown };
  };
}

/** What counts, from the order in which things were written: a page does unless a younger leader had begun before it. */
const whatCounts = (written: readonly Written[]): ReadonlyMap<string, unknown> => {
  let youngest = 0;
  const newest = new Map<string, { readonly serial: number; readonly body: unknown }>();
  for (const { page } of written) {
    const { epoch, decision } = page;
    if (!decision) youngest = Math.max(youngest, epoch);
    else if (epoch >= youngest && decision.serial > (newest.get(decision.id)?.serial ?? 0))
      newest.set(decision.id, decision);
  }
  return new Map([...newest].map(([id, page]) => [id, page.body]));
};

it('no interleaving of leaders adds a decision to the record or takes one from it', async () => {
  const terms = fc.array(fc.array(fc.constantFrom(...targets), { maxLength: 12 }), {
    minLength: 2,
    maxLength: 4,
  });
  await fc.assert(
    fc.asyncProperty(terms, fc.scheduler(), async (leaders, scheduler) => {
      const hub = createMemoryHub();
      const store = await hub.connect().store(buckets.standing);
      const written: Written[] = [];
      const watched: Store = {
        ...store,
        create: async (key, value) => {
          const revision = await store.create(key, value);
          written.push({ key, page: JSON.parse(new TextDecoder().decode(value)) as never });
          return revision;
        },
      };
      const work = leaders.map(async (decisions, at) => {
        const book = new StandingBook(heldUp(watched, scheduler), () => {});
        try {
          await book.begin({ epoch: at + 1, isValid: () => true });
          for (const [count, target] of decisions.entries())
            await book.record(body(target, (at + 1) * 100 + count), origin);
        } catch {
          // Another leader was faster: this one ends.
        }
      });
      await scheduler.waitFor(Promise.all(work));
      const reader = new StandingBook(store, () => {});
      await reader.begin({ epoch: 9, isValid: () => true });
      const read = new Map([...reader.standing].map(([id, decision]) => [id, decision.body]));
      expect(read).toEqual(whatCounts(written));
    }),
    { numRuns: 150, seed: 12 },
  );
});

it('no late write of a machine’s state reaches a leader after its successor has taken it up', async () => {
  const word = fc.constantFrom('save' as const, 'remove' as const);
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(word, { maxLength: 5 }), { minLength: 2, maxLength: 4 }),
      fc.scheduler(),
      async (leaders, scheduler) => {
        const store = await createMemoryHub().connect().store(buckets.machines);
        const seed = new MachineStore(store);
        await seed.save('rollout', 'a/b', 1, 'start');
        /** By epoch: what its leader took up, then what it wrote. */
        const known: unknown[] = [];
        const work = leaders.map(async (words, at) => {
          const epoch = at + 2;
          const machines = new MachineStore(heldUp(store, scheduler));
          const taken = await machines.takeUp('rollout', epoch, () => {});
          known[epoch] = taken.get('a/b');
          for (const [count, one] of words.entries()) {
            const state = `${epoch}.${count}`;
            if (one === 'save') await machines.save('rollout', 'a/b', epoch, state);
            else await machines.remove('rollout', 'a/b', epoch);
            known[epoch] = one === 'save' ? state : undefined;
          }
        });
        await scheduler.waitFor(Promise.all(work));
        const read = await new MachineStore(store).load('rollout', () => {});
        expect(read.get('a/b')).toEqual(known.at(-1));
      },
    ),
    { numRuns: 150, seed: 12 },
  );
});
