// The leader is cut off from the bus, alive and well, and comes back with what it had on its lips.
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { RolloutAnswer, RolloutStatus } from '#engine/model/api.ts';
import { startWire, type Wire } from '#test/support/tcp-proxy.ts';
import { SERVICE, series } from './catalog-rollout.ts';
import { all, bibby, rollout } from './documents.ts';
import type { FakeAgent } from './fake-agent.ts';
import { type ControlProcess, eventually, TestInstallation } from './installation.ts';
import { catalog } from './world.ts';

/** The promise is five seconds; the rest is for a busy machine. */
const TAKEOVER_MS = 5_000 + 2_000;

let place: TestInstallation;
let wire: Wire;
let edge: FakeAgent;
let weights: number[];
let traffic: NodeJS.Timeout | undefined;

beforeEach(async () => {
  place = await TestInstallation.create([
    { name: 'edge-1', scope: 'edge.public' },
    { name: 'catalog-1', scope: 'sidecar.bibby.catalog', workload: 'bibby/catalog' },
    { name: 'catalog-2', scope: 'sidecar.bibby.catalog', workload: 'bibby/catalog' },
  ]);
  const { hostname, port } = new URL(place.nats.url);
  wire = await startWire({ host: hostname, port: Number(port) });
  weights = [];
  edge = await place.agent('edge-1', 'edge.public', {
    onApplied: () => weights.push(edge.weight(SERVICE, 'v1.1') ?? 0),
  });
  traffic = setInterval(() => {
    const canary = Math.round((400 * (edge.weight(SERVICE, 'v1.1') ?? 0)) / 10_000);
    edge.sample([series('v1.0', 400 - canary, 0), series('v1.1', canary, 0)]);
  }, 1000);
});
afterEach(async () => {
  clearInterval(traffic);
  await wire.close();
  await place.close();
});

const isLeading = async ({ url }: ControlProcess): Promise<boolean> => {
  const response = await fetch(`${url}/metrics`, { signal: AbortSignal.timeout(1000) });
  return /^weir_leader 1$/m.test(await response.text());
};

const statusOf = async ({ url }: ControlProcess): Promise<RolloutStatus | undefined> =>
  (await place.get<RolloutAnswer>(url, '/v1/rollouts')).rollouts[0];

it('a leader cut off from the bus is followed within five seconds, and harms nothing when it is back', async () => {
  const first = await place.control('one', { WEIR_NATS_URL: `nats://127.0.0.1:${wire.port}` });
  await eventually('one leads', () => isLeading(first));
  const policy = all(bibby, rollout('  approvals: [{ before: step }]\n'));
  await place.post(first.url, '/v1/policy', { documents: [{ file: 'p.yaml', text: policy }] });
  const second = await place.control('two');
  await place.agent('catalog-1', 'sidecar.bibby.catalog', { workload: catalog('v1.0') });
  await place.agent('catalog-2', 'sidecar.bibby.catalog', { workload: catalog('v1.1') });
  await eventually('a tenth', () => edge.weight(SERVICE, 'v1.1') === 1000, 30_000);

  const command = { namespace: 'bibby', name: 'catalog', reason: 'cut off' };
  wire.cut();
  // On its lips: a decision that it makes in the moment of the cut.
  const late = place.post(first.url, '/v1/rollouts/promote', command).catch(() => undefined);
  const tookMs = await eventually('the other leads', () => isLeading(second), 20_000);
  process.stdout.write(`takeover after ${Math.round(tookMs)} ms\n`);
  expect(tookMs).toBeLessThan(TAKEOVER_MS);
  expect(await isLeading(first)).toBe(false);
  expect(await statusOf(second)).toMatchObject({ weight: 10, canary: 'v1.1' });
  await eventually('it goes on', async () => {
    const answer = await place.post<object>(second.url, '/v1/rollouts/skip', command);
    return !('error' in answer);
  });
  await eventually('half', () => edge.weight(SERVICE, 'v1.1') === 5000);

  wire.mend();
  await late;
  await eventually('both say the same', async () => {
    const [a, b] = [await statusOf(first), await statusOf(second)];
    return a?.weight === 50 && a.weight === b?.weight && a.step === b.step;
  });
  expect(await isLeading(second)).toBe(true);
  expect(edge.weight(SERVICE, 'v1.1')).toBe(5000);
  expect(weights).toEqual(weights.toSorted((a, b) => a - b));
  expect(edge.positions).toEqual(edge.positions.toSorted((a, b) => a - b));
  expect(edge.outcomes.filter((outcome) => outcome !== 'applied' && outcome !== 'stale')).toEqual(
    [],
  );
});
