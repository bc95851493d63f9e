// A release as a pipeline makes it: the command line, a control process, webhooks over real HTTP.
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { weir } from '#test/services/cli/world.ts';
import { SERVICE, series } from './catalog-rollout.ts';
import { all, bibby, rollout } from './documents.ts';
import type { FakeAgent } from './fake-agent.ts';
import { type ControlProcess, pause, TestInstallation } from './installation.ts';
import { catalog } from './world.ts';

/** Requests per second: many, so that the evidence is there soon. */
const RATE = 20_000;

let place: TestInstallation;
let control: ControlProcess;
let edge: FakeAgent;
let traffic: NodeJS.Timeout;
let hooks: Server;
let asked: { readonly path: string; readonly key: string }[];

beforeEach(async () => {
  asked = [];
  hooks = createServer((request, response) => {
    request.resume();
    request.on('end', () => {
      asked.push({ path: request.url ?? '', key: String(request.headers['idempotency-key']) });
      // The first answer of each is no.
      const isFirst = asked.filter(({ path }) => path === request.url).length === 1;
      response.writeHead(isFirst ? 409 : 202).end('as the test says');
    });
  });
  hooks.listen(0, '127.0.0.1');
  await once(hooks, 'listening');
  place = await TestInstallation.create([
    { name: 'edge-1', scope: 'edge.public' },
    { name: 'catalog-1', scope: 'sidecar.bibby.catalog', workload: 'bibby/catalog' },
    { name: 'catalog-2', scope: 'sidecar.bibby.catalog', workload: 'bibby/catalog' },
  ]);
  control = await place.control('one');
  edge = await place.agent('edge-1', 'edge.public');
  traffic = setInterval(() => {
    const canary = Math.round((RATE * (edge.weight(SERVICE, 'v1.1') ?? 0)) / 10_000);
    edge.sample([series('v1.0', RATE - canary, 0), series('v1.1', canary, 0)]);
  }, 1000);
  await place.agent('catalog-1', 'sidecar.bibby.catalog', { workload: catalog('v1.0') });
  await place.agent('catalog-2', 'sidecar.bibby.catalog', { workload: catalog('v1.1') });
});
afterEach(async () => {
  clearInterval(traffic);
  hooks.closeAllConnections();
  hooks.close();
  await place.close();
});

const run = async (...args: string[]) =>
  weir(['rollout', ...args], {
    env: { WEIR_URL: control.url, WEIR_TOKEN: await place.token('operator') },
    now: Date.now,
    sleep: pause,
  });

const policy = (): string => {
  const { port } = hooks.address() as AddressInfo;
  const hook = (type: string) =>
    `    - { name: ${type}, type: ${type}, url: "http://127.0.0.1:${port}/${type}", interval: 1s }\n`;
  const gates = `  start: manual\n  approvals: [{ before: promotion }]\n  webhooks:\n${hook('confirm-rollout')}`;
  return all(bibby, rollout(gates));
};

it('a pipeline waits for the end of its release, which waits for a hook and a person', {
  timeout: 120_000,
}, async () => {
  const documents = [{ file: 'p.yaml', text: policy() }];
  await place.post(control.url, '/v1/policy', { documents });
  const release = run('start', 'bibby/catalog', '--to', 'v1.1', '--wait', '--timeout', '80s');
  let agreed = false;
  void (async () => {
    while (!agreed) {
      agreed = (await run('approve', 'bibby/catalog', '--reason', 'seen it')).code === 0;
      await pause(200);
    }
  })();
  const { code, out, error } = await release;
  agreed = true;
  expect(error).toBe('');
  expect(code).toBe(0);
  expect(out).toMatch(/initializing +0%.*\n.*progressing +10%.*\n.*progressing +50%/);
  expect(asked.map(({ path }) => path)).toEqual(['/confirm-rollout', '/confirm-rollout']);
  expect(new Set(asked.map(({ key }) => key)).size).toBe(2);
  expect((await run('status', 'bibby/catalog')).out).toContain('watched for');
});
