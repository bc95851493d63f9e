// What an agent's credentials are good for, and everything that they are not, tried as a thief would.
import { headers, type NatsConnection } from '@nats-io/nats-core';
import { connect } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { NatsBroker } from '#adapters/bus-nats/broker.ts';
import { edgeScope, sidecarScope } from '#engine/model/scope.ts';
import { buckets, streams, subjects } from '#engine/model/subjects.ts';
import { AGENTS_API } from '#services/setup/nats-config.ts';
import { bytes, collect, settled, take, text, until } from '#test/conformance/broker-world.ts';
import { startTestInstallation, type TestInstallation } from '#test/support/installation.ts';

const of = subjects();
const own = edgeScope('public');
const other = sidecarScope('bibby', 'catalog-service');
const CREATE = `CONSUMER.CREATE.${streams.control}`;

let installation: TestInstallation;
let control: NatsBroker;
let thief: NatsConnection;
let key: string;
let otherKey: string;

beforeAll(async () => {
  installation = await startTestInstallation([
    { name: 'edge-1', scope: own },
    { name: 'edge-2', scope: own },
    { name: 'catalog-1', scope: other },
  ]);
  control = await installation.broker('control');
  for (const name of Object.values(streams)) await control.log(name);
  for (const bucket of Object.values(buckets)) await control.store(bucket);
  const log = await control.log(streams.control);
  for (const scope of [own, other])
    await log.append({ subject: of.snapshot(scope), data: bytes(`snapshot of ${scope}`) });
  thief = await installation.raw('edge-1');
  key = await installation.publicKey('edge-1');
  otherKey = await installation.publicKey('catalog-1');
});
afterAll(() => installation.close());

/** The server's refusal, or undefined. */
const refusalOf = async (act: () => void): Promise<string | undefined> => {
  let refusal: string | undefined;
  const status = thief.status();
  const listening = (async () => {
    for await (const event of status)
      if (event.type === 'error') {
        refusal = event.error.message;
        break;
      } else if (event.type === 'ping') break;
  })();
  act();
  await thief.flush();
  await Promise.race([listening, new Promise((later) => setTimeout(later, 30))]);
  (status as unknown as { stop?(): void }).stop?.();
  return refusal;
};

/** How much is stored where. */
const stored = async (): Promise<Record<string, number>> => {
  const counts: Record<string, number> = {};
  for (const name of Object.values(streams))
    counts[name] = await (await control.log(name)).lastSequence();
  for (const bucket of Object.values(buckets))
    counts[bucket] = (await (await control.store(bucket)).entries()).length;
  return counts;
};

describe("an edge's credentials", () => {
  it('publish its own acks, samples and heartbeats, and control hears them', async () => {
    const heard = [of.everyAck, of.everySample, of.everyAlive].map((subject) =>
      control.bus.subscribe(subject),
    );
    await settled(control);
    const edge = await installation.broker('edge-1');
    const said = [of.ack(own, 'edge-1'), of.sample(own, 'edge-1'), of.alive('edge-1')];
    for (const subject of said) edge.bus.publish(subject, bytes(subject));
    for (const [index, subscription] of heard.entries()) {
      const [message] = await take(subscription, 1);
      expect(message?.subject).toBe(said[index]);
    }
  });

  it('read their own scope and hear the leader', async () => {
    const edge = await installation.broker('edge-1');
    const reader = (await edge.log(streams.control)).read(of.control(own), 'last');
    const { items } = collect(reader);
    await reader.caughtUp;
    expect(items.map(({ data }) => text(data))).toEqual([`snapshot of ${own}`]);
    const log = await control.log(streams.control);
    await log.append({ subject: of.decision(own, 'split', 'bibby/x'), data: bytes('decision') });
    await until(() => items.length === 2);
    const leader = edge.bus.subscribe(of.heartbeat);
    await settled(edge);
    control.bus.publish(of.heartbeat, bytes('alive'));
    expect((await take(leader, 1)).map(({ data }) => text(data))).toEqual(['alive']);
  });

  it.each([
    ['a policy', of.policyCommit],
    ['a checkpoint', of.policyCheckpoint],
    ['a snapshot for its scope', of.snapshot(own)],
    ['a snapshot for another scope', of.snapshot(other)],
    ['a decision', of.decision(own, 'split', 'bibby/catalog-service')],
    ["another agent's ack", of.ack(own, 'edge-2')],
    ["another scope's ack", of.ack(other, 'edge-1')],
    ["another agent's sample", of.sample(own, 'edge-2')],
    ["another agent's heartbeat", of.alive('catalog-1')],
    ["the leader's heartbeat", of.heartbeat],
    ['an event', of.event('policy.committed')],
    ['a request to apply a policy', of.api('policy', 'apply')],
    ['a request to read policies', of.api('policy', 'get')],
    ['a key of a bucket', `$KV.${buckets.leader}.epoch`],
    ["another agent's reply", '_INBOX.somebody.x'],
    ['a call that lists streams', '$JS.API.STREAM.NAMES'],
    ['a call that makes a stream', '$JS.API.STREAM.CREATE.MINE'],
    ['a call that deletes the policy log', `$JS.API.STREAM.DELETE.${streams.policy}`],
    ['a call that empties the control stream', `$JS.API.STREAM.PURGE.${streams.control}`],
    ['a call that reads by sequence', `$JS.API.STREAM.MSG.GET.${streams.control}`],
    ['a call that reads directly', `$JS.API.DIRECT.GET.${streams.control}.${of.snapshot(other)}`],
    ["JetStream's own way to make a reader", `$JS.API.${CREATE}.x.${of.control(own)}`],
    ["a reader of another's scope", `${AGENTS_API}.${CREATE}.x.${of.control(other)}`],
    ['a reader of every scope', `${AGENTS_API}.${CREATE}.x.${of.everyControl}`],
    ['a reader without a filter', `${AGENTS_API}.${CREATE}.x`],
    [
      'a reader of the policy log',
      `${AGENTS_API}.CONSUMER.CREATE.${streams.policy}.x.${of.everyPolicy}`,
    ],
    ['a reader of the durable kind', `$JS.API.CONSUMER.DURABLE.CREATE.${streams.control}.x`],
    ["a call that ends another's reader", `$JS.API.CONSUMER.DELETE.${streams.control}.x`],
    ['a request to the system', '$SYS.REQ.SERVER.PING'],
  ])('do not publish %s', async (_, subject) => {
    const before = await stored();
    const refusal = await refusalOf(() => thief.publish(subject, bytes('{}')));
    expect(refusal).toMatch(/Permissions Violation for Publish/);
    expect(await stored()).toEqual(before);
  });

  it.each([
    ['everything', '>'],
    ['the whole mesh', 'weir.>'],
    ["another scope's control messages", of.control(other)],
    ['policies', of.everyPolicy],
    ['acks', of.everyAck],
    ['samples', of.everySample],
    ['heartbeats of agents', of.everyAlive],
    ['events', of.everyEvent],
    ['requests', of.everyApi],
    ["everybody's replies", '_INBOX.>'],
    ["everybody's deliveries", '_WEIR.>'],
    ['buckets', '$KV.>'],
    ['the system', '$SYS.>'],
    ["JetStream's calls", '$JS.>'],
  ])('do not listen to %s', async (_, subject) => {
    const refusal = await refusalOf(() => {
      thief.subscribe(subject, { callback: () => {} });
    });
    expect(refusal).toMatch(/Permissions Violation for Subscription/);
  });

  const createReader = async (name: string, config: object) => {
    const answer = await thief.request(
      `${AGENTS_API}.${CREATE}.${name}.${of.control(own)}`,
      JSON.stringify({
        stream_name: streams.control,
        config: {
          name,
          filter_subject: of.control(own),
          ack_policy: 'none',
          deliver_policy: 'all',
          mem_storage: true,
          ...config,
        },
      }),
      { timeout: 2000 },
    );
    return answer.json<{ error?: { description: string } }>();
  };

  it('do not read another scope by asking for it in the body', async () => {
    const inbox = `_WEIR.${key}.body`;
    const heard: string[] = [];
    thief.subscribe(inbox, { callback: (_, message) => void heard.push(message.subject) });
    const answer = await createReader('body', {
      filter_subject: of.control(other),
      deliver_subject: inbox,
    });
    expect(answer.error?.description).toMatch(/did not match/);
    expect(heard).toEqual([]);
  });

  it('do not have an answer stored as a policy', async () => {
    const before = await stored();
    for (const target of [of.policyCommit, `$KV.${buckets.leader}.epoch`, of.snapshot(other)])
      thief.publish(`${AGENTS_API}.${CREATE}.x.${of.control(own)}`, bytes('{}'), { reply: target });
    await thief.flush();
    await settled(control);
    expect(await stored()).toEqual(before);
  });

  it.each([
    of.policyCommit,
    of.snapshot(other),
    `$KV.${buckets.leader}.epoch`,
    `$JS.API.STREAM.DELETE.${streams.policy}`,
    `$JS.API.STREAM.PURGE.${streams.control}`,
  ])('do not have their control messages delivered to %s', async (target) => {
    const before = await stored();
    const name = `deliver_${target.length}`;
    for (const headers_only of [false, true])
      await createReader(`${name}_${headers_only}`, { deliver_subject: target, headers_only });
    await new Promise((later) => setTimeout(later, 100));
    expect(await stored()).toEqual(before);
  });

  it('do not deliver to another agent what it did not ask for', async () => {
    const edge = await installation.broker('catalog-1');
    const reader = (await edge.log(streams.control)).read(of.control(other), 'last');
    const { items } = collect(reader);
    await reader.caughtUp;
    await createReader('spam', { deliver_subject: `_WEIR.${otherKey}.reader_guess` });
    await new Promise((later) => setTimeout(later, 100));
    expect(items.map(({ data }) => text(data))).toEqual([`snapshot of ${other}`]);
  });
});

describe('people', () => {
  const ask = async (user: string, operation: [string, string]) => {
    const broker = await installation.broker(user);
    return text(await broker.bus.request(of.api(...operation), bytes('{}'), 2000));
  };

  beforeAll(async () => {
    control.bus.serve(of.everyApi, 'control', async ({ user }) => bytes(`hello ${user}`));
    await settled(control);
  });

  it.each(['viewer', 'operator', 'admin'])('are known by name: %s', async (user) => {
    expect(await ask(user, ['policy', 'get'])).toBe(`hello ${user}`);
  });

  it('are not let through to what their role may not ask for', async () => {
    expect(await ask('operator', ['policy', 'apply'])).toBe('hello operator');
    await expect(ask('viewer', ['policy', 'apply'])).rejects.toMatchObject({
      code: 'ERR_BUS_DENIED',
    });
  });

  it('cannot say that they are somebody else', async () => {
    const forged = headers();
    forged.set('Nats-Request-Info', JSON.stringify({ acc: 'PEOPLE', user: key }));
    const viewer = await installation.raw('viewer');
    const answer = await viewer.request(of.api('policy', 'get'), '{}', {
      timeout: 2000,
      headers: forged,
    });
    expect(answer.string()).toBe('hello viewer');
  });

  it('hear events', async () => {
    const viewer = await installation.broker('viewer');
    const heard = viewer.bus.subscribe(of.everyEvent);
    await settled(viewer);
    const log = await control.log(streams.events);
    await log.append({ subject: of.event('rollout.stepped'), data: bytes('{}') });
    expect((await take(heard, 1)).map(({ subject }) => subject)).toEqual([
      of.event('rollout.stepped'),
    ]);
  });

  it('answer for a metric from operator on, and nobody else does', async () => {
    const measuring = async (user: string) => {
      const broker = await installation.broker(user);
      const served = broker.bus.serve(of.metric(`of-${user}`), 'shop', async () => bytes('3'));
      await settled(broker);
      return served;
    };
    for (const user of ['operator', 'viewer', 'edge-1']) await measuring(user);
    const value = await control.bus.request(of.metric('of-operator'), bytes('{}'), 2000);
    expect(text(value)).toBe('3');
    for (const user of ['viewer', 'edge-1'])
      await expect(
        control.bus.request(of.metric(`of-${user}`), bytes('{}'), 300),
      ).rejects.toMatchObject({ code: expect.stringMatching(/^ERR_BUS_(NO_RESPONDER|TIMEOUT)$/) });
  });

  it('do not write policies past the control service', async () => {
    const before = await stored();
    const admin = await installation.broker('admin');
    const log = await admin.log(streams.policy);
    const entry = { subject: of.policyCommit, data: bytes('{}') };
    await expect(log.append(entry)).rejects.toMatchObject({ code: 'ERR_BUS_DENIED' });
    expect(await stored()).toEqual(before);
  });
});

it('a connection without credentials is refused', async () => {
  await expect(connect({ servers: installation.server.url })).rejects.toThrow(/Authorization/);
});
