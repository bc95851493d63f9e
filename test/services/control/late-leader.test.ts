import { afterEach, beforeEach, expect, it } from 'vitest';
import { buckets } from '#engine/model/subjects.ts';
import { CatalogRollout } from './catalog-rollout.ts';
import { settle } from './test-time.ts';
import { World } from './world.ts';

let world: World;
let catalog: CatalogRollout;
beforeEach(async () => {
  world = new World();
  catalog = new CatalogRollout(world);
});
afterEach(() => world.stop());

it('a leader that is held up in the middle of a decision cannot make it any more', async () => {
  const first = await world.start('control-1');
  await catalog.ship();
  await catalog.until('progressing');
  const held = first.broker.holdWrites(buckets.standing, buckets.leader);
  const revoke = world.call(
    ['POST', '/v1/revocations'],
    { target: 'sub:eve', reason: 'held up' },
    { role: 'admin' },
  );
  await settle();
  await world.start('control-2', { isReady: false });
  await world.seconds(8, catalog.traffic(0));
  const store = await world.hub.connect().store(buckets.standing);
  const landed = async () => (await store.entries()).some(({ key }) => key.includes('eve'));
  expect(await landed()).toBe(false);
  held.release();
  expect((await revoke).status).toBe(503);
  expect(await landed()).toBe(true);
  for (const next of ['control-2', 'control-3']) {
    world.replicas.at(-1)?.kill();
    await world.start(next, { isReady: false });
    await world.seconds(8, catalog.traffic(0));
    const { body } = await world.call<{ revocations: unknown[] }>(['GET', '/v1/revocations']);
    expect(body.revocations).toEqual([]);
  }
  expect(await landed()).toBe(false);
});

it('a decision that lands after its leader was deposed is void for all who follow', async () => {
  const first = await world.start('control-1');
  await catalog.ship();
  await catalog.until('progressing');
  await world.until('a tenth', () => catalog.weight() === 1000);
  const store = await world.hub.connect().store(buckets.standing);
  const late = new TextEncoder().encode(
    JSON.stringify({
      v: 1,
      type: 'standing',
      epoch: 1,
      decision: {
        id: 'split:bibby/catalog-service',
        serial: 99,
        body: {
          type: 'split',
          target: 'bibby/catalog-service',
          weights: { 'v1.0': 0, 'v1.1': 10_000 },
        },
        by: 'rollout:bibby/catalog',
        reason: 'late',
      },
    }),
  );
  first.kill();
  await world.start('control-1');
  await store.create('split=3abibby=2fcatalog-service.99', late);
  for (let round = 0; round < 3; round += 1) {
    world.replicas.at(-1)?.kill();
    await world.start('control-1');
    await world.seconds(1, catalog.traffic(0));
    expect(catalog.weight()).toBeLessThanOrEqual(5000);
  }
  await catalog.until('succeeded');
});
