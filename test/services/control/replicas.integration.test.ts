// Three control processes as docs/replicas.md has them, with HAProxy in front where it is installed.
import { type ChildProcess, spawn } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { ApplyAnswer, ErrorAnswer, FleetAnswer, GetAnswer } from '#engine/model/api.ts';
import { findBinary } from '#services/setup/find-binary.ts';
import { bibby, route } from './documents.ts';
import type { FakeAgent } from './fake-agent.ts';
import { type ControlProcess, eventually, TestInstallation } from './installation.ts';

const names = ['one', 'two', 'three'];
const haproxy = await findBinary('haproxy');
let place: TestInstallation;
let replicas: ControlProcess[];
let edge: FakeAgent;
let front: ChildProcess | undefined;
let frontUrl = '';

beforeAll(async () => {
  place = await TestInstallation.create([{ name: 'edge-1', scope: 'edge.public' }]);
  replicas = await Promise.all(names.map((name) => place.control(name)));
  edge = await place.agent('edge-1', 'edge.public');
}, 60_000);
afterAll(async () => {
  front?.kill();
  await place.close();
});

const leads = async ({ url }: ControlProcess): Promise<boolean> =>
  (await fetch(`${url}/leading`).catch(() => undefined))?.status === 200;

const leader = async (among: readonly ControlProcess[]): Promise<ControlProcess> => {
  let found: ControlProcess | undefined;
  await eventually(
    'one leads',
    async () => {
      for (const replica of among) if (await leads(replica)) found = replica;
      return found !== undefined;
    },
    30_000,
  );
  return found as ControlProcess;
};

const apply = (url: string, text: string) =>
  place.post<ApplyAnswer & ErrorAnswer>(url, '/v1/policy', {
    documents: [{ file: 'policy.yaml', text }],
    wait: { percent: 100, timeoutMs: 20_000 },
  });

const freePort = async (): Promise<number> => {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
};

it('a follower takes commits, and answers as the leader does', async () => {
  const first = await leader(replicas);
  const followers = replicas.filter((replica) => replica !== first);
  expect(followers).toHaveLength(2);
  expect(await apply(followers[0]?.url ?? '', bibby)).toMatchObject({
    revision: 1,
    wait: { reached: true, applied: 1 },
  });
  for (const path of ['/v1/policy', '/v1/rollouts', '/v1/breakers', '/v1/policy/history']) {
    const said = await place.get<GetAnswer>(first.url, path);
    for (const { url } of followers)
      await eventually(`${path} says the same`, async () => {
        const answer = await place.get<GetAnswer>(url, path);
        return JSON.stringify(answer) === JSON.stringify(said);
      });
  }
  const { leader: named } = await place.get<FleetAnswer>(first.url, '/v1/fleet');
  for (const { url } of followers) {
    expect((await fetch(`${url}/ready`)).status).toBe(200);
    expect((await fetch(`${url}/leading`)).status).toBe(503);
    await eventually('it knows the fleet and who leads', async () => {
      const fleet = await place.get<FleetAnswer>(url, '/v1/fleet');
      return fleet.leader.instance === named.instance && fleet.agents[0]?.state === 'live';
    });
    const command = await place.post<ErrorAnswer>(url, '/v1/breakers/open', { endpoint: 'a/b/c' });
    expect(command.error.code).toBe('ERR_NOT_LEADER');
  }
}, 60_000);

it.skipIf(haproxy === undefined)(
  'HAProxy as documented finds the leader',
  async () => {
    const page = await readFile('docs/replicas.md', 'utf8');
    let config = /```haproxy\n(.*?)```/s.exec(page)?.[1] ?? '';
    const port = await freePort();
    frontUrl = `http://127.0.0.1:${port}`;
    config = config.replace(':7400', `:${port}`);
    for (const [at, { url }] of replicas.entries())
      config = config.replace(`:740${at + 1}`, `:${new URL(url).port}`);
    expect(config).not.toMatch(/:740\d/);
    const file = join(place.installation.home, 'haproxy.cfg');
    await writeFile(file, config);
    front = spawn(haproxy ?? '', ['-db', '-f', file], { stdio: 'ignore' });
    // It takes all for well until it has asked them once.
    await eventually('commands get to the leader', async () => {
      const answer = await place
        .post<ErrorAnswer>(frontUrl, '/v1/breakers/open', { endpoint: 'a/b/c' })
        .catch(() => undefined);
      return answer?.error.code === 'ERR_REQUEST_INVALID';
    });
  },
  60_000,
);

it('the last of three leads alone', async () => {
  const first = await leader(replicas);
  await first.kill();
  const second = await leader(replicas.filter((replica) => replica !== first));
  await second.kill();
  const last = replicas.find((replica) => replica !== first && replica !== second);
  if (!last) throw new Error('nobody is left');
  await leader([last]);
  expect(await apply(last.url, route('/books'))).toMatchObject({
    revision: 2,
    wait: { reached: true },
  });
  expect(edge.state.active?.revision).toBe(2);
  expect(edge.positions).toEqual(edge.positions.toSorted((a, b) => a - b));
  if (front)
    await eventually('so does HAProxy', async () => {
      const answer = await place.get<GetAnswer>(frontUrl, '/v1/policy').catch(() => undefined);
      return answer?.revision === 2;
    });
}, 90_000);
