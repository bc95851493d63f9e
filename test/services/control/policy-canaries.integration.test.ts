// A policy revision that refuses everybody, tried by one of three real proxies: real nats-server, control as a process of its
// own, killed in the middle.
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { ApplyAnswer, FleetAnswer } from '#engine/model/api.ts';
import type { PolicyCanaryAnswer, PolicyCanaryStatus } from '#engine/model/policy-canary.ts';
import type { Edge } from '#services/edge/edge.ts';
import { all, gateway } from './documents.ts';
import { type ControlProcess, eventually, pause, TestInstallation } from './installation.ts';
import { startRealEdge } from './real-edge.ts';

const names = ['edge-1', 'edge-2', 'edge-3'];
const EVERY_MS = 20;
const PATIENCE_MS = 60_000;
let place: TestInstallation;
let control: ControlProcess;
const edges: Edge[] = [];
const statuses: Record<string, Record<number, number>> = {};
const stop = new AbortController();
let traffic: Promise<unknown>;

const route = (status: number): string => `apiVersion: weir.dev/v1
kind: Route
metadata: { name: hello, namespace: bibby }
spec:
  parentRefs: [{ name: public }]
  rules: [{ matches: [{ path: { prefix: / } }], respond: { status: ${status}, body: hello } }]
`;

const callAlways = async (name: string, edge: Edge): Promise<void> => {
  const seen: Record<number, number> = {};
  statuses[name] = seen;
  while (!stop.signal.aborted) {
    const port = edge.addresses()[0]?.port ?? 0;
    const response = await fetch(`http://127.0.0.1:${port}/`);
    await response.arrayBuffer();
    seen[response.status] = (seen[response.status] ?? 0) + 1;
    await pause(EVERY_MS);
  }
};

const apply = (status: number, more: object = {}) =>
  place.post<ApplyAnswer>(control.url, '/v1/policy', {
    documents: [{ file: 'hello.yaml', text: all(gateway, route(status)) }],
    ...more,
  });
const canary = async (): Promise<PolicyCanaryStatus | undefined> =>
  (await place.get<PolicyCanaryAnswer>(control.url, '/v1/policy/canary')).canary;
const comesTo = (state: string) =>
  eventually(`it is ${state}`, async () => (await canary())?.state === state, PATIENCE_MS);
const revisions = () => edges.map((edge) => edge.status().revision);

beforeAll(async () => {
  place = await TestInstallation.create(
    names.map((name) => ({ name, scope: 'edge.public' as const })),
  );
  control = await place.control();
  edges.push(...(await Promise.all(names.map((name) => startRealEdge(place, name)))));
  await apply(200);
  await eventually(
    'control knows all of them at r1',
    async () => {
      const { agents } = await place.get<FleetAnswer>(control.url, '/v1/fleet');
      return (
        agents.filter(({ state, revision }) => state === 'live' && revision === 1).length === 3
      );
    },
    PATIENCE_MS,
  );
  traffic = Promise.all(names.map((name, at) => callAlways(name, edges[at] as Edge)));
}, PATIENCE_MS);
afterAll(async () => {
  stop.abort();
  await traffic;
  for (const edge of edges) await edge.close();
  await place.close();
}, PATIENCE_MS);

it('one of three tries it, a killed control goes on, and it is taken back by itself', {
  timeout: 2 * PATIENCE_MS,
}, async () => {
  const begun = await apply(403, { canary: {} });
  const cohort = begun.canary?.cohorts[0]?.agents ?? [];
  expect(cohort).toHaveLength(1);
  await eventually('its agent has it', () => revisions().includes(2), PATIENCE_MS);
  await control.kill();
  control = await place.control();
  await comesTo('reverted');
  await eventually('all are at r1', () => revisions().join() === '1,1,1', PATIENCE_MS);
  const { culprits, reason, verdict } = (await canary()) ?? {};
  expect(culprits?.join()).toMatch(/edge\.public 4xx/);
  process.stdout.write(`${reason}\n`);
  // Whom only the rest served never saw it.
  for (const name of names.filter((one) => !cohort.includes(one)))
    expect(statuses[name]?.[403]).toBeUndefined();
  expect(verdict?.scopes[0]?.rest.refused).toBe(0);
});

it('a person may give it to all', { timeout: PATIENCE_MS }, async () => {
  const begun = await apply(204, { canary: {} });
  expect(begun.canary).toMatchObject({ revision: 2, state: 'spreading' });
  await comesTo('watching');
  await place.post(control.url, '/v1/policy/canary/promote', { reason: 'I know it' });
  await comesTo('promoted');
  await eventually('all are at r2', () => revisions().join() === '2,2,2', PATIENCE_MS);
});
