import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ApplyAnswer } from '#engine/model/api.ts';
import type { PolicyCanaryAnswer, PolicyCanaryStatus } from '#engine/model/policy-canary.ts';
import type { Series } from '#engine/model/telemetry.ts';
import { all, bibby, gateway, route, service } from './documents.ts';
import type { FakeAgent } from './fake-agent.ts';
import { catalog, World } from './world.ts';

let world: World;

beforeEach(async () => {
  world = new World();
  await world.start();
  await world.apply(bibby);
  for (let number = 1; number <= 4; number += 1) await world.agent(`edge-${number}`, 'edge.public');
  await world.agent('catalog-1', 'sidecar.bibby.catalog', { workload: catalog('v1.0') });
  await world.seconds(2);
});
afterEach(() => world.stop());

const changed = all(gateway, service, route('/books'));

const edges = (): readonly FakeAgent[] =>
  world.agents.filter(({ name }) => name.startsWith('edge-'));
const revisions = () => edges().map(({ state }) => state.active?.revision);
const cohort = (): FakeAgent => {
  const found = edges().find(({ state }) => state.active?.type === 'trial');
  if (!found) throw new Error('nobody is on trial');
  return found;
};
const paths = (agent: FakeAgent): readonly string[] =>
  (JSON.stringify(agent.snapshot).match(/\/(catalog|books)"/g) ?? []).map((one) =>
    one.slice(0, -1),
  );

interface Answers {
  readonly refused?: number;
  readonly failed?: number;
  /** Bucket of all latencies; 40 is 32 to 35 ms. */
  readonly bucket?: number;
}
const series = ({ refused = 0, failed = 0, bucket = 40 }: Answers, requests = 200): Series => ({
  rule: 'bibby/catalog/0',
  service: 'bibby/catalog-service',
  version: 'v1.0',
  source: 'unknown',
  requests,
  errors: Math.round(failed * requests),
  statuses: { 200: Math.round((1 - refused - failed) * requests), 403: refused * requests },
  flags: {},
  latency: { zero: 0, buckets: [bucket, requests], sum: requests * 33 },
  requestBytes: 0,
  responseBytes: 0,
  retries: 0,
});
/** 200 requests per second at each edge. */
const traffic =
  (onTrial: Answers, rest: Answers = {}) =>
  () => {
    for (const edge of edges())
      edge.sample([series(edge.state.active?.type === 'trial' ? onTrial : rest)]);
  };

const begin = (more: object = {}, text = changed) =>
  world.call<ApplyAnswer>(['POST', '/v1/policy'], {
    documents: [{ file: 'policy.yaml', text }],
    canary: { ...more },
    message: 'books',
  });
const status = async (): Promise<PolicyCanaryStatus> => {
  const { body } = await world.call<PolicyCanaryAnswer>(['GET', '/v1/policy/canary']);
  if (!body.canary) throw new Error('no canary');
  return body.canary;
};
const untilOver = async (each: () => void, limit = 700): Promise<PolicyCanaryStatus> => {
  for (let second = 0; second < limit; second += 1) {
    const now = await status();
    if (!['spreading', 'watching', 'promoting'].includes(now.state)) return now;
    await world.seconds(1, each);
  }
  throw new Error(`not over: ${JSON.stringify(await status())}`);
};
const watch = async (more: object = {}): Promise<void> => {
  await begin(more);
  await world.seconds(2);
  expect((await status()).state).toBe('watching');
};

describe('a policy canary', () => {
  it('reaches its cohort only, and commits nothing yet', async () => {
    const { status: code, body } = await begin();
    expect(code).toBe(200);
    expect(body).toMatchObject({ revision: 1, canary: { revision: 2, state: 'spreading' } });
    await world.seconds(2);
    expect(revisions().filter((revision) => revision === 2)).toHaveLength(1);
    expect(paths(cohort())).toContain('/books');
    expect((await status()).cohorts).toEqual([
      { scope: 'edge.public', agents: [cohort().name], of: 4 },
    ]);
    const { body: set } = await world.call<{ revision: number }>(['GET', '/v1/policy']);
    expect(set.revision).toBe(1);
  });

  it('is committed for everybody when the cohort does no worse', async () => {
    await watch();
    const over = await untilOver(traffic({}));
    expect(over).toMatchObject({ state: 'promoted', revision: 2 });
    await world.seconds(1);
    expect(revisions()).toEqual([2, 2, 2, 2]);
    expect(edges().every(({ state }) => state.active?.type === 'snapshot')).toBe(true);
    const { body } = await world.call<{ commits: { message: string; author: string }[] }>([
      'GET',
      '/v1/policy/history',
    ]);
    expect(body.commits[0]).toMatchObject({ revision: 2, message: 'books', author: 'operator' });
    const types = (await world.events()).map(({ type }) => type);
    for (const step of ['started', 'watching', 'promoting', 'promoted'])
      expect(types.filter((type) => type === `weir.policyCanary.${step}`)).toHaveLength(1);
  });

  it.each([
    ['refusals', { refused: 0.1 }, /4xx/],
    ['failures', { failed: 0.05 }, /5xx/],
    ['slowness', { bucket: 56 }, /latency/],
  ])('is taken back for %s, and says so', async (_, worse, culprit) => {
    await watch();
    const over = await untilOver(traffic(worse), 60);
    expect(over.state).toBe('reverted');
    expect(over.culprits.join()).toMatch(culprit);
    await world.seconds(1);
    expect(revisions()).toEqual([1, 1, 1, 1]);
    for (const edge of edges()) expect(paths(edge)).toContain('/catalog');
    const told = (await world.events()).find(({ type }) => type === 'weir.policyCanary.reverted');
    expect(told?.data).toMatchObject({ revision: 2, culprits: over.culprits });
  });

  it('is not taken back for what the rest suffers too', async () => {
    await watch();
    const bad = { refused: 0.1 };
    expect((await untilOver(traffic(bad, bad))).state).toBe('promoted');
  });

  it('is taken back when it cannot be decided in time', async () => {
    await watch({ maxDurationMs: 30_000 });
    const over = await untilOver(() => {}, 60);
    expect(over).toMatchObject({ state: 'inconclusive' });
    expect(over.reason).toMatch(/no requests/);
    await world.seconds(1);
    expect(revisions()).toEqual([1, 1, 1, 1]);
  });
});
