// What every Log keeps to. Each test writes below a mesh of its own, so that tests can share the streams.
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { matchesSubject, streams } from '#engine/model/subjects.ts';
import type { LogEntry } from '#engine/ports/log.ts';
import {
  type BrokerWorld,
  bytes,
  checksIn,
  collect,
  fresh,
  type SuiteOptions,
  take,
  text,
  until,
} from './broker-world.ts';

const brief = (entries: readonly LogEntry[]) =>
  entries.map(({ subject, data }) => `${subject.split('.').slice(3).join('.')}=${text(data)}`);

export const logSuite = (options: SuiteOptions & { readonly bigValueBytes: number }): void => {
  describe(`log: ${options.name}`, () => {
    let world: BrokerWorld;
    beforeAll(async () => {
      world = await options.create();
    });
    afterAll(() => world.close());
    const check = checksIn(options, () => world);

    const open = async (stream: string = streams.policy) => {
      const broker = await world.connect();
      const kind = { [streams.policy]: 'policy', [streams.control]: 'control' }[stream] ?? 'event';
      const root = `weir.${fresh()}.${kind}`;
      const log = await broker.log(stream);
      const put = (name: string, value: string, expectLast?: number) =>
        log.append({
          subject: `${root}.${name}`,
          data: bytes(value),
          ...(expectLast === undefined ? {} : { expectLast }),
        });
      return { broker, log, root, put };
    };

    check('reads what was appended, in order, then what comes', async () => {
      const { log, root, put } = await open();
      const sequences = [await put('a', '1'), await put('b', '2'), await put('a', '3')];
      const reader = log.read(`${root}.>`, 'all');
      const { items } = collect(reader);
      await reader.caughtUp;
      expect(brief(items)).toEqual(['a=1', 'b=2', 'a=3']);
      expect(items.map(({ sequence }) => sequence)).toEqual(sequences);
      sequences.push(await put('c', '4'));
      await until(() => items.length === 4);
      expect(items[3]?.sequence).toBe(sequences[3]);
      expect(sequences).toEqual(sequences.toSorted((a, b) => a - b));
      reader.close();
    });

    check('stores what has the same id once, whoever writes it', async () => {
      const { log, root } = await open();
      const other = await (await world.connect()).log(streams.policy);
      const entry = (value: string, id: string) => ({
        subject: `${root}.a`,
        data: bytes(value),
        id: `${root}.${id}`,
      });
      const first = await log.append(entry('1', 'one'));
      await log.append(entry('2', 'two'));
      expect(await other.append(entry('3', 'one'))).toBe(first);
      expect(text((await log.last(`${root}.a`))?.data ?? new Uint8Array())).toBe('2');
    });

    check('says when an entry was stored', async () => {
      const { log, root, put } = await open();
      const before = Date.now();
      await put('a', '1');
      const [entry] = await take(log.read(`${root}.>`, 'all'), 1);
      expect(entry?.atMs).toBeGreaterThanOrEqual(before - 5);
      expect(entry?.atMs).toBeLessThanOrEqual(Date.now() + 5);
    });

    check('reads the last entry per subject', async () => {
      const { log, root, put } = await open();
      for (const [name, value] of [
        ['a', '1'],
        ['b', '1'],
        ['a', '2'],
        ['c', '1'],
        ['b', '2'],
      ] as const)
        await put(name, value);
      const reader = log.read(`${root}.>`, 'last');
      const { items } = collect(reader);
      await reader.caughtUp;
      expect(brief(items)).toEqual(['a=2', 'c=1', 'b=2']);
      await put('a', '3');
      await until(() => items.length === 4);
      expect(brief(items).at(-1)).toBe('a=3');
    });

    check('reads only what is new', async () => {
      const { log, root, put } = await open();
      await put('a', '1');
      const reader = log.read(`${root}.>`, 'new');
      const { items } = collect(reader);
      await reader.caughtUp;
      expect(items).toEqual([]);
      await put('a', '2');
      await until(() => items.length > 0);
      expect(brief(items)).toEqual(['a=2']);
    });

    check('reads from a sequence on', async () => {
      const { log, root, put } = await open();
      await put('a', '1');
      const second = await put('a', '2');
      await put('a', '3');
      const reader = log.read(`${root}.>`, second);
      const { items } = collect(reader);
      await reader.caughtUp;
      expect(brief(items)).toEqual(['a=2', 'a=3']);
    });

    check('is caught up at once where nothing is stored', async () => {
      const { log, root } = await open();
      for (const from of ['all', 'last', 'new', 1] as const) {
        const reader = log.read(`${root}.>`, from);
        await reader.caughtUp;
        reader.close();
      }
    });

    check('is caught up only when the last stored entry was dealt with', async () => {
      const { log, root, put } = await open();
      for (const value of ['1', '2', '3']) await put('a', value);
      const reader = log.read(`${root}.>`, 'all');
      let isCaughtUp = false;
      void reader.caughtUp.then(() => {
        isCaughtUp = true;
      });
      const iterator = reader[Symbol.asyncIterator]();
      for (let index = 0; index < 3; index += 1) await iterator.next();
      await log.lastSequence();
      expect(isCaughtUp).toBe(false);
      const waiting = iterator.next();
      await reader.caughtUp;
      reader.close();
      expect(await waiting).toMatchObject({ done: true });
    });

    check('keeps one entry per subject in the control stream', async () => {
      const { log, root, put } = await open(streams.control);
      await put('edge.a.snapshot', '1');
      await put('edge.b.snapshot', '1');
      await put('edge.a.snapshot', '2');
      const reader = log.read(`${root}.>`, 'all');
      const { items } = collect(reader);
      await reader.caughtUp;
      expect(brief(items)).toEqual(['edge.b.snapshot=1', 'edge.a.snapshot=2']);
    });

    check('gives the last entry of a subject', async () => {
      const { log, root, put } = await open();
      expect(await log.last(`${root}.a`)).toBeUndefined();
      await put('a', '1');
      const sequence = await put('a', '2');
      await put('ab', '3');
      expect(await log.last(`${root}.a`)).toMatchObject({ sequence, subject: `${root}.a` });
      expect(await log.lastSequence()).toBeGreaterThan(sequence);
    });

    check('stores only on top of the entry that was expected', async () => {
      const { log, root, put } = await open();
      const first = await put('a', '1', 0);
      await put('other', 'x');
      const second = await put('a', '2', first);
      for (const wrong of [0, first, second + 1])
        await expect(put('a', 'never', wrong)).rejects.toMatchObject({ code: 'ERR_LOG_CONFLICT' });
      expect((await log.last(`${root}.a`))?.sequence).toBe(second);
    });

    check('lets exactly one of many writers win', async () => {
      const { root } = await open();
      const logs = await Promise.all(
        Array.from({ length: 4 }, async () => (await world.connect()).log(streams.policy)),
      );
      let last = 0;
      for (let round = 0; round < 5; round += 1) {
        const outcomes = await Promise.allSettled(
          Array.from({ length: 20 }, async (_, index) =>
            logs[index % logs.length]?.append({
              subject: `${root}.commit`,
              data: bytes(`${round}/${index}`),
              expectLast: last,
            }),
          ),
        );
        const won = outcomes.filter((outcome) => outcome.status === 'fulfilled');
        expect(won).toHaveLength(1);
        last = won[0]?.value ?? 0;
      }
    });

    check('trims one subject below a sequence', async () => {
      const { log, root, put } = await open();
      await put('a', '1');
      await put('b', '1');
      const checkpoint = await put('a', '2');
      await put('a', '3');
      await log.trim(`${root}.a`, checkpoint);
      const reader = log.read(`${root}.>`, 'all');
      const { items } = collect(reader);
      await reader.caughtUp;
      expect(brief(items)).toEqual(['b=1', 'a=2', 'a=3']);
    });

    check('keeps values that are larger than one message', async () => {
      const { log, root } = await open(streams.control);
      const subject = `${root}.edge.a.snapshot`;
      const value = Uint8Array.from({ length: options.bigValueBytes }, (_, index) => index % 251);
      const follower = collect(log.read(`${root}.edge.a.>`, 'last'));
      const sequence = await log.append({ subject, data: value, expectLast: 0 });
      await until(() => follower.items.length > 0);
      const late = collect(log.read(`${root}.edge.a.>`, 'last'));
      await until(() => late.items.length > 0);
      for (const entry of [follower.items[0], late.items[0], await log.last(subject)]) {
        expect(entry).toMatchObject({ subject, sequence });
        expect(Buffer.from(entry?.data ?? []).equals(value)).toBe(true);
      }
      await log.append({ subject, data: bytes('small again'), expectLast: sequence });
      await until(() => follower.items.length > 1);
      expect(text(follower.items[1]?.data ?? bytes(''))).toBe('small again');
      expect(follower.items).toHaveLength(2);
    });

    check('refuses a value that is beyond all measure', async () => {
      const { log, root } = await open();
      const data = new Uint8Array(64 * 1024 * 1024 + 1);
      await expect(log.append({ subject: `${root}.a`, data })).rejects.toMatchObject({
        code: 'ERR_MESSAGE_TOO_LARGE',
      });
    });

    check('hands each reader exactly what its filter names, whenever it was opened', async () => {
      const { log } = await open();
      const token = fc.constantFrom('a', 'b', 'c');
      const name = fc.array(token, { minLength: 1, maxLength: 2 }).map((parts) => parts.join('.'));
      const filter = fc.constantFrom('>', '*', 'a', 'a.>', '*.b', 'b.*');
      const writes = fc.array(name, { maxLength: 10 });
      await fc.assert(
        fc.asyncProperty(writes, writes, filter, async (before, after, wanted) => {
          const root = `weir.${fresh()}.policy`;
          const expected: string[] = [];
          const append = async (subject: string, value: string) => {
            await log.append({ subject: `${root}.${subject}`, data: bytes(value) });
            if (matchesSubject(wanted, subject)) expected.push(`${subject}=${value}`);
          };
          for (const [index, subject] of before.entries()) await append(subject, `${index}`);
          const reader = log.read(`${root}.${wanted}`, 'all');
          const { items } = collect(reader);
          for (const [index, subject] of after.entries()) await append(subject, `later ${index}`);
          await until(() => items.length >= expected.length);
          await reader.caughtUp;
          expect(brief(items)).toEqual(expected);
          reader.close();
        }),
        { numRuns: 25 },
      );
    });

    check('goes on after an outage, with nothing lost and nothing twice', async ({ outage }) => {
      const { broker, log, root, put } = await open();
      const opened = (['all', 'last', 'new'] as const).map((from) => log.read(`${root}.>`, from));
      const readers = opened.map(collect);
      await Promise.all(opened.map(({ caughtUp }) => caughtUp));
      await put('a', '1');
      await until(() => readers.every(({ items }) => items.length === 1));
      await outage(async () => {
        await until(() => !broker.connected);
        await expect(put('a', 'never')).rejects.toMatchObject({ code: 'ERR_BUS_UNREACHABLE' });
        await expect(log.lastSequence()).rejects.toMatchObject({ code: 'ERR_BUS_UNREACHABLE' });
      });
      await until(async () => (await put('a', '2').catch(() => 0)) > 0);
      for (const { items } of readers) {
        await until(() => items.length >= 2);
        expect(brief(items)).toEqual(['a=1', 'a=2']);
      }
    });

    check('opens while the bus is away and reads when it is back', async ({ outage }) => {
      const { broker, log, root, put } = await open();
      await put('a', '1');
      let followed: ReturnType<typeof collect<LogEntry>> | undefined;
      let caughtUp: Promise<void> | undefined;
      await outage(async () => {
        await until(() => !broker.connected);
        const reader = log.read(`${root}.>`, 'last');
        followed = collect(reader);
        caughtUp = reader.caughtUp;
      });
      await caughtUp;
      expect(brief(followed?.items ?? [])).toEqual(['a=1']);
    });

    check('starts anew with a stream that was made anew', async ({ recreateStream }) => {
      const { log, root } = await open(streams.events);
      const event = (value: string) => log.append({ subject: `${root}.x`, data: bytes(value) });
      for (const value of ['1', '2', '3']) await event(value);
      const reader = log.read(`${root}.>`, 'all');
      const { items } = collect(reader);
      await reader.caughtUp;
      await recreateStream(streams.events);
      const sequence = await event('4');
      reader.verify(await log.lastSequence());
      await until(() => items.length >= 4);
      expect(items.map(({ data }) => text(data))).toEqual(['1', '2', '3', '4']);
      expect(items[3]?.sequence).toBe(sequence);
    });

    check('ends the iteration when it is closed', async () => {
      const { log, root, put } = await open();
      const reader = log.read(`${root}.>`, 'all');
      const { items, ended } = collect(reader);
      await put('a', '1');
      await until(() => items.length === 1);
      reader.close();
      reader.close();
      await ended;
      await put('a', '2');
      expect(items).toHaveLength(1);
    });
  });
};
