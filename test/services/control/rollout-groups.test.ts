import { afterEach, describe, expect, it } from 'vitest';
import { CatalogRollout, series } from './catalog-rollout.ts';
import { all, gateway, rollout, route, service } from './documents.ts';
import { World, catalog as workload } from './world.ts';

const OTHER = 'bibby/library-service';
const other = (text: string): string => text.replaceAll('catalog', 'library');

let world: World;
afterEach(() => world.stop());

/** Catalog and library, promoted together; library's second version comes when it is told to. */
const start = async (more = '') => {
  world = new World();
  await world.start();
  const member = rollout(`  group: books\n${more}`);
  await world.apply(
    all(gateway, service, route(), member, other(service), other(route('/lib')), other(member)),
  );
  const edge = await world.agent('edge-1', 'edge.public');
  const catalog = new CatalogRollout(world);
  catalog.edge = edge;
  const weight = (): number => edge.weight(OTHER, 'v1.1') ?? 0;
  const traffic =
    (catalogErrors = 0, libraryErrors = 0, errorsOfLate = 0) =>
    () => {
      const [a = 0, b = 0] = [catalog.weight(), weight()].map((one) => ((one ?? 0) * 400) / 10_000);
      edge.sample([
        series('v1.0', 400 - a, 0),
        series('v1.1', a, Math.round(a * Math.max(catalogErrors, errorsOfLate))),
        series('v1.0', 400 - b, 0, { service: OTHER, rule: 'bibby/library/0' }),
        series('v1.1', b, Math.round(b * libraryErrors), {
          service: OTHER,
          rule: 'bibby/library/0',
        }),
      ]);
    };
  const announce = async (version: string, name: string) => {
    const of = workload(version);
    await world.agent(`${name}-${version}`, `sidecar.bibby.${name}`, {
      workload: { ...of, name, labels: { app: `${name}-service`, version } },
    });
  };
  for (const name of ['catalog', 'library']) await announce('v1.0', name);
  await world.seconds(5, traffic());
  const until = async (id: string, state: string, each = traffic()): Promise<void> => {
    for (let second = 0; second < 120; second += 1) {
      if ((await world.rollout(id)).state === state) return;
      await world.seconds(1, each);
    }
    throw new Error(`not ${state} but ${JSON.stringify(await world.rollout(id))}`);
  };
  return { catalog, edge, weight, traffic, announce, until };
};

const states = async (): Promise<string[]> =>
  Promise.all(
    ['bibby/catalog', 'bibby/library'].map(async (id) => (await world.rollout(id)).state),
  );

describe('a group of rollouts', () => {
  it('is promoted together: who is ready waits for the others', async () => {
    const { catalog, traffic, announce, until, weight } = await start();
    await announce('v1.1', 'catalog');
    await world.seconds(5, traffic());
    await announce('v1.1', 'library');
    await world.seconds(1, traffic());
    await world.call(['POST', '/v1/rollouts/pause'], { namespace: 'bibby', name: 'library' });
    await catalog.untilWaiting('group', traffic());
    await world.seconds(20, traffic());
    expect(await states()).toEqual(['progressing', 'paused']);
    await world.call(['POST', '/v1/rollouts/resume'], { namespace: 'bibby', name: 'library' });
    await until('bibby/library', 'succeeded');
    await until('bibby/catalog', 'succeeded');
    expect([catalog.weight(), weight()]).toEqual([10_000, 10_000]);
  });

  it('does not wait for a member that has no new version', async () => {
    const { traffic, announce, until } = await start();
    await announce('v1.1', 'catalog');
    await world.seconds(1, traffic());
    await until('bibby/catalog', 'succeeded');
    expect(await states()).toEqual(['succeeded', 'idle']);
  });

  it('is rolled back together, by whoever fails', async () => {
    const { catalog, traffic, announce, until, weight } = await start();
    await announce('v1.1', 'catalog');
    await announce('v1.1', 'library');
    await world.seconds(1, traffic());
    await until('bibby/library', 'failed', traffic(0, 0.2));
    await until('bibby/catalog', 'failed');
    expect([catalog.weight(), weight()]).toEqual([0, 0]);
    const { history } = await world.rollout();
    expect(history.some(({ reason }) => reason.startsWith('bibby/library was rolled back: '))).toBe(
      true,
    );
  });

  it('is taken back together after its promotion, and tried again apart', async () => {
    const { catalog, traffic, announce, until, weight } = await start();
    await announce('v1.1', 'catalog');
    await announce('v1.1', 'library');
    await world.seconds(1, traffic());
    await until('bibby/library', 'succeeded');
    await until('bibby/catalog', 'succeeded');
    await world.call(['POST', '/v1/rollouts/undo'], {
      namespace: 'bibby',
      name: 'library',
      reason: 'it leaks',
    });
    await until('bibby/catalog', 'failed');
    expect([catalog.weight(), weight()]).toEqual([0, 0]);
    await until('bibby/library', 'failed');
    await catalog.command('retry');
    await until('bibby/catalog', 'succeeded');
  });

  it('remembers what it has agreed on when the leader is killed', async () => {
    const { traffic, announce, until } = await start();
    await announce('v1.1', 'catalog');
    await announce('v1.1', 'library');
    for (let second = 0; second < 60; second += 1) {
      if ((await states()).every((state) => state === 'succeeded')) return;
      await world.seconds(1, traffic());
      world.replicas.at(-1)?.kill();
      await world.start();
    }
    await until('bibby/catalog', 'succeeded');
  });
});

describe('a promoted version', () => {
  it('that gets worse is taken back, and so is its group', async () => {
    const { catalog, traffic, announce, until, weight } = await start();
    await announce('v1.1', 'catalog');
    await announce('v1.1', 'library');
    await world.seconds(1, traffic());
    await until('bibby/library', 'succeeded');
    await until('bibby/catalog', 'succeeded');
    await world.seconds(30, traffic());
    expect(await states()).toEqual(['succeeded', 'succeeded']);
    await until('bibby/catalog', 'failed', traffic(0.1));
    await until('bibby/library', 'failed');
    expect([catalog.weight(), weight()]).toEqual([0, 0]);
    const { history } = await world.rollout();
    expect(
      history.some(({ reason }) => reason.startsWith('worse after the promotion: errors:')),
    ).toBe(true);
  });

  it('is not watched when the policy says so, or has said the same', async () => {
    const { catalog, traffic, announce, until } = await start('  watch: 0s\n');
    await announce('v1.1', 'catalog');
    await world.seconds(1, traffic());
    await until('bibby/catalog', 'succeeded');
    await world.seconds(30, traffic(0.3));
    expect(await states()).toEqual(['succeeded', 'idle']);
    expect(catalog.weight()).toBe(10_000);
  });

  it('stays when nobody serves the version before, and that is told', async () => {
    const { catalog, traffic, announce, until } = await start();
    await announce('v1.1', 'catalog');
    await world.seconds(1, traffic());
    await until('bibby/catalog', 'succeeded');
    const gone = world.agents.findIndex((agent) => agent.name === 'catalog-v1.0');
    world.agents.splice(gone, 1);
    await world.seconds(10, traffic());
    await world.seconds(20, traffic(0.3));
    expect(catalog.weight()).toBe(10_000);
    const told = (await world.events()).filter(({ type }) => type === 'weir.rollout.regressed');
    expect(told).toHaveLength(1);
    expect(told[0]?.data['reason']).toMatch(/v1\.0 is not running any more: errors:/);
  });
});
