// What every Store keeps to.
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import {
  type BrokerWorld,
  bytes,
  checksIn,
  fresh,
  type SuiteOptions,
  text,
  until,
} from './broker-world.ts';

export const storeSuite = (options: SuiteOptions): void => {
  describe(`store: ${options.name}`, () => {
    let world: BrokerWorld;
    beforeAll(async () => {
      world = await options.create();
    });
    afterAll(() => world.close());
    const check = checksIn(options, () => world);
    const open = async () => (await world.connect()).store(`weir-${fresh()}`);

    check('gives back what was put, with growing revisions', async () => {
      const store = await open();
      expect(await store.get('a')).toBeUndefined();
      const first = await store.put('a', bytes('1'));
      const second = await store.put('a', bytes('2'));
      expect(second).toBeGreaterThan(first);
      const entry = await store.get('a');
      expect(entry).toMatchObject({ key: 'a', revision: second });
      expect(text(entry?.value ?? bytes(''))).toBe('2');
    });

    check('numbers all writes of a bucket in one order', async () => {
      const bucket = `weir-${fresh()}`;
      const [one, two] = [await world.connect(), await world.connect()];
      const [a, b] = [await one.store(bucket), await two.store(bucket)];
      const revisions = [
        await a.create('x', bytes('1')),
        await b.put('y', bytes('2')),
        await a.put('x', bytes('3')),
        await b.create('z', bytes('4')),
      ];
      expect(revisions).toEqual(revisions.toSorted((left, right) => left - right));
      const entries = await a.entries();
      const inOrder = entries.toSorted((left, right) => left.revision - right.revision);
      expect(inOrder.map(({ key }) => key)).toEqual(['y', 'x', 'z']);
    });

    check('keeps an empty value apart from none', async () => {
      const store = await open();
      await store.put('a', new Uint8Array());
      expect((await store.get('a'))?.value.byteLength).toBe(0);
      expect(await store.entries()).toHaveLength(1);
    });

    check('shows a bucket to everybody who opens it', async () => {
      const [a, b] = [await world.connect(), await world.connect()];
      const bucket = `weir-${fresh()}`;
      await (await a.store(bucket)).put('k', bytes('v'));
      const entries = await (await b.store(bucket)).entries();
      expect(entries.map(({ key, value }) => [key, text(value)])).toEqual([['k', 'v']]);
    });

    check('creates a key once', async () => {
      const store = await open();
      await store.create('a', bytes('1'));
      await expect(store.create('a', bytes('2'))).rejects.toMatchObject({
        code: 'ERR_STORE_CONFLICT',
      });
      expect(text((await store.get('a'))?.value ?? bytes(''))).toBe('1');
      await store.delete('a');
      await store.create('a', bytes('3'));
      expect(text((await store.get('a'))?.value ?? bytes(''))).toBe('3');
    });

    check('lets exactly one of many creators win', async () => {
      const bucket = `weir-${fresh()}`;
      const stores = await Promise.all(
        Array.from({ length: 4 }, async () => (await world.connect()).store(bucket)),
      );
      for (let epoch = 1; epoch <= 10; epoch += 1) {
        const outcomes = await Promise.allSettled(
          Array.from({ length: 20 }, async (_, index) =>
            stores[index % stores.length]?.create(`epoch.${epoch}`, bytes(`${index}`)),
          ),
        );
        expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
        for (const outcome of outcomes)
          if (outcome.status === 'rejected')
            expect(outcome.reason).toMatchObject({ code: 'ERR_STORE_CONFLICT' });
      }
    });

    check('deletes, also what is not there', async () => {
      const store = await open();
      await store.put('a', bytes('1'));
      await store.delete('a');
      await store.delete('a');
      await store.delete('never');
      expect(await store.get('a')).toBeUndefined();
      expect(await store.entries()).toEqual([]);
    });

    check('refuses the empty key', async () => {
      const store = await open();
      await expect(store.put('', bytes('1'))).rejects.toMatchObject({
        code: 'ERR_REQUEST_INVALID',
      });
    });

    check('behaves like a map, whatever the keys', async () => {
      const key = fc.oneof(
        fc.constantFrom('a', 'bibby/catalog@v1.1/127.0.0.1:80', '.', '..', '*', '>', 'x=41', '%41'),
        fc.string({ minLength: 1, maxLength: 12 }),
        fc.string({ unit: 'grapheme', minLength: 1, maxLength: 4 }),
      );
      const step = fc.record({
        act: fc.constantFrom('put' as const, 'create' as const, 'delete' as const),
        key,
        value: fc.string({ maxLength: 8 }),
      });
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
          const store = await open();
          const model = new Map<string, string>();
          for (const { act, key: name, value } of steps) {
            if (act === 'delete') {
              await store.delete(name);
              model.delete(name);
            } else if (act === 'put' || !model.has(name)) {
              await store[act](name, bytes(value));
              model.set(name, value);
            } else await expect(store.create(name, bytes(value))).rejects.toThrow();
          }
          const entries = await store.entries();
          expect(new Map(entries.map(({ key: name, value }) => [name, text(value)]))).toEqual(
            model,
          );
          for (const [name, value] of model)
            expect(text((await store.get(name))?.value ?? bytes('none'))).toBe(value);
        }),
        { numRuns: 15 },
      );
    });

    check('says that the bus is away, and works when it is back', async ({ connect, outage }) => {
      const broker = await connect();
      const store = await broker.store(`weir-${fresh()}`);
      await store.put('a', bytes('1'));
      await outage(async () => {
        await until(() => !broker.connected);
        for (const act of [
          () => store.get('a'),
          () => store.put('a', bytes('2')),
          () => store.entries(),
        ])
          await expect(act()).rejects.toMatchObject({ code: 'ERR_BUS_UNREACHABLE' });
      });
      await until(async () => (await store.get('a').catch(() => undefined)) !== undefined);
      expect(text((await store.get('a'))?.value ?? bytes(''))).toBe('1');
    });
  });
};
