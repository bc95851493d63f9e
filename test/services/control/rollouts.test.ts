import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RolloutAnswer } from '#engine/model/api.ts';
import { buckets } from '#engine/model/subjects.ts';
import { CatalogRollout, SERVICE } from './catalog-rollout.ts';
import { all, gateway, rollout, route, service } from './documents.ts';
import { catalog, World } from './world.ts';

let world: World;
let trial: CatalogRollout;

beforeEach(async () => {
  world = new World();
  trial = new CatalogRollout(world);
  await world.start();
});
afterEach(() => world.stop());

describe('a rollout', () => {
  it('starts by itself when a new version is announced', async () => {
    await trial.ship();
    expect(await world.rollout()).toMatchObject({ canary: 'v1.1', baseline: 'v1.0' });
  });

  it('waits for a command when the policy says so', async () => {
    await trial.ship(rollout('  start: manual\n'));
    await world.seconds(3, trial.traffic(0));
    expect(await world.rollout()).toMatchObject({ state: 'idle' });
    const { status } = await trial.command('start', { reason: 'now' });
    expect(status).toBe(200);
    expect(await world.rollout()).toMatchObject({ canary: 'v1.1', state: 'initializing' });
  });

  it('gives a good version all traffic, step by step', async () => {
    await trial.ship();
    await trial.until('succeeded', trial.traffic(0));
    expect(trial.weight()).toBe(10_000);
    const types = (await world.events()).map(({ type }) => type);
    expect(types).toContain('weir.rollout.started');
    expect(types.filter((type) => type === 'weir.rollout.stepped')).toHaveLength(2);
    expect(types.filter((type) => type === 'weir.rollout.promoted')).toHaveLength(1);
  });

  it('takes a bad version back', async () => {
    await trial.ship();
    await trial.until('failed', trial.traffic(0.2));
    expect(trial.weight()).toBe(0);
    const { reason } = await world.rollout();
    expect(reason).toMatch(/error/i);
  });

  it('does not try a version again that failed, until it is told to', async () => {
    await trial.ship();
    await trial.until('failed', trial.traffic(0.2));
    await world.seconds(20, trial.traffic(0));
    expect((await world.rollout()).state).toBe('failed');
    await trial.command('retry', { reason: 'fixed' });
    await trial.until('succeeded', trial.traffic(0));
  });

  it('does not take the old version for a new one after a promotion', async () => {
    await trial.ship();
    await trial.until('succeeded', trial.traffic(0));
    await world.seconds(20, trial.traffic(0));
    expect(await world.rollout()).toMatchObject({ state: 'succeeded', canary: 'v1.1' });
  });

  it('hands over to the policy when that names the promoted version', async () => {
    await trial.ship();
    await trial.until('succeeded', trial.traffic(0));
    await world.apply(service.replace('  port:', '  baseline: v1.1\n  port:'));
    await trial.until('idle', trial.traffic(0));
    await world.seconds(2, trial.traffic(0));
    expect((await world.rollout()).standing).toEqual([]);
    expect(trial.weight()).toBe(10_000);
  });

  it('obeys operators, and records who and why', async () => {
    await trial.ship();
    await trial.until('progressing', trial.traffic(0));
    expect((await trial.command('pause', { reason: 'lunch' })).status).toBe(200);
    const before = trial.weight();
    await world.seconds(20, trial.traffic(0));
    expect(trial.weight()).toBe(before);
    expect((await trial.command('pause')).body.error.code).toBe('ERR_ROLLOUT_STATE');
    await trial.command('resume');
    expect((await trial.command('abort', { reason: 'wrong day' })).status).toBe(200);
    await world.until('no traffic is left', () => trial.weight() === 0);
    const aborted = (await world.events()).find(({ type }) => type === 'weir.rollout.aborted');
    expect(aborted?.data).toMatchObject({ by: 'operator', why: 'wrong day' });
  });

  it('can be undone after its promotion, even if the policy has confirmed it', async () => {
    await trial.ship();
    expect((await trial.command('undo')).body.error.code).toBe('ERR_ROLLOUT_STATE');
    await trial.until('succeeded', trial.traffic(0));
    await world.apply(service.replace('  port:', '  baseline: v1.1\n  port:'));
    await trial.until('idle', trial.traffic(0));
    await world.seconds(2, trial.traffic(0));
    expect((await trial.command('undo', { reason: 'it leaks' })).status).toBe(200);
    await world.until('v1.0 has it all', () => trial.weight('v1.0') === 10_000);
    await trial.until('failed', trial.traffic(0));
    await world.seconds(5, trial.traffic(0));
    expect(trial.weight('v1.0')).toBe(10_000);
    const { standing } = await world.rollout();
    expect(standing[0]?.reason).toBe('undo by operator: it leaks');
    const undone = (await world.events()).find(({ type }) => type === 'weir.rollout.undone');
    expect(undone?.data).toMatchObject({ by: 'operator', why: 'it leaks' });
  });

  it('is not undone when nobody serves the version before', async () => {
    await trial.ship();
    await trial.until('succeeded', trial.traffic(0));
    world.agents.splice(
      world.agents.findIndex(
        (agent) => agent.weight(SERVICE, 'v1.0') === undefined && agent !== trial.edge,
      ),
      1,
    );
    await world.seconds(10, trial.traffic(0));
    const { status, body } = await trial.command('undo');
    expect([status, body.error?.message]).toEqual([
      409,
      'bibby/catalog: v1.0 is not running any more',
    ]);
  });

  it('takes the next step when it is told to', async () => {
    await trial.ship();
    await trial.until('progressing', trial.traffic(0));
    expect((await trial.command('skip', { reason: 'hurry' })).status).toBe(200);
    expect(await world.rollout()).toMatchObject({ step: 2, weight: 50 });
  });

  it('that has been noticed already is not started twice', async () => {
    await trial.ship();
    const { status, body } = await trial.command('start', { version: 'v1.1' });
    expect([status, body.rollouts?.[0]?.canary]).toEqual([200, 'v1.1']);
    const started = (await world.events()).filter(({ type }) => type === 'weir.rollout.started');
    expect(started).toHaveLength(1);
  });

  it('is brought back before its Rollout is gone', async () => {
    await trial.ship();
    await trial.until('progressing', trial.traffic(0));
    await world.call(['POST', '/v1/policy/delete'], { ids: ['Rollout/bibby/catalog'] });
    await world.seconds(2, trial.traffic(0));
    expect(trial.weight()).toBe(0);
    const { body } = await world.call<RolloutAnswer>(['GET', '/v1/rollouts']);
    expect(body.rollouts).toEqual([]);
  });

  it.each([
    ['', false],
    [', by another leader', true],
  ])('goes on where it was when its Rollout is deleted and comes back%s', async (_, restarts) => {
    await trial.ship();
    await trial.until('succeeded', trial.traffic(0));
    await world.call(['POST', '/v1/policy/delete'], { ids: ['Rollout/bibby/catalog'] });
    await world.seconds(2, trial.traffic(0));
    expect(trial.weight()).toBe(10_000);
    if (restarts) {
      world.replicas.at(-1)?.kill();
      await world.start();
    }
    await world.apply(rollout());
    await world.seconds(3, trial.traffic(0));
    expect(await world.rollout()).toMatchObject({ state: 'succeeded', canary: 'v1.1' });
    expect(trial.weight()).toBe(10_000);
    expect((await trial.command('undo')).status).toBe(200);
    await trial.until('failed', trial.traffic(0));
    expect(trial.weight('v1.0')).toBe(10_000);
  });

  it('that came back is not what it was when its leader began', async () => {
    await trial.ship();
    await trial.until('progressing', trial.traffic(0));
    world.replicas.at(-1)?.kill();
    await world.start();
    await trial.until('succeeded', trial.traffic(0));
    await world.call(['POST', '/v1/policy/delete'], { ids: ['Rollout/bibby/catalog'] });
    await world.seconds(2, trial.traffic(0));
    await world.apply(rollout());
    await world.seconds(2, trial.traffic(0));
    expect((await world.rollout()).state).toBe('succeeded');
  });

  it('stands still when its state on record cannot be read, and starts anew when it is told to', async () => {
    await trial.ship();
    await trial.until('progressing', trial.traffic(0));
    await world.until('a tenth', () => trial.weight() === 1000);
    world.replicas.at(-1)?.kill();
    const store = await world.hub.connect().store(buckets.machines);
    for (const { key } of await store.entries())
      if (key.startsWith('rollout.')) await store.put(key, new TextEncoder().encode('{"v":1'));
    await world.start();
    await world.seconds(3, trial.traffic(0));
    expect(await world.rollout()).toMatchObject({ state: 'broken' });
    expect(trial.weight()).toBe(1000);
    expect((await trial.command('promote')).status).toBe(409);
    expect((await trial.command('start', { version: 'v9' })).status).toBe(400);
    expect((await world.rollout()).state).toBe('broken');
    expect((await trial.command('start')).status).toBe(200);
    await trial.until('succeeded', trial.traffic(0));
  });
});

describe('killed in any state, a rollout', () => {
  const restart = async (): Promise<void> => {
    world.replicas.at(-1)?.kill();
    await world.start();
  };

  it.each([
    ['initializing', 0],
    ['progressing', 0],
    ['holding', 0],
    ['paused', 0],
    ['promoting', 0],
    ['succeeded', 0],
    ['rollingBack', 0.2],
    ['failed', 0.2],
  ] as const)('%s, goes on where it was', async (state, errors) => {
    await trial.ship();
    if (state === 'holding') {
      await trial.until('progressing', trial.traffic(errors));
      await trial.until('holding', () => {});
    } else if (state === 'paused') {
      await trial.until('progressing', trial.traffic(errors));
      await trial.command('pause');
    } else await trial.until(state, trial.traffic(errors));
    const before = await world.rollout();
    await restart();
    expect(await world.rollout()).toMatchObject({
      state,
      step: before.step,
      weight: before.weight,
    });
    const decided = before.weight * 100;
    await world.until('the edge has it', () => trial.weight() === decided);
    if (state === 'paused') await trial.command('resume');
    await trial.until(errors > 0 ? 'failed' : 'succeeded', trial.traffic(errors));
    expect(trial.weight()).toBe(errors > 0 ? 0 : 10_000);
  });

  it('every second of its life, loses no step and doubles none', { timeout: 60_000 }, async () => {
    await trial.ship();
    for (let second = 0; second < 90; second += 1) {
      if ((await world.rollout()).state === 'succeeded') break;
      await world.seconds(1, trial.traffic(0));
      await restart();
    }
    await trial.until('succeeded', trial.traffic(0));
    const { history } = await world.rollout();
    const weights = history.map(({ weight }) => weight);
    expect(weights).toEqual(weights.toSorted((a, b) => a - b));
    expect([...new Set(weights)]).toEqual([0, 10, 50, 100]);
    const events = await world.events();
    const steps = events.filter(({ type }) => type === 'weir.rollout.stepped');
    expect(steps.map(({ data }) => data['weight'])).toEqual([10, 50]);
    expect(trial.edge?.positions).toEqual(trial.edge?.positions.toSorted((a, b) => a - b));
  });
});

describe('one bad rollout', () => {
  it('that makes the analysis throw is stopped, loudly, and nothing else', async () => {
    await trial.ship();
    await trial.until('progressing', trial.traffic(0));
    world.replicas.at(-1)?.kill();
    const store = await world.hub.connect().store(buckets.machines);
    for (const { key, value } of await store.entries()) {
      if (!key.startsWith('rollout.')) continue;
      const envelope = JSON.parse(new TextDecoder().decode(value)) as {
        state: { analysis: { tests: object } };
      };
      envelope.state.analysis.tests = { errors: 7, 'latency-p99': null };
      await store.put(key, new TextEncoder().encode(JSON.stringify(envelope)));
    }
    const { lines } = await world.start();
    await world.seconds(3, trial.traffic(0));
    expect((await world.rollout()).state).toBe('broken');
    expect(lines.join('\n')).toContain('rollout bibby/catalog: ');
    const failed = (await world.events()).filter(({ type }) => type === 'weir.rollout.failed');
    expect(failed[0]?.data['reason']).toMatch(/unexpected error/);
    expect((await world.apply(route('/books'))).revision).toBe(2);
    await world.until('policy goes on', () => trial.edge?.state.active?.revision === 2);
    expect((await trial.command('abort', { reason: 'enough' })).status).toBe(200);
    await world.until('all is as the policy says', () => trial.weight() === 0);
    await world.seconds(5, trial.traffic(0));
    expect((await world.rollout()).state).toBe('idle');
  });

  it('of which nothing is on record does not move the traffic that it decided about', async () => {
    await trial.ship();
    await trial.until('succeeded', trial.traffic(0));
    world.replicas.at(-1)?.kill();
    const store = await world.hub.connect().store(buckets.machines);
    for (const { key } of await store.entries()) await store.delete(key);
    await world.start();
    await world.seconds(10, trial.traffic(0));
    expect((await world.rollout()).state).toBe('broken');
    expect(trial.weight()).toBe(10_000);
  });

  it('does not harm another', async () => {
    const other = (text: string) => text.replaceAll('catalog', 'library');
    await world.apply(
      all(
        gateway,
        service,
        route(),
        rollout(),
        other(service),
        other(route('/library')),
        other(rollout()),
      ),
    );
    trial.edge = await world.agent('edge-1', 'edge.public');
    const store = await world.hub.connect().store(buckets.machines);
    await store.put('rollout.bibby=2flibrary.0', new TextEncoder().encode('nonsense'));
    world.replicas.at(-1)?.kill();
    await world.start();
    await world.agent('catalog-1', 'sidecar.bibby.catalog', { workload: catalog('v1.0') });
    await world.agent('catalog-2', 'sidecar.bibby.catalog', { workload: catalog('v1.1') });
    await trial.until('succeeded', trial.traffic(0));
    expect((await world.rollout('bibby/library')).state).toBe('broken');
  });
});
