// What sharing is worth: the same agents, traffic and failing endpoint, once with breakers shared by the fleet and once with
// every agent for itself, in the same run. Real nats-server, real control process, real proxies.

import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { ApplyAnswer, BreakerAnswer } from '#engine/model/api.ts';
import type { Edge } from '#services/edge/edge.ts';
import { all, gateway } from './documents.ts';
import { type ControlProcess, eventually, pause, TestInstallation } from './installation.ts';
import { startRealEdge } from './real-edge.ts';

const AGENTS = 24;
/** The endpoint turns bad for these only. */
const SUFFERERS = 20;
/** Per agent and service. */
const EVERY_MS = 333;
const ERRORS_IN_A_ROW = 5;
const kinds = ['fleet', 'local'] as const;
type Kind = (typeof kinds)[number];

const names = Array.from({ length: AGENTS }, (_, at) => `edge-${at + 1}`);
const errors: Record<Kind, number> = { fleet: 0, local: 0 };
let isBad = false;
let place: TestInstallation;
let control: ControlProcess;
const servers: Server[] = [];
const edges: Edge[] = [];

const serve = async (turnsBad: boolean): Promise<number> => {
  const server = createServer((request, response) => {
    const suffers = Number(request.headers['x-agent']) < SUFFERERS;
    response.statusCode = turnsBad && isBad && suffers ? 500 : 200;
    response.end('x');
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
};

const service = (kind: Kind, ports: readonly number[]): string => `apiVersion: weir.dev/v1
kind: Service
metadata: { name: ${kind}, namespace: bibby }
spec:
  endpoints: [${ports.map((port) => `{ address: 127.0.0.1, port: ${port} }`).join(', ')}]
  loadBalancing: { policy: RoundRobin }
  outlierDetection: { consecutive5xxErrors: ${ERRORS_IN_A_ROW}, scope: ${kind} }
`;
const route = `apiVersion: weir.dev/v1
kind: Route
metadata: { name: both, namespace: bibby }
spec:
  parentRefs: [{ name: public }]
  rules:
${kinds.map((kind) => `    - { matches: [{ path: { prefix: /${kind} } }], backends: [{ service: ${kind} }] }\n`).join('')}`;

beforeAll(async () => {
  place = await TestInstallation.create(
    names.map((name) => ({ name, scope: 'edge.public' as const })),
  );
  control = await place.control();
  edges.push(...(await Promise.all(names.map((name) => startRealEdge(place, name)))));
  const ports = await Promise.all([true, false, false, false].map(serve));
  const documents = all(gateway, service('fleet', ports), service('local', ports), route);
  const answer = await place.post<ApplyAnswer>(control.url, '/v1/policy', {
    documents: [{ file: 'sharing.yaml', text: documents }],
    allOrNothing: true,
    wait: { percent: 100, timeoutMs: 30_000 },
  });
  expect(answer.wait).toMatchObject({ reached: true });
}, 60_000);
afterAll(async () => {
  for (const edge of edges) await edge.close();
  for (const server of servers) server.close();
  await place.close();
}, 60_000);

const call = async (agent: number, kind: Kind): Promise<void> => {
  const port = edges[agent]?.addresses()[0]?.port ?? 0;
  const response = await fetch(`http://127.0.0.1:${port}/${kind}`, {
    headers: { 'x-agent': String(agent) },
  });
  await response.arrayBuffer();
  if (response.status === 500) errors[kind] += 1;
};

it('shared breakers save at least four of five errors', async () => {
  const stop = new AbortController();
  const drive = async (agent: number): Promise<void> => {
    await pause((agent * EVERY_MS) / AGENTS);
    while (!stop.signal.aborted) {
      for (const kind of kinds) void call(agent, kind).catch(() => {});
      await pause(EVERY_MS);
    }
  };
  const traffic = names.map((_, agent) => drive(agent));
  try {
    await pause(1000);
    isBad = true;
    const startedMs = performance.now();
    await eventually(
      'every agent has found out by itself',
      () => errors.local >= SUFFERERS * ERRORS_IN_A_ROW,
      60_000,
    );
    const seconds = (performance.now() - startedMs) / 1000;
    const { breakers } = await place.get<BreakerAnswer>(control.url, '/v1/breakers');
    process.stdout.write(
      `errors seen by callers of ${AGENTS} agents, ${SUFFERERS} of which the endpoint fails: shared ${errors.fleet}, each for itself ${errors.local} (in ${seconds.toFixed(1)} s): ${(errors.local / errors.fleet).toFixed(1)} times fewer; ${breakers[0]?.reason}\n`,
    );
    expect(breakers).toMatchObject([{ state: 'open' }]);
    expect(errors.fleet * 5).toBeLessThanOrEqual(errors.local);
  } finally {
    stop.abort();
    await Promise.all(traffic);
  }
}, 90_000);

it('an open breaker outlives the control process that opened it', async () => {
  await control.kill();
  const next = await place.control('control-2');
  await eventually('the next leader knows it', async () => {
    const { breakers } = await place.get<BreakerAnswer>(next.url, '/v1/breakers');
    return breakers.length === 1 && breakers[0]?.state === 'open';
  });
  errors.fleet = 0;
  for (let agent = 0; agent < AGENTS; agent += 1)
    for (let count = 0; count < 4; count += 1) await call(agent, 'fleet');
  expect(errors.fleet).toBe(0);
}, 60_000);
