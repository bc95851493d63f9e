// What happens to the ring when its parts are taken away: real processes, a real nats-server, real time. The agents are
// in-process ones that verify, fold and ack; their traffic is made up, one sample a second.
// WEIR_CHAOS_ROUNDS sets how often the leader is taken away (default 3), WEIR_CHAOS_SEED when and how.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type {
  ApplyAnswer,
  ErrorAnswer,
  FleetAnswer,
  RolloutAnswer,
  RolloutStatus,
} from '#engine/model/api.ts';
import type { Event } from '#engine/model/event.ts';
import { streams, subjects } from '#engine/model/subjects.ts';
import type { Series } from '#engine/model/telemetry.ts';
import { all, bibby, rollout, route } from '#test/services/control/documents.ts';
import type { FakeAgent } from '#test/services/control/fake-agent.ts';
import {
  type ControlProcess,
  eventually,
  pause,
  TestInstallation,
} from '#test/services/control/installation.ts';
import { catalog } from '#test/services/control/world.ts';
import { createChance } from '#test/sim/random.ts';
import { startWire } from '#test/support/tcp-proxy.ts';

const ROUNDS = Number(process.env['WEIR_CHAOS_ROUNDS'] ?? 3);
const SEED = Number(process.env['WEIR_CHAOS_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const SERVICE = 'bibby/catalog-service';
/** The promise is five seconds; the rest is for a busy machine. */
const TAKEOVER_MS = 5_000 + 2_000;

let place: TestInstallation;
let edge: FakeAgent;
/** Every weight of the new version that was in force at the edge, in order. */
let weights: number[];
let traffic: NodeJS.Timeout | undefined;
const stops: (() => Promise<void>)[] = [];

const series = (version: string, requests: number): Series => ({
  rule: 'bibby/catalog/0',
  service: SERVICE,
  version,
  source: 'unknown',
  requests,
  errors: 0,
  statuses: { 200: requests },
  flags: {},
  latency: { zero: 0, buckets: requests > 0 ? [40, requests] : [], sum: requests * 33 },
  requestBytes: 0,
  responseBytes: 0,
  retries: 0,
});

beforeEach(async () => {
  place = await TestInstallation.create([
    { name: 'edge-1', scope: 'edge.public' },
    { name: 'catalog-1', scope: 'sidecar.bibby.catalog', workload: 'bibby/catalog' },
    { name: 'catalog-2', scope: 'sidecar.bibby.catalog', workload: 'bibby/catalog' },
  ]);
  weights = [];
  edge = await place.agent('edge-1', 'edge.public', {
    onApplied: () => weights.push(edge.weight(SERVICE, 'v1.1') ?? 0),
  });
  traffic = setInterval(() => {
    const canary = Math.round((400 * (edge.weight(SERVICE, 'v1.1') ?? 0)) / 10_000);
    edge.sample([series('v1.0', 400 - canary), series('v1.1', canary)]);
  }, 1000);
});
afterEach(async () => {
  clearInterval(traffic);
  await Promise.all(stops.splice(0).map((stop) => stop()));
  await place.close();
});

const isLeading = async ({ url }: ControlProcess): Promise<boolean> => {
  try {
    const response = await fetch(`${url}/metrics`, { signal: AbortSignal.timeout(500) });
    return /^weir_leader 1$/m.test(await response.text());
  } catch {
    return false;
  }
};

const apply = async (url: string, text: string, wait = false): Promise<ApplyAnswer> => {
  const answer = await place.post<ApplyAnswer & ErrorAnswer>(url, '/v1/policy', {
    documents: [{ file: 'policy.yaml', text }],
    ...(wait ? { wait: { percent: 100, timeoutMs: 10_000 } } : {}),
  });
  if ('error' in answer) throw new Error(JSON.stringify(answer));
  return answer;
};

const placeOf = (url: string) => {
  const { hostname, port } = new URL(url);
  return { host: hostname, port: Number(port) };
};

const statusOf = async (url: string): Promise<RolloutStatus | undefined> => {
  const { rollouts } = await place.get<RolloutAnswer>(url, '/v1/rollouts');
  return rollouts[0];
};

const steps = async (): Promise<unknown[]> => {
  const broker = await place.connect('control');
  const reader = (await broker.log(streams.events)).read(
    subjects().event('rollout.stepped'),
    'all',
  );
  void reader.caughtUp.then(() => reader.close());
  const found: unknown[] = [];
  for await (const { data } of reader)
    found.push((JSON.parse(new TextDecoder().decode(data)) as Event).data['weight']);
  return found;
};

const endpoints = (): number =>
  Object.values(edge.snapshot?.upstreams ?? {}).reduce(
    (sum, upstream) => sum + upstream.endpoints.length,
    0,
  );

describe('a control plane of two', () => {
  it('goes on with a rollout while its leader is killed, frozen or cut off again and again', {
    timeout: 120_000 + ROUNDS * 25_000,
  }, async () => {
    const names = ['one', 'two'];
    const wires = await Promise.all(names.map(() => startWire(placeOf(place.nats.url))));
    stops.push(...wires.map((wire) => () => wire.close()));
    const start = (at: number): Promise<ControlProcess> =>
      place.control(names[at] ?? '', { WEIR_NATS_URL: `nats://127.0.0.1:${wires[at]?.port}` });
    const replicas = [await start(0), await start(1)];
    const [first] = replicas;
    await eventually('one leads', () => isLeading(first as ControlProcess));
    const slow = rollout().replace('minStep: 2s', `minStep: ${Math.max(4, ROUNDS * 3)}s`);
    await apply(first?.url ?? '', all(bibby, slow));
    await place.agent('catalog-1', 'sidecar.bibby.catalog', { workload: catalog('v1.0') });
    await pause(2500);
    await place.agent('catalog-2', 'sidecar.bibby.catalog', { workload: catalog('v1.1') });
    await eventually('a tenth', () => edge.weight(SERVICE, 'v1.1') === 1000, 30_000);

    process.stdout.write(`seed ${SEED}\n`);
    const { uniform } = createChance(SEED);
    const takeovers: number[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      await pause(500 + uniform() * 1500);
      const at = (await isLeading(replicas[0] as ControlProcess)) ? 0 : 1;
      const leader = replicas[at] as ControlProcess;
      const other = replicas[1 - at] as ControlProcess;
      const harm = (['kill', 'freeze', 'cut'] as const)[Math.floor(uniform() * 3)];
      if (harm === 'kill') await leader.kill();
      else if (harm === 'freeze') leader.pause();
      else wires[at]?.cut();
      takeovers.push(await eventually('the other leads', () => isLeading(other), 20_000));
      if (harm === 'kill') replicas[at] = await start(at);
      else if (harm === 'freeze') leader.resume();
      else wires[at]?.mend();
      expect(await isLeading(other)).toBe(true);
    }
    process.stdout.write(`takeovers: ${takeovers.map(Math.round).join(', ')} ms\n`);
    expect(Math.max(...takeovers)).toBeLessThan(TAKEOVER_MS);

    await eventually(
      'it is promoted',
      async () => (await statusOf(replicas[0]?.url ?? ''))?.state === 'succeeded',
      60_000 + ROUNDS * 12_000,
    );
    expect(await steps()).toEqual([10, 50]);
    expect(weights).toEqual(weights.toSorted((a, b) => a - b));
    expect(edge.weight(SERVICE, 'v1.1')).toBe(10_000);
    expect(edge.outcomes.filter((outcome) => outcome !== 'applied' && outcome !== 'stale')).toEqual(
      [],
    );
  });

  it('takes two hundred commits from four writers and brings every agent to the last one', async () => {
    const replicas = [await place.control('one'), await place.control('two')];
    await eventually('one leads', () => isLeading(replicas[0] as ControlProcess));
    await apply(replicas[0]?.url ?? '', bibby);
    const writer = async (name: number): Promise<number[]> => {
      const revisions: number[] = [];
      for (let count = 0; count < 50; count += 1) {
        const text = route(`/path-${name}-${count}`).replace('name: catalog,', `name: r${name},`);
        const { revision } = await apply(replicas[name % 2]?.url ?? '', text);
        revisions.push(revision);
      }
      return revisions;
    };
    const revisions = (await Promise.all([0, 1, 2, 3].map(writer))).flat();
    expect(revisions.toSorted((a, b) => a - b)).toEqual(
      Array.from({ length: 200 }, (_, at) => at + 2),
    );
    await eventually('the edge has the last', () => edge.state.active?.revision === 201, 60_000);
    expect(edge.positions).toEqual(edge.positions.toSorted((a, b) => a - b));
  });
});

describe('a nats-server that is away for half a minute', () => {
  it('costs neither endpoints nor the rollout, and the next commit goes through', async () => {
    const control = await place.control();
    await eventually('it leads', () => isLeading(control));
    await apply(control.url, all(bibby, rollout().replace('minStep: 2s', 'minStep: 4s')));
    await place.agent('catalog-1', 'sidecar.bibby.catalog', { workload: catalog('v1.0') });
    await pause(2500);
    await place.agent('catalog-2', 'sidecar.bibby.catalog', { workload: catalog('v1.1') });
    await eventually('a tenth', () => edge.weight(SERVICE, 'v1.1') === 1000, 30_000);
    const before = endpoints();
    expect(before).toBe(2);
    const seen: number[] = [];
    const watch = setInterval(() => seen.push(endpoints()), 50);
    await place.restartNats(30_000);
    await eventually('it leads again', () => isLeading(control), 20_000);
    const answer = await apply(control.url, route('/catalog', '7s'), true);
    expect(answer.wait?.reached).toBe(true);
    await eventually('it goes on', () => (edge.weight(SERVICE, 'v1.1') ?? 0) > 1000, 90_000);
    clearInterval(watch);
    expect([...new Set(seen)]).toEqual([2]);
    expect(weights).toEqual(weights.toSorted((a, b) => a - b));
    expect(await steps()).toEqual([10, 50]);
    const { agents } = await place.get<FleetAnswer>(control.url, '/v1/fleet');
    expect(agents.map(({ state }) => state)).toEqual(['live', 'live', 'live']);
  });
});
