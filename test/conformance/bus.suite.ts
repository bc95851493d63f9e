// What every Bus keeps to.
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { EngineError } from '#engine/model/errors.ts';
import { matchesSubject } from '#engine/model/subjects.ts';
import {
  type BrokerWorld,
  bytes,
  checksIn,
  collect,
  fresh,
  type SuiteOptions,
  settled,
  take,
  text,
  until,
} from './broker-world.ts';

export const busSuite = (options: SuiteOptions): void => {
  describe(`bus: ${options.name}`, () => {
    let world: BrokerWorld;
    beforeAll(async () => {
      world = await options.create();
    });
    afterAll(() => world.close());
    const check = checksIn(options, () => world);

    check('hands a message to every subscriber', async ({ connect }) => {
      const [a, b, c] = [await connect(), await connect(), await connect()];
      const subject = `${fresh()}.x`;
      const subscriptions = [a, b, c].map((broker) => broker.bus.subscribe(subject));
      await Promise.all([a, b, c].map(settled));
      b.bus.publish(subject, bytes('hello'));
      for (const subscription of subscriptions) {
        const [message] = await take(subscription, 1);
        expect(message?.subject).toBe(subject);
        expect(text(message?.data ?? bytes(''))).toBe('hello');
      }
    });

    check('matches wildcards and keeps the order of one publisher', async ({ connect }) => {
      const [publisher, subscriber] = [await connect(), await connect()];
      const token = fc.constantFrom('a', 'b', 'c');
      const subject = fc.array(token, { minLength: 1, maxLength: 4 });
      const filter = fc
        .tuple(
          fc.array(fc.oneof(token, fc.constant('*')), { minLength: 1, maxLength: 3 }),
          fc.boolean(),
        )
        .map(([tokens, isOpen]) => [...tokens, ...(isOpen ? ['>'] : [])]);
      await fc.assert(
        fc.asyncProperty(fc.array(subject, { maxLength: 12 }), filter, async (sent, wanted) => {
          const root = fresh();
          const pattern = [root, ...wanted].join('.');
          const { items } = collect(subscriber.bus.subscribe(pattern));
          const last = subscriber.bus.subscribe(`last.${root}`);
          await settled(subscriber);
          const subjects = sent.map((tokens) => [root, ...tokens].join('.'));
          for (const [index, name] of subjects.entries())
            publisher.bus.publish(name, bytes(`${index}`));
          publisher.bus.publish(`last.${root}`, bytes(''));
          await take(last, 1);
          last.close();
          const expected = subjects
            .map((name, index) => [name, `${index}`] as const)
            .filter(([name]) => matchesSubject(pattern, name));
          await until(() => items.length >= expected.length);
          expect(items.map(({ subject: name, data }) => [name, text(data)])).toEqual(expected);
        }),
        { numRuns: 40 },
      );
    });

    check('keeps the bytes as they were when they were published', async ({ connect }) => {
      const broker = await connect();
      const subject = fresh();
      const subscription = broker.bus.subscribe(subject);
      await settled(broker);
      const data = Uint8Array.from({ length: 256 }, (_, index) => index);
      const sent = data.slice();
      broker.bus.publish(subject, data);
      data.fill(0);
      broker.bus.publish(subject, new Uint8Array());
      const [first, second] = await take(subscription, 2);
      expect(new Uint8Array(first?.data ?? [])).toEqual(sent);
      expect(second?.data.byteLength).toBe(0);
    });

    check('answers a request by one of the servers of a group', async ({ connect }) => {
      const [client, one, two] = [await connect(), await connect(), await connect()];
      const subject = fresh();
      const handled: string[] = [];
      for (const [name, broker] of Object.entries({ one, two }))
        broker.bus.serve(subject, 'group', async ({ data }) => {
          handled.push(name);
          return bytes(`${text(data)}!`);
        });
      await Promise.all([settled(one), settled(two)]);
      for (let index = 0; index < 20; index += 1)
        expect(text(await client.bus.request(subject, bytes(`${index}`), 2000))).toBe(`${index}!`);
      expect(handled).toHaveLength(20);
      expect(new Set(handled).size).toBe(2);
    });

    check('answers a failing handler with its message', async ({ connect }) => {
      const broker = await connect();
      const subject = fresh();
      broker.bus.serve(subject, 'group', async ({ data }) => {
        if (text(data) === 'engine')
          throw new EngineError('ERR_REQUEST_FORBIDDEN', 'not for you', { source: 'caller' });
        throw new Error('a bug');
      });
      await settled(broker);
      const ask = async (what: string) =>
        JSON.parse(text(await broker.bus.request(subject, bytes(what), 2000)));
      expect(await ask('engine')).toEqual({
        error: { code: 'ERR_REQUEST_FORBIDDEN', message: 'not for you' },
      });
      expect(await ask('other')).toEqual({ error: { code: 'ERR_INTERNAL', message: 'a bug' } });
    });

    check('says at once that nobody answers', async ({ connect }) => {
      const broker = await connect();
      await expect(broker.bus.request(fresh(), bytes(''), 5000)).rejects.toMatchObject({
        code: 'ERR_BUS_NO_RESPONDER',
        source: 'bus',
        retryable: true,
      });
    });

    check('gives up on a silent server', async ({ connect }) => {
      const broker = await connect();
      const subject = fresh();
      broker.bus.serve(subject, 'group', () => new Promise(() => {}));
      await settled(broker);
      await expect(broker.bus.request(subject, bytes(''), 60)).rejects.toMatchObject({
        code: 'ERR_BUS_TIMEOUT',
      });
    });

    check('refuses a message over the limit', async ({ connect }) => {
      const broker = await connect();
      const huge = new Uint8Array(9 * 1024 * 1024);
      const refusal = expect.objectContaining({ code: 'ERR_MESSAGE_TOO_LARGE' });
      expect(() => broker.bus.publish(fresh(), huge)).toThrow(refusal);
      await expect(broker.bus.request(fresh(), huge, 1000)).rejects.toThrow(refusal);
    });

    check('ends the iteration when a subscription is closed', async ({ connect }) => {
      const broker = await connect();
      const subject = fresh();
      const subscription = broker.bus.subscribe(subject);
      const { items, ended } = collect(subscription);
      await settled(broker);
      broker.bus.publish(subject, bytes('1'));
      await until(() => items.length === 1);
      subscription.close();
      subscription.close();
      await ended;
      broker.bus.publish(subject, bytes('2'));
      await settled(broker);
      expect(items).toHaveLength(1);
    });

    check('stops listening when the reader leaves its loop', async ({ connect }) => {
      const broker = await connect();
      const subject = fresh();
      const subscription = broker.bus.serve(subject, 'group', async () => bytes('ok'));
      await settled(broker);
      await subscription[Symbol.asyncIterator]().return?.();
      await settled(broker);
      await expect(broker.bus.request(subject, bytes(''), 1000)).rejects.toMatchObject({
        code: 'ERR_BUS_NO_RESPONDER',
      });
    });

    check('keeps subscriptions and servers over an outage', async ({ connect, outage }) => {
      const [server, client] = [await connect(), await connect()];
      const subject = fresh();
      const { items } = collect(server.bus.subscribe(`${subject}.>`));
      server.bus.serve(`${subject}.ask`, 'group', async () => bytes('still here'));
      await settled(server);
      await outage(async () => {
        await until(() => !client.connected && !server.connected);
        expect(() => client.bus.publish(`${subject}.lost`, bytes('x'))).not.toThrow();
        await expect(client.bus.request(`${subject}.ask`, bytes(''), 500)).rejects.toMatchObject({
          code: 'ERR_BUS_UNREACHABLE',
        });
      });
      await until(() => client.connected && server.connected);
      await settled(server);
      expect(text(await client.bus.request(`${subject}.ask`, bytes(''), 2000))).toBe('still here');
      client.bus.publish(`${subject}.kept`, bytes('y'));
      await until(() => items.some((message) => message.subject === `${subject}.kept`));
      expect(items.map((message) => message.subject)).not.toContain(`${subject}.lost`);
    });

    check('tells of every change of the connection', async ({ connect, outage }) => {
      const broker = await connect();
      const { items, ended } = collect(broker.status());
      await until(() => items.length === 1);
      await outage(() => until(() => !broker.connected));
      await until(() => items.length === 3);
      expect(items.map(({ connected }) => connected)).toEqual([true, false, true]);
      await broker.close();
      await ended;
    });

    check('ends everything it opened when it is closed', async ({ connect }) => {
      const broker = await connect();
      const subscription = collect(broker.bus.subscribe(fresh()));
      const reader = (await broker.log('WEIR_EVENTS')).read('weir.closing.event.>', 'new');
      const followed = collect(reader);
      await broker.close();
      await broker.close();
      await Promise.all([subscription.ended, followed.ended, reader.caughtUp]);
      expect(broker.connected).toBe(false);
      expect(() => broker.bus.publish(fresh(), bytes('x'))).not.toThrow();
      await collect(broker.bus.subscribe(fresh())).ended;
      await expect(broker.bus.request(fresh(), bytes(''), 500)).rejects.toMatchObject({
        code: 'ERR_BUS_UNREACHABLE',
      });
    });
  });
};
