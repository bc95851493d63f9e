import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { chooseCohort } from '#engine/machines/policy-canary.ts';
import type { ApplyAnswer } from '#engine/model/api.ts';
import type { Commit } from '#engine/model/commit.ts';
import type { PolicyCanaryAnswer, PolicyCanaryStatus } from '#engine/model/policy-canary.ts';
import { buckets, streams, subjects } from '#engine/model/subjects.ts';
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

  it('is shown with its state to whoever collects metrics', async () => {
    const shown = async () =>
      (await world.replicas[0]?.control.http.inject({ url: '/metrics' }))?.body.match(
        /^weir_policy_canaries\{.*/gm,
      );
    expect(await shown()).toBeNull();
    await begin();
    await world.seconds(2);
    expect(await shown()).toEqual(['weir_policy_canaries{state="watching"} 1']);
    await world.call(['POST', '/v1/policy/canary/abort'], { reason: 'a test' });
    expect(await shown()).toEqual(['weir_policy_canaries{state="aborted"} 1']);
  });

  it('is not taken back for what the rest suffers too', async () => {
    await watch();
    const bad = { refused: 0.1 };
    expect((await untilOver(traffic(bad, bad))).state).toBe('promoted');
  });

  it('is not taken back for what its agents answered before', async () => {
    const nowMs = world.time.now() + 30_000;
    const names = edges().map(({ name }) => name);
    const [odd] = chooseCohort(names, { id: `r2-${nowMs.toString(36)}` }) ?? [];
    const each = () => {
      for (const edge of edges())
        edge.sample([series({ refused: edge.name === odd ? 0.1 : 0.02 })]);
    };
    await world.seconds(30, each);
    await watch();
    expect(cohort().name).toBe(odd);
    expect((await untilOver(each)).state).toBe('promoted');
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

describe('while a policy canary is under way', () => {
  it('nothing else is applied, on no replica', async () => {
    await watch();
    const other = { documents: [{ file: 'policy.yaml', text: route('/other') }] };
    const follower = await world.start('control-2', { isReady: false });
    for (const replica of [world.replicas[0], follower]) {
      const options = replica ? { replica } : {};
      const { status: code, body } = await world.call(['POST', '/v1/policy'], other, options);
      expect([code, body.error.code]).toEqual([409, 'ERR_CANARY_STATE']);
      expect(body.error.message).toMatch(/r2 by operator is watching/);
    }
  });

  it('a person may take it back, or give it to all', async () => {
    const leader = world.replicas[0];
    await watch();
    const aborted = await world.call<PolicyCanaryAnswer>(['POST', '/v1/policy/canary/abort'], {
      reason: 'wrong file',
    });
    expect(aborted.body.canary).toMatchObject({
      state: 'aborted',
      reason: 'abort by operator: wrong file',
    });
    await world.seconds(1);
    expect(revisions()).toEqual([1, 1, 1, 1]);
    const again = await world.call(['POST', '/v1/policy/canary/abort'], {});
    expect([again.status, again.body.error.code]).toEqual([409, 'ERR_CANARY_STATE']);
    await watch();
    expect((await world.call(['POST', '/v1/policy/canary/promote'], {})).status).toBe(200);
    await world.seconds(1);
    expect(await status()).toMatchObject({ state: 'promoted' });
    expect(revisions()).toEqual([2, 2, 2, 2]);
    const viewer = await world.call(['POST', '/v1/policy/canary/abort'], {}, { role: 'viewer' });
    expect(viewer.status).toBe(403);
    expect(leader?.lines.join()).not.toMatch(/policy-canary:/);
  });

  it('decisions reach its cohort like everybody', async () => {
    await watch();
    const shut = await world.call(
      ['POST', '/v1/revocations'],
      { target: 'sub:mallory', reason: 'stolen' },
      { role: 'admin' },
    );
    expect(shut.status).toBe(200);
    await world.seconds(1);
    expect(revisions().filter((revision) => revision === 2)).toHaveLength(1);
    for (const edge of edges()) {
      const inSnapshot = JSON.stringify(edge.snapshot).includes('sub:mallory');
      const inOverlay = [...edge.state.overlay.keys()].includes('revocation:sub:mallory');
      expect(inSnapshot || inOverlay).toBe(true);
    }
    expect(edges().flatMap(({ outcomes }) => outcomes)).not.toContain('orphan');
  });

  it('new endpoints reach its cohort like everybody, and no agent leaves the trial', async () => {
    await watch();
    const tried = cohort();
    await world.agent('catalog-2', 'sidecar.bibby.catalog', { workload: catalog('v1.1') });
    await world.seconds(2);
    expect(cohort()).toBe(tried);
    for (const edge of edges()) expect(JSON.stringify(edge.snapshot)).toContain('10.0.0.1');
    expect(tried.outcomes).not.toContain('stale');
    expect((await status()).state).toBe('watching');
  });

  it('an agent of the cohort that starts again comes back to it', async () => {
    await watch();
    const { name } = cohort();
    const before = world.agents.findIndex((agent) => agent.name === name);
    world.agents[before]?.stop();
    world.agents.splice(before, 1);
    const again = await world.agent(name, 'edge.public');
    await world.seconds(1);
    expect(again.state.active).toMatchObject({ type: 'trial', revision: 2 });
    expect((await status()).state).toBe('watching');
  });

  it('an agent that starts after its end finds the last commit', async () => {
    await watch();
    const { name } = cohort();
    const before = world.agents.findIndex((agent) => agent.name === name);
    world.agents[before]?.stop();
    world.agents.splice(before, 1);
    await world.call(['POST', '/v1/policy/canary/abort'], {});
    const again = await world.agent(name, 'edge.public');
    await world.seconds(1);
    expect(again.state.active).toMatchObject({ type: 'snapshot', revision: 1 });
  });

  it('it ends when somebody has committed all the same', async () => {
    await watch();
    const log = await world.hub.connect().log(streams.policy);
    const id = 'Route/bibby/catalog';
    const commit: Commit = {
      v: 1,
      type: 'commit',
      revision: 2,
      author: 'bob',
      message: '',
      atMs: world.time.now(),
      changes: [{ type: 'put', id, source: { file: 'x.yaml', line: 1, text: route('/bob') } }],
    };
    const data = new TextEncoder().encode(JSON.stringify(commit));
    await log.append({ subject: subjects().policyCommit, data });
    await world.seconds(2);
    expect(await status()).toMatchObject({
      state: 'reverted',
      reason: 'bob has committed r2 meanwhile',
    });
    expect(revisions()).toEqual([2, 2, 2, 2]);
    for (const edge of edges()) expect(JSON.stringify(edge.snapshot)).toContain('/bob');
  });

  it('it ends when an agent of its cohort is lost', async () => {
    await watch();
    const { name } = cohort();
    world.agents.splice(
      world.agents.findIndex((agent) => agent.name === name),
      1,
    );
    await world.seconds(8);
    expect(await status()).toMatchObject({ state: 'reverted', reason: `${name} has left` });
  });
});

describe('a policy canary is refused', () => {
  it('where only one agent serves a scope', async () => {
    for (const { name } of edges().slice(1))
      world.agents.splice(
        world.agents.findIndex((agent) => agent.name === name),
        1,
      );
    await world.seconds(7);
    const { status: code, body } = await begin();
    expect([code, body.error.code]).toEqual([409, 'ERR_CANARY_STATE']);
    expect(body.error.message).toMatch(/only one agent serves edge\.public/);
  });

  it('where it changes nothing that an agent enforces, or anything in it is refused', async () => {
    const same = await begin({}, service.replace('spec:', 'spec: # as before'));
    expect(same.body.error.message).toMatch(/changes nothing/);
    const broken = await begin({}, all(route('/books'), 'kind: Nonsense\n'));
    expect(broken.status).toBe(422);
    await world.seconds(1);
    expect(revisions()).toEqual([1, 1, 1, 1]);
  });

  it('by a cohort agent that cannot enforce it', async () => {
    await world.apply(route('/before'));
    for (const edge of edges()) edge.stop();
    world.agents.splice(0, world.agents.length);
    for (let number = 1; number <= 4; number += 1)
      await world.agent(`edge-${number}`, 'edge.public', { refuseTrials: 'port 8080 is taken' });
    await world.seconds(2);
    await begin();
    await world.seconds(2);
    const { state, reason } = await status();
    expect(state).toBe('reverted');
    expect(reason).toMatch(/edge-\d cannot enforce it: port 8080 is taken/);
    expect(revisions()).toEqual([2, 2, 2, 2]);
  });
});

describe('killed at any moment, control goes on with a policy canary', () => {
  const restart = async (): Promise<void> => {
    world.replicas.at(-1)?.kill();
    await world.start();
  };
  const cohortStays = (): void => {
    expect(revisions().filter((revision) => revision === 2)).toHaveLength(1);
  };

  it('that was just begun', async () => {
    await begin();
    await restart();
    await world.seconds(3);
    expect((await status()).state).toBe('watching');
    cohortStays();
    expect((await untilOver(traffic({ refused: 0.2 }))).state).toBe('reverted');
  });

  it('that is watched, with its evidence', async () => {
    await watch();
    await world.seconds(5, traffic({}));
    const before = (await status()).verdict?.scopes[0]?.cohort.requests ?? 0;
    const tried = cohort();
    const { positions } = tried;
    const place = positions.length;
    await restart();
    await world.seconds(3, traffic({}));
    expect(cohort()).toBe(tried);
    // It was on trial all along: nothing else was ever in force in between.
    expect(positions.length).toBe(place + 1);
    expect((await status()).verdict?.scopes[0]?.cohort.requests).toBeGreaterThan(before);
    expect((await untilOver(traffic({}))).state).toBe('promoted');
    await world.seconds(1);
    expect(revisions()).toEqual([2, 2, 2, 2]);
  });

  it('of which another replica knew nothing yet', async () => {
    await watch();
    await world.start('control-2', { isReady: false });
    world.replicas[0]?.kill();
    await world.seconds(8, traffic({}));
    cohortStays();
    expect((await untilOver(traffic({ failed: 0.1 }))).state).toBe('reverted');
    await world.seconds(1);
    expect(revisions()).toEqual([1, 1, 1, 1]);
  });

  it('that was decided and not committed', async () => {
    await watch();
    const replica = world.replicas.at(-1);
    const refusal = replica?.broker.refuseAppends((subject) => subject.endsWith('policy.commit'));
    await world.call(['POST', '/v1/policy/canary/promote'], {});
    await world.seconds(2);
    expect((await status()).state).toBe('promoting');
    replica?.kill();
    refusal?.allow();
    await world.start();
    await world.seconds(2);
    expect((await status()).state).toBe('promoted');
    expect(revisions()).toEqual([2, 2, 2, 2]);
  });

  it('that was committed and not told', async () => {
    await watch();
    await world.call(['POST', '/v1/policy/canary/promote'], {});
    world.replicas.at(-1)?.kill();
    await world.start();
    await world.seconds(2);
    expect(await status()).toMatchObject({ state: 'promoted', revision: 2 });
    expect(revisions()).toEqual([2, 2, 2, 2]);
    const { body } = await world.call<{ revision: number }>(['GET', '/v1/policy']);
    expect(body.revision).toBe(2);
  });

  it('whose evidence was not kept', async () => {
    await watch();
    await world.seconds(5, traffic({}));
    world.replicas.at(-1)?.kill();
    const store = await world.hub.connect().store(buckets.machines);
    for (const { key, value } of await store.entries()) {
      if (!key.startsWith('policy-canary.state')) continue;
      const kept = JSON.parse(new TextDecoder().decode(value)) as { state: object };
      const state = { ...kept.state, analysis: undefined };
      await store.put(key, new TextEncoder().encode(JSON.stringify({ ...kept, state })));
    }
    await world.start();
    await world.seconds(3, traffic({}));
    cohortStays();
    expect((await untilOver(traffic({}))).state).toBe('promoted');
  });

  it('whose record cannot be read is taken back, loudly', async () => {
    await watch();
    world.replicas.at(-1)?.kill();
    const store = await world.hub.connect().store(buckets.machines);
    for (const { key } of await store.entries())
      if (key.startsWith('policy-canary.'))
        await store.put(key, new TextEncoder().encode('{"v":1'));
    const { lines } = await world.start();
    await world.seconds(2);
    expect(revisions()).toEqual([1, 1, 1, 1]);
    expect(lines.join('\n')).toMatch(/policy-canary/);
    expect((await world.events()).map(({ type }) => type)).toContain('weir.state.unreadable');
    await world.apply(route('/other'));
  });
});
