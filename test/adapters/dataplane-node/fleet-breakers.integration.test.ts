// What a plane does by decision of the fleet: keeps away, tries for others, and tells what endpoints answered.
import { afterEach, describe, expect, it } from 'vitest';
import type { AccessEntry } from '#adapters/dataplane-node/access.ts';
import { type DecisionBody, decisionId } from '#engine/model/decision.ts';
import type { OutlierPlan } from '#engine/model/snapshot.ts';
import type { EndpointSeries } from '#engine/model/telemetry.ts';
import {
  closeAll,
  get,
  ok,
  rawCaller,
  rawUpstream,
  startPlane,
  upstream,
  viewOf,
} from './support.ts';

afterEach(closeAll);

const shared: OutlierPlan = {
  consecutive5xxErrors: 5,
  consecutiveGatewayErrors: 0,
  intervalMs: 10_000,
  baseEjectionTimeMs: 30_000,
  maxEjectionTimeMs: 300_000,
  maxEjectionPercent: 50,
  minHealthPercent: 0,
  shared: true,
};

const backend = async (isWell: () => boolean = () => true) =>
  await rawUpstream((socket, text) => {
    if (!text.includes('\r\n\r\n')) return false;
    socket.write(isWell() ? ok() : 'HTTP/1.1 500 X\r\ncontent-length: 1\r\n\r\nx');
    return true;
  });

const run = async (ports: readonly number[], outlierDetection = shared) => {
  const entries: AccessEntry[] = [];
  const view = viewOf([upstream(ports, { outlierDetection })]);
  const { plane, port } = await startPlane(
    view,
    {},
    { agent: 'edge-1', onAccess: (entry) => entries.push(entry) },
  );
  const call = async (): Promise<void> => {
    const caller = await rawCaller(port);
    caller.send(get().replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'));
    await caller.untilClosed();
  };
  return {
    plane,
    /** Requests by port. */
    spread: async (count: number) => {
      entries.length = 0;
      for (let i = 0; i < count; i++) await call();
      return ports.map(
        (one) => entries.filter(({ endpoint }) => endpoint.endsWith(`:${one}`)).length,
      );
    },
    decide: (...bodies: readonly DecisionBody[]) =>
      plane.activate({ ...view, overlay: new Map(bodies.map((body) => [decisionId(body), body])) }),
  };
};
const about = (port: number, state: 'open' | 'closed' | 'halfOpen', prober = 'edge-1') =>
  ({
    type: 'breaker',
    target: `bibby/catalog/127.0.0.1:${port}`,
    state,
    ...(state === 'halfOpen' && { prober }),
  }) as const;

describe('an endpoint that the fleet has opened', () => {
  it('gets nothing until it is closed again', async () => {
    const [bad, good] = [await backend(), await backend()];
    const { spread, decide } = await run([bad.port, good.port]);
    expect(await spread(8)).toEqual([4, 4]);
    await decide(about(bad.port, 'open'));
    expect(await spread(8)).toEqual([0, 8]);
    await decide(about(bad.port, 'halfOpen', 'edge-2'));
    expect(await spread(8)).toEqual([0, 8]);
    await decide(about(bad.port, 'closed'));
    expect(await spread(8)).toEqual([4, 4]);
  });

  it('is used all the same when it is the last one that works', async () => {
    const only = await backend();
    const { spread, decide } = await run([only.port]);
    await decide(about(only.port, 'open'));
    expect(await spread(3)).toEqual([3]);
  });

  it('is used where outlier detection is not shared', async () => {
    const [bad, good] = [await backend(), await backend()];
    const { spread, decide } = await run([bad.port, good.port], { ...shared, shared: false });
    await decide(about(bad.port, 'open'));
    expect(await spread(8)).toEqual([4, 4]);
  });

  it('is tried by the elected agent, and left alone after a failure', async () => {
    let well = false;
    const [bad, good] = [await backend(() => well), await backend()];
    const { spread, decide } = await run([bad.port, good.port]);
    await decide(about(bad.port, 'halfOpen'));
    expect(await spread(6)).toEqual([1, 5]);
    await decide(about(bad.port, 'open'));
    well = true;
    await decide(about(bad.port, 'halfOpen'));
    expect(await spread(6)).toEqual([6, 0]);
  });
});

it('a sample tells what endpoints answered, every try of it', async () => {
  const [bad, good] = [await backend(() => false), await backend()];
  const { plane, spread } = await run([bad.port, good.port]);
  await spread(4);
  await plane.close();
  const told: EndpointSeries[] = [];
  for await (const { endpoints = [] } of plane.samples()) told.push(...endpoints);
  const of = (port: number) => {
    const own = told.filter(({ endpoint }) => endpoint === `bibby/catalog/127.0.0.1:${port}`);
    const sum = (count: (each: EndpointSeries) => number) =>
      own.reduce((total, each) => total + count(each), 0);
    return [sum((each) => each.requests), sum((each) => each.failures)];
  };
  expect([of(bad.port), of(good.port)]).toEqual([
    [2, 2],
    [2, 0],
  ]);
});
