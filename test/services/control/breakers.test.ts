import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { viewOf } from '#engine/agent/agent.ts';
import type { BreakerAnswer } from '#engine/model/api.ts';
import type { DecisionBody } from '#engine/model/decision.ts';
import { decisionId } from '#engine/model/decision.ts';
import type { EndpointSeries } from '#engine/model/telemetry.ts';
import { all, gateway, route } from './documents.ts';
import type { FakeAgent } from './fake-agent.ts';
import { World } from './world.ts';

const service = (more = '', endpoints = ['10.0.0.1', '10.0.0.2', '10.0.0.3']): string =>
  `apiVersion: weir.dev/v1
kind: Service
metadata: { name: catalog-service, namespace: bibby }
spec:
  port: 80
  endpoints: [${endpoints.map((address) => `{ address: ${address} }`).join(', ')}]
  outlierDetection: { baseEjectionTime: 10s${more} }
`;
const endpoint = (at: number): string => `bibby/catalog-service/10.0.0.${at}:80`;

let world: World;
let edges: readonly FakeAgent[];

beforeEach(async () => {
  world = new World();
  await world.start();
  await world.apply(all(gateway, service(), route()));
  edges = await Promise.all(
    ['edge-1', 'edge-2', 'edge-3'].map((name) => world.agent(name, 'edge.public')),
  );
  await world.seconds(2);
});
afterEach(() => world.stop());

const told = (at: number, requests: number, failures: number): EndpointSeries => ({
  endpoint: endpoint(at),
  requests,
  failures,
});
/** What an agent is to do about an endpoint. */
const word = (agent: FakeAgent | undefined, at: number): string => {
  const id = decisionId({ type: 'breaker', target: endpoint(at) });
  const view = agent && viewOf(agent.state);
  const body: DecisionBody | undefined =
    view?.overlay.get(id) ?? view?.snapshot.standing.find((one) => one.id === id)?.body;
  if (body?.type !== 'breaker') return 'closed';
  return body.prober === undefined ? body.state : `${body.state} ${body.prober}`;
};
const words = (at: number) => edges.map((edge) => word(edge, at));
const breakerEvents = async () =>
  (await world.events()).filter(({ type }) => type.startsWith('weir.breaker.'));

/** The first endpoint fails for the first agent, and once for another; the others are well for all. */
const turnBad = (): Promise<void> =>
  world.seconds(1, () => {
    edges[0]?.sample([], [told(1, 10, 10), told(2, 10, 0), told(3, 10, 0)]);
    edges[1]?.sample([], [told(1, 1, 1)]);
  });

describe('the breakers of the fleet', () => {
  it('do not open on the word of one agent among others that measure nothing', async () => {
    await world.seconds(4, () => edges[0]?.sample([], [told(1, 500, 500), told(2, 500, 0)]));
    expect(words(1)).toEqual(['closed', 'closed', 'closed']);
    expect(await breakerEvents()).toEqual([]);
  });

  it('open for all what two agents found, and say why', async () => {
    await turnBad();
    expect(words(1)).toEqual(['open', 'open', 'open']);
    expect(words(2)).toEqual(['closed', 'closed', 'closed']);
    expect(await breakerEvents()).toMatchObject([
      {
        type: 'weir.breaker.opened',
        subject: endpoint(1),
        data: { requests: 11, failures: 11, agents: 2, accusers: 2, openMs: 10_000, openings: 1 },
      },
    ]);
  });

  it('let one agent probe after a while, and close when it was well', async () => {
    await turnBad();
    await world.seconds(12);
    const [said, ...others] = words(1);
    expect(said).toMatch(/^halfOpen edge-/);
    expect(others).toEqual([said, said]);
    const prober = edges.find((_, at) => said?.endsWith(`edge-${at + 1}`));
    await world.seconds(1, () => prober?.sample([], [told(1, 5, 0)]));
    expect(words(1)).toEqual(['closed', 'closed', 'closed']);
    await world.seconds(2);
    expect(edges[0]?.snapshot?.standing).toEqual([]);
    expect((await breakerEvents()).map(({ type }) => type)).toEqual([
      'weir.breaker.opened',
      'weir.breaker.halfOpened',
      'weir.breaker.closed',
    ]);
  });

  it('elect another prober when the first is gone', async () => {
    await turnBad();
    await world.seconds(12);
    const first = word(edges[0], 1).split(' ')[1];
    const gone = edges.findIndex((_, at) => first === `edge-${at + 1}`);
    world.agents.splice(gone, 1);
    await world.seconds(8);
    const live = edges.filter((_, at) => at !== gone);
    expect(word(live[0], 1)).toMatch(/^halfOpen edge-/);
    expect(word(live[0], 1)).not.toBe(`halfOpen ${first}`);
  });

  it('survive a leader that is killed', async () => {
    await turnBad();
    world.replicas[0]?.kill();
    await world.start('control-2', { isReady: false });
    await world.seconds(6);
    expect(words(1)).toEqual(['open', 'open', 'open']);
    await world.seconds(8);
    expect(word(edges[0], 1)).toMatch(/^halfOpen edge-/);
    const opened = (await breakerEvents()).filter(({ type }) => type === 'weir.breaker.opened');
    expect(opened).toHaveLength(1);
  });

  it('are told to whoever asks, and obey an operator', async () => {
    const ask = () =>
      world.call<BreakerAnswer>(['GET', '/v1/breakers'], undefined, { role: 'viewer' });
    expect((await ask()).body).toEqual({ breakers: [] });
    const open = (at: number, role?: 'viewer') =>
      world.call<BreakerAnswer>(
        ['POST', '/v1/breakers/open'],
        { endpoint: endpoint(at), reason: 'bad disk' },
        role === undefined ? {} : { role },
      );
    expect((await open(2, 'viewer')).status).toBe(403);
    expect((await open(7)).body.error.message).toMatch(/no endpoint/);
    expect((await open(2)).status).toBe(200);
    expect((await open(3)).status).toBe(200);
    expect((await open(1)).body.error.message).toMatch(/the last endpoint/);
    expect((await ask()).body.breakers).toMatchObject([
      { endpoint: endpoint(2), state: 'open', reason: 'opened by operator: bad disk' },
      { endpoint: endpoint(3), state: 'open' },
    ]);
    await world.seconds(1);
    expect(words(2)).toEqual(['open', 'open', 'open']);
    await world.call(['POST', '/v1/breakers/close'], { endpoint: endpoint(2) });
    await world.seconds(1);
    expect(words(2)).toEqual(['closed', 'closed', 'closed']);
  });

  it('are withdrawn when the endpoint goes', async () => {
    await turnBad();
    await world.apply(service('', ['10.0.0.2', '10.0.0.3']));
    await world.seconds(3);
    expect(edges[0]?.snapshot?.standing).toEqual([]);
    await world.apply(service());
    await world.seconds(2);
    expect(words(1)).toEqual(['closed', 'closed', 'closed']);
  });

  it('are off where outlier detection is local', async () => {
    await world.apply(service(', scope: local'));
    await world.seconds(2);
    await turnBad();
    expect(words(1)).toEqual(['closed', 'closed', 'closed']);
  });

  it('ignore what an agent measured long ago, whatever its clock shows', async () => {
    let behindMs = 3_600_000;
    const slow = await world.agent('edge-9', 'edge.public', {
      now: () => world.time.now() - behindMs,
    });
    const say = () => {
      slow.sample([], [told(1, 10, 10), told(2, 10, 0), told(3, 10, 0)]);
      edges[0]?.sample([], [told(1, 1, 1)]);
    };
    await world.seconds(2, () => {
      behindMs += 30_000;
      say();
      behindMs -= 30_000;
    });
    expect(words(1)).toEqual(['closed', 'closed', 'closed']);
    await world.seconds(1, say);
    expect(words(1)).toEqual(['open', 'open', 'open']);
  });
});
