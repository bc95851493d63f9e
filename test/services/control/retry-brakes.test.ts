import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { viewOf } from '#engine/agent/agent.ts';
import { decisionId } from '#engine/model/decision.ts';
import { buckets } from '#engine/model/subjects.ts';
import type { Series } from '#engine/model/telemetry.ts';
import { all, gateway } from './documents.ts';
import type { FakeAgent } from './fake-agent.ts';
import { World } from './world.ts';

const policy = all(
  gateway,
  `apiVersion: weir.dev/v1
kind: Service
metadata: { name: catalog-service, namespace: bibby }
spec: { endpoints: [{ address: 10.0.0.1 }] }
`,
  `apiVersion: weir.dev/v1
kind: Route
metadata: { name: catalog, namespace: bibby }
spec:
  parentRefs: [{ name: public }]
  rules: [{ backends: [{ service: catalog-service }], retry: { attempts: 2 } }]
`,
);
const target = 'edge.public/bibby/catalog-service';

let world: World;
let edges: readonly FakeAgent[];

beforeEach(async () => {
  world = new World();
  await world.start();
  await world.apply(policy);
  edges = await Promise.all(['edge-1', 'edge-2'].map((name) => world.agent(name, 'edge.public')));
  await world.seconds(2);
});
afterEach(() => world.stop());

const series = (requests: number, retries: number): Series => ({
  rule: 'bibby/catalog/0',
  service: 'bibby/catalog-service',
  version: '',
  source: 'unknown',
  requests,
  errors: 0,
  statuses: { 200: requests },
  flags: {},
  latency: { zero: 0, buckets: [0, requests], sum: requests },
  requestBytes: 0,
  responseBytes: 0,
  retries,
});
/** Percent that an agent is held to. */
const limit = (agent: FakeAgent | undefined): number | undefined => {
  const view = agent && viewOf(agent.state);
  const id = decisionId({ type: 'retry-budget', target });
  const body = view?.overlay.get(id) ?? view?.snapshot.standing.find((one) => one.id === id)?.body;
  return body?.type === 'retry-budget' ? body.percent : undefined;
};
/** Of every agent; each for itself is below any reason to act. */
const traffic = (requests: number, retries: number) => () => {
  for (const edge of edges) edge.sample([series(requests, retries)]);
};

describe('the retry brake', () => {
  it('limits what all agents together retry too often, and lets go when they no longer do', async () => {
    await world.seconds(2, traffic(20, 11));
    expect(edges.map(limit)).toEqual([10, 10]);
    await world.seconds(6, traffic(20, 2));
    expect(edges.map(limit)).toEqual([5, 5]);
    await world.seconds(30, traffic(20, 0));
    expect(edges.map(limit)).toEqual([undefined, undefined]);
    const told = (await world.events()).filter(({ type }) => type.startsWith('weir.retries.'));
    expect(told.slice(0, 2).map(({ data }) => data['percent'])).toEqual([10, 5]);
    expect(told.at(-1)?.type).toBe('weir.retries.released');
    expect(told[0]).toMatchObject({
      subject: target,
      data: { reason: '22 retries of 40 requests' },
    });
  });

  it('survives a leader that is killed', async () => {
    await world.seconds(2, traffic(20, 11));
    world.replicas[0]?.kill();
    await world.start('control-2', { isReady: false });
    await world.seconds(6, traffic(20, 2));
    expect(limit(edges[0])).toBeGreaterThanOrEqual(5);
    await world.seconds(30, traffic(20, 0));
    expect(edges.map(limit)).toEqual([undefined, undefined]);
  });

  it('holds on to what was decided when its record cannot be read, and says so', async () => {
    await world.seconds(2, traffic(20, 11));
    world.replicas[0]?.kill();
    const store = await world.hub.connect().store(buckets.machines);
    for (const { key } of await store.entries())
      if (key.startsWith('retries.')) await store.put(key, new TextEncoder().encode('{"v":1'));
    await world.start('control-2', { isReady: false });
    await world.seconds(6, traffic(20, 2));
    expect(edges.map(limit)).toEqual([10, 10]);
    const told = (await world.events()).filter(({ type }) => type === 'weir.state.unreadable');
    expect(told.map(({ subject }) => subject)).toEqual([target]);
    await world.seconds(30, traffic(20, 0));
    expect(edges.map(limit)).toEqual([undefined, undefined]);
  });

  it('ends with the route that allowed retries', async () => {
    await world.seconds(2, traffic(20, 11));
    await world.apply(policy.replace(', retry: { attempts: 2 }', ''));
    await world.seconds(3);
    expect(edges.map(limit)).toEqual([undefined, undefined]);
  });
});
