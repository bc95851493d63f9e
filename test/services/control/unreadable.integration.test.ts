// States on record that cannot be read, through a real control process and as the command line shows them.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { BreakerAnswer, FleetAnswer, RolloutAnswer } from '#engine/model/api.ts';
import type { Event } from '#engine/model/event.ts';
import { buckets, streams, subjects, subjectToken } from '#engine/model/subjects.ts';
import { all, gateway, rollout, route, service } from './documents.ts';
import { type ControlProcess, eventually, TestInstallation } from './installation.ts';

const endpoint = 'bibby/fixed/10.0.0.1:80';
const fixed = `apiVersion: weir.dev/v1
kind: Service
metadata: { name: fixed, namespace: bibby }
spec:
  port: 80
  endpoints: [{ address: 10.0.0.1 }, { address: 10.0.0.2 }, { address: 10.0.0.3 }]
  outlierDetection: {}
`;
const other = (text: string): string =>
  text.replaceAll('catalog-service', 'library-service').replaceAll('name: catalog,', 'name: lib,');
const toFixed = route('/fixed')
  .replace('name: catalog,', 'name: fixed,')
  .replace('catalog-service', 'fixed');

let place: TestInstallation;
let control: ControlProcess;

beforeAll(async () => {
  place = await TestInstallation.create([{ name: 'edge-1', scope: 'edge.public' }]);
  control = await place.control();
  await place.agent('edge-1', 'edge.public');
  const text = all(
    all(gateway, service, route(), rollout(), fixed, toFixed),
    all(other(service), other(route('/library')), other(rollout())),
  );
  await place.post(control.url, '/v1/policy', {
    documents: [{ file: 'policy.yaml', text }],
    allOrNothing: true,
    wait: { percent: 100, timeoutMs: 20_000 },
  });
  await eventually('an operator opens a breaker', async () => {
    const { breakers = [] } = await place.post<Partial<BreakerAnswer>>(
      control.url,
      '/v1/breakers/open',
      { endpoint },
    );
    return breakers.length === 1;
  });
  await control.kill();
  const store = await (await place.connect('control')).store(buckets.machines);
  const garbage = new TextEncoder().encode('{"v":1,"na');
  await store.put(`rollout.${subjectToken('bibby/catalog')}.99`, garbage);
  await store.put(`breakers.${subjectToken('bibby/fixed')}.99`, garbage);
  control = await place.control();
  await eventually('it leads', async () => (await fetch(`${control.url}/ready`)).ok);
}, 60_000);
afterAll(() => place.close());

const events = async (type: string): Promise<readonly Event[]> => {
  const log = await (await place.connect('control')).log(streams.events);
  const reader = log.read(subjects().event(type), 'all');
  void reader.caughtUp.then(() => reader.close());
  const found: Event[] = [];
  for await (const { data } of reader)
    found.push(JSON.parse(new TextDecoder().decode(data)) as Event);
  return found;
};
const weir = async (...args: readonly string[]): Promise<string> => {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['services/cli/main.ts', ...args, '--url', control.url],
    { env: { ...process.env, WEIR_HOME: place.installation.home, NO_COLOR: '1' } },
  );
  return stdout;
};

it('a rollout that cannot be read stands still, loudly, and alone', async () => {
  const { rollouts } = await place.get<RolloutAnswer>(control.url, '/v1/rollouts');
  expect(Object.fromEntries(rollouts.map(({ id, state }) => [id, state]))).toEqual({
    'bibby/catalog': 'broken',
    'bibby/lib': 'idle',
  });
  expect((await events('rollout.failed')).map(({ subject }) => subject)).toEqual(['bibby/catalog']);
  expect(await weir('rollout', 'status', '-n', 'bibby', 'catalog')).toMatch(/cannot be read/);
  expect(await weir('status')).toMatch(/rollout bibby\/catalog stands still/);
});

it('a breaker that cannot be read keeps to what was decided, and says so', async () => {
  const { breakers } = await place.get<BreakerAnswer>(control.url, '/v1/breakers');
  expect(breakers).toMatchObject([{ endpoint, state: 'open' }]);
  expect(breakers[0]?.reason).toMatch(/what was known of it is lost/);
  const [told] = await events('state.unreadable');
  expect(told).toMatchObject({ subject: 'bibby/fixed', data: { machine: 'breakers' } });
  expect(await weir('status')).toMatch(/breakers of bibby\/fixed went on/);
});

it('a follower says the same', async () => {
  const follower = await place.control('control-2');
  const { rollouts } = await place.get<RolloutAnswer>(follower.url, '/v1/rollouts');
  expect(rollouts.find(({ id }) => id === 'bibby/catalog')?.state).toBe('broken');
  const { troubles } = await place.get<FleetAnswer>(follower.url, '/v1/fleet');
  expect(troubles?.join()).toMatch(/rollout bibby\/catalog stands still/);
});
