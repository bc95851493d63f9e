import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ApplyAnswer, RolloutAnswer } from '#engine/model/api.ts';
import { makePosition } from '#engine/model/position.ts';
import { buckets, streams, subjects } from '#engine/model/subjects.ts';
import { all, bibby, gateway, rollout, route } from './documents.ts';
import type { FakeAgent } from './fake-agent.ts';
import { settle } from './test-time.ts';
import { catalog, type Replica, verifier, World } from './world.ts';

let world: World;
beforeEach(() => {
  world = new World();
});
afterEach(() => world.stop());

describe('the ring', () => {
  it('turns an applied document into a signed snapshot that an agent enforces', async () => {
    await world.start();
    const edge = await world.agent('edge-1', 'edge.public');
    const { revision } = await world.apply(bibby);
    expect(revision).toBe(1);
    await world.until('the edge has it', () => edge.snapshot !== undefined);
    expect(edge.snapshot?.hosts[0]?.host).toBe('api.bibby.com');
  });

  it('signs what it publishes', async () => {
    await world.start();
    await world.apply(bibby);
    const log = await world.hub.connect().log(streams.control);
    const subject = subjects().snapshot('edge.public');
    await world.until('it is published', async () => (await log.last(subject)) !== undefined);
    const entry = await log.last(subject);
    const payload = new TextDecoder().decode(await verifier.open(entry?.data ?? new Uint8Array()));
    expect(JSON.parse(payload)).toMatchObject({
      type: 'snapshot',
      revision: 1,
      scope: 'edge.public',
    });
  });

  it('puts the endpoints of an announced workload into the snapshot, and takes them out again', async () => {
    await world.start();
    await world.apply(bibby);
    const edge = await world.agent('edge-1', 'edge.public');
    const sidecar = await world.agent('catalog-1', 'sidecar.bibby.catalog', {
      workload: catalog('v1.0'),
    });
    await world.time.advance(60);
    await world.seconds(1);
    const endpoints = () =>
      edge.snapshot?.upstreams['bibby/catalog-service@v1.0']?.endpoints.map(
        ({ address }) => address,
      );
    expect(endpoints()).toEqual(['10.0.0.0']);
    world.agents.splice(world.agents.indexOf(sidecar), 1);
    await world.seconds(7);
    expect(endpoints()).toEqual([]);
  });

  it('serves every other scope when one cannot be told', async () => {
    const { broker } = await world.start();
    const edge = await world.agent('edge-2', 'edge.second');
    const append = broker.refuseAppends((subject) => subject.includes('edge.public'));
    await world.apply(all(gateway, gateway.replace('name: public', 'name: second')));
    await world.until('the second has it', () => edge.snapshot !== undefined);
    append.allow();
    await world.seconds(2);
    const late = await world.agent('edge-1', 'edge.public');
    await world.until('the first has it too', () => late.snapshot !== undefined);
  });

  it('says nothing to a scope that a commit does not change', async () => {
    await world.start();
    await world.apply(bibby);
    const edge = await world.agent('edge-1', 'edge.public');
    await world.seconds(1);
    const before = edge.positions.length;
    await world.apply(`apiVersion: weir.dev/v1
kind: Gateway
metadata: { name: private, namespace: bibby }
spec: { listeners: [{ name: http, port: 9090, protocol: HTTP }] }
`);
    await world.time.advance(1000);
    expect(edge.positions).toHaveLength(before);
  });

  it('closes a gateway that was deleted', async () => {
    await world.start();
    await world.apply(bibby);
    const edge = await world.agent('edge-1', 'edge.public');
    await world.until('the edge has it', () => edge.snapshot?.listeners.length === 1);
    await world.call(['POST', '/v1/policy/delete'], { ids: ['Gateway/bibby/public'] });
    await world.until('the edge has closed', () => edge.snapshot?.listeners.length === 0);
  });

  it('starts again without a word that agents have not heard before', async () => {
    const first = await world.start();
    await world.apply(bibby);
    const edge = await world.agent('edge-1', 'edge.public');
    await world.agent('catalog-1', 'sidecar.bibby.catalog', { workload: catalog('v1.0') });
    await world.seconds(2);
    const before = JSON.stringify(edge.snapshot);
    first.kill();
    await world.start();
    await world.seconds(3);
    expect(JSON.stringify(edge.snapshot)).toBe(before);
    expect(edge.outcomes).not.toContain('rejected');
    expect(edge.positions).toEqual(edge.positions.toSorted((a, b) => a - b));
  });

  it('keeps endpoints over its own restart while their agents are silent for a moment', async () => {
    const first = await world.start();
    await world.apply(bibby);
    const edge = await world.agent('edge-1', 'edge.public');
    await world.agent('catalog-1', 'sidecar.bibby.catalog', { workload: catalog('v1.0') });
    await world.seconds(2);
    first.kill();
    await world.start();
    await world.time.advance(3000);
    expect(edge.snapshot?.upstreams['bibby/catalog-service@v1.0']?.endpoints).toHaveLength(1);
  });

  it('has an endpoint on record before anybody hears of it', async () => {
    await world.start();
    await world.apply(bibby);
    const broker = world.hub.connect();
    const store = await broker.store(buckets.machines);
    const reader = (await broker.log(streams.control)).read(subjects().everyControl, 'new');
    const onRecord = (async () => {
      for await (const { data } of reader) {
        const [, payload = ''] = new TextDecoder().decode(data).split('.');
        if (!Buffer.from(payload, 'base64url').includes('10.0.0.0')) continue;
        return (await store.entries()).some(({ key }) => key.startsWith('fleet.workloads.'));
      }
      return undefined;
    })();
    await world.agent('catalog-1', 'sidecar.bibby.catalog', { workload: catalog('v1.0') });
    await world.seconds(1);
    reader.close();
    expect(await onRecord).toBe(true);
  });

  it('keeps endpoints while the bus is away from control', async () => {
    const { broker } = await world.start();
    await world.apply(bibby);
    const edge = await world.agent('edge-1', 'edge.public');
    await world.agent('catalog-1', 'sidecar.bibby.catalog', { workload: catalog('v1.0') });
    await world.seconds(2);
    broker.cut();
    await world.seconds(30);
    broker.heal();
    await world.seconds(6);
    expect(edge.snapshot?.upstreams['bibby/catalog-service@v1.0']?.endpoints).toHaveLength(1);
    await world.apply(route('/books'));
    await world.until('it publishes again', () => edge.state.active?.revision === 2);
  });

  it('goes on above the positions that agents have seen when the bus has lost its memory', async () => {
    await world.start();
    await world.apply(bibby);
    const edge = await world.agent('edge-1', 'edge.public');
    await world.seconds(1);
    const seen = edge.state.position;
    await world.stop();
    const later = new World();
    Object.assign(world, { hub: later.hub, replicas: [] });
    await world.start();
    edge.beat();
    const survivor = later.hub.connect('edge-1').bus;
    survivor.publish(
      subjects().alive('edge-1'),
      new TextEncoder().encode(
        JSON.stringify({
          v: 1,
          type: 'alive',
          agent: 'edge-1',
          scope: 'edge.public',
          incarnation: 'x',
          atMs: 0,
          revision: 9,
          position: seen * 5,
          state: 'live',
          capabilities: [],
          version: '0.1.0',
        }),
      ),
    );
    await world.time.advance(2000);
    await world.apply(bibby);
    const log = await later.hub.connect().log(streams.control);
    const entry = await log.last(subjects().snapshot('edge.public'));
    const payload = new TextDecoder().decode(await verifier.open(entry?.data ?? new Uint8Array()));
    expect((JSON.parse(payload) as { position: number }).position).toBeGreaterThan(seen * 5);
  });
});

describe('an agent that lies about its position', () => {
  it('makes the leader begin a new term now and then, not all the time', async () => {
    await world.start();
    await world.apply(bibby);
    const { bus } = world.hub.connect('edge-1');
    let epoch = 2;
    await world.seconds(60, () => {
      epoch += 5;
      const beat = {
        v: 1,
        type: 'alive',
        agent: 'edge-1',
        scope: 'edge.public',
        incarnation: 'x',
        atMs: 0,
        revision: 1,
        position: epoch * 2 ** 32,
        state: 'live',
        capabilities: [],
        version: '0.1.0',
      };
      bus.publish(subjects().alive('edge-1'), new TextEncoder().encode(JSON.stringify(beat)));
    });
    const elected = (await world.events()).filter(({ type }) => type === 'weir.control.elected');
    expect(elected.length).toBeGreaterThan(1);
    expect(elected.length).toBeLessThan(5);
    expect((await world.apply(route('/books'))).revision).toBe(2);
  });
});

describe('two replicas', () => {
  it('publish by the leader whoever took the commit', async () => {
    await world.start('one');
    const follower = await world.start('two');
    const edge = await world.agent('edge-1', 'edge.public');
    expect(follower.control.isLeading).toBe(false);
    await world.apply(bibby);
    await world.until('the edge has it', () => edge.state.active?.revision === 1);
  });

  it('both wait for what the leader publishes', async () => {
    await world.start('one');
    await world.start('two');
    await world.agent('edge-1', 'edge.public');
    const answer = world.call<ApplyAnswer>(['POST', '/v1/policy'], {
      documents: [{ file: 'policy.yaml', text: bibby }],
      wait: { percent: 100, timeoutMs: 5000 },
    });
    await settle(100);
    await world.seconds(2);
    expect((await answer).body.wait).toMatchObject({ reached: true, applied: 1, agents: 1 });
  });

  it('both say how a rollout stands', async () => {
    const one = await world.start('one');
    const two = await world.start('two');
    await world.apply(all(bibby, rollout()));
    await world.agent('catalog-2', 'sidecar.bibby.catalog', { workload: catalog('v1.1') });
    await world.seconds(3);
    const statusOf = async (replica: Replica) =>
      (await world.call<RolloutAnswer>(['GET', '/v1/rollouts'], undefined, { replica })).body;
    expect((await statusOf(one)).rollouts).toMatchObject([
      { state: 'initializing', canary: 'v1.1' },
    ]);
    expect(await statusOf(two)).toEqual(await statusOf(one));
  });

  it('follow each other within five seconds of a kill', async () => {
    const leader = await world.start('one');
    const follower = await world.start('two');
    const edge = await world.agent('edge-1', 'edge.public');
    await world.apply(bibby);
    leader.kill();
    await world.seconds(5);
    expect(follower.control.isLeading).toBe(true);
    await world.apply(route('/books'));
    await world.until('the edge has it', () => edge.state.active?.revision === 2);
  });

  it('put right what a deposed leader wrote over', async () => {
    const leader = await world.start('one');
    await world.start('two');
    const edge = await world.agent('edge-1', 'edge.public');
    await world.apply(bibby);
    const log = await world.hub.connect().log(streams.control);
    const subject = subjects().snapshot('edge.public');
    const old = await log.last(subject);
    leader.kill();
    await world.seconds(5);
    await world.apply(route('/books'));
    await world.until('the edge has it', () => edge.state.active?.revision === 2);
    const written = await log.last(subject);
    await log.append({ subject, data: old?.data ?? new Uint8Array() });
    await world.until('it is put right', async () =>
      Buffer.from((await log.last(subject))?.data ?? []).equals(Buffer.from(written?.data ?? [])),
    );
    expect(edge.state.active?.revision).toBe(2);
    await world.seconds(1);
    const told = (await world.events()).filter(({ type }) => type === 'weir.agent.stale');
    expect(told.map(({ data }) => [data['position'], data['reason']])).toEqual([
      [makePosition(1, 1), 'position 1.1 is not above 2.2'],
    ]);
    const late = await world.agent('edge-2', 'edge.public');
    await world.until('a late comer has it too', () => late.state.active?.revision === 2);
  });

  it('put right what a stranger wrote', async () => {
    await world.start();
    const edge = await world.agent('edge-1', 'edge.public');
    await world.apply(bibby);
    await world.until('the edge has it', () => edge.state.active?.revision === 1);
    const log = await world.hub.connect().log(streams.control);
    const subject = subjects().snapshot('edge.public');
    const written = await log.last(subject);
    await log.append({ subject, data: new TextEncoder().encode('not signed') });
    await world.until('it is put right', async () =>
      Buffer.from((await log.last(subject))?.data ?? []).equals(Buffer.from(written?.data ?? [])),
    );
    expect(edge.state.active?.revision).toBe(1);
  });
});

describe('a bus that has lost its memory', () => {
  const forget = async (name: string): Promise<void> => {
    const store = await world.hub.connect().store(name);
    for (const { key } of await store.entries()) await store.delete(key);
  };
  const decided = (): Promise<void> =>
    world.until('half', () => edge.weight('bibby/catalog-service', 'v1.1') === 5000);
  let edge: FakeAgent;

  beforeEach(async () => {
    await world.start();
    await world.apply(bibby);
    await world.apply(route('/books'));
    edge = await world.agent('edge-1', 'edge.public');
    await world.seconds(1);
  });

  it('of policy is given it back by the control that still runs', async () => {
    world.hub.recreateStream(streams.policy);
    await world.seconds(2);
    expect((await world.apply(route('/third'))).revision).toBe(3);
    await world.seconds(1);
    world.replicas.at(-1)?.kill();
    await world.start();
    await world.seconds(1);
    expect(edge.snapshot?.rules[0]?.match.path.value).toBe('/third');
    expect(edge.snapshot?.listeners).toHaveLength(1);
  });

  it('of policy does not empty the gateways of a control that starts anew', async () => {
    world.replicas.at(-1)?.kill();
    world.hub.recreateStream(streams.policy);
    await world.start('control-1', { isReady: false });
    await world.seconds(3);
    expect(edge.snapshot?.listeners).toHaveLength(1);
    const ready = await world.replicas.at(-1)?.control.http.inject({ url: '/ready' });
    expect(ready?.json<{ reasons: string[] }>().reasons.join()).toMatch(/apply the policy set/);
    expect((await world.apply(all(bibby))).revision).toBe(3);
    await world.until('it goes on', () => edge.state.active?.revision === 3);
  });

  it('of control messages is told everything again', async () => {
    world.hub.recreateStream(streams.control);
    await world.seconds(3);
    const late = await world.agent('edge-2', 'edge.public');
    await world.until('a late comer has it', () => late.state.active?.revision === 2);
  });

  it('of decisions reads them from what was published', async () => {
    const store = await world.hub.connect().store(buckets.standing);
    const decision = {
      id: 'split:bibby/catalog-service',
      serial: 7,
      body: {
        type: 'split',
        target: 'bibby/catalog-service',
        weights: { 'v1.0': 5000, 'v1.1': 5000 },
      },
      by: 'operator:alice',
      reason: 'half and half',
    };
    const page = JSON.stringify({ v: 1, type: 'standing', epoch: 1, decision });
    await store.create('split=3abibby=2fcatalog-service.7', new TextEncoder().encode(page));
    world.replicas.at(-1)?.kill();
    await world.start();
    await decided();
    world.replicas.at(-1)?.kill();
    await forget(buckets.standing);
    await world.start();
    await world.seconds(2);
    await decided();
    const pages = (await store.entries()).filter(({ key }) => !key.startsWith('epoch.'));
    expect(pages).toHaveLength(1);
  });
});
