import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { viewOf } from '#engine/agent/agent.ts';
import type { Split } from '#engine/model/snapshot.ts';
import { CatalogRollout, SERVICE, series } from './catalog-rollout.ts';
import { rollout } from './documents.ts';
import { World } from './world.ts';

let world: World;
let catalog: CatalogRollout;

beforeEach(async () => {
  world = new World();
  catalog = new CatalogRollout(world);
  await world.start();
});
afterEach(() => world.stop());

/** What the edge was told beside the weights: decided after the snapshot, or in it. */
const ways = (): Pick<Split, 'cohort' | 'mirror'> => {
  const view = catalog.edge && viewOf(catalog.edge.state);
  const split = view?.snapshot.splits[SERVICE];
  const decision = view?.overlay.get(`split:${SERVICE}`);
  if (decision?.type !== 'split') return { ...split };
  const { cohort, mirror } = decision;
  return {
    ...(split?.cohort && { cohort: { ...split.cohort, ...(cohort && { version: cohort }) } }),
    ...(mirror && { mirror }),
  };
};

describe('blue and green', () => {
  const blueGreen = (more = ''): string =>
    rollout(`  strategy: blueGreen\n  preview: { host: preview.bibby.com }\n${more}`);

  it('switches all traffic at once after its time', async () => {
    await catalog.ship(blueGreen());
    await catalog.until('progressing');
    expect(catalog.edge?.snapshot?.splits[SERVICE]?.preview).toEqual({
      host: 'preview.bibby.com',
      version: 'v1.1',
    });
    const weights = new Set<number>();
    await catalog.until('succeeded', () => {
      weights.add(catalog.weight() ?? 0);
      catalog.traffic(0)();
    });
    expect([...weights]).toEqual([0, 10_000]);
  });

  it('waits for its gates, and rolls back what fails in the preview', async () => {
    await catalog.ship(blueGreen('  approvals: [{ before: promotion }]\n'));
    await catalog.untilWaiting('approval:promotion');
    expect(catalog.weight()).toBe(0);
    await catalog.until('failed', catalog.traffic(0, [series('v1.1', 40, 30)]));
    expect(catalog.weight()).toBe(0);
  });
});

describe('a cohort', () => {
  const ab = rollout('  strategy: ab\n  cohort: { cookie: group, value: b }\n');

  it('gets the new version, and its promotion for all', async () => {
    await catalog.ship(ab);
    expect(ways().cohort).toEqual({ by: 'cookie', name: 'group', value: 'b' });
    const cohort = catalog.traffic(0, [series('v1.1', 100, 0)]);
    await catalog.until('progressing', cohort);
    await world.until('the edge has it', () => ways().cohort?.version === 'v1.1');
    await world.seconds(2, cohort);
    // Not taken back by a compile: policy does not say this.
    expect(ways().cohort?.version).toBe('v1.1');
    expect(catalog.weight()).toBe(0);
    await catalog.until('succeeded', cohort);
    expect(catalog.weight()).toBe(10_000);
    expect(ways().cohort?.version).toBeUndefined();
  });

  it('gets the old version back when the new one is bad', async () => {
    await catalog.ship(ab);
    await catalog.until('failed', catalog.traffic(0, [series('v1.1', 100, 40)]));
    expect(ways().cohort).toEqual({ by: 'cookie', name: 'group', value: 'b' });
  });

  it('keeps its version over a restart of control', async () => {
    await catalog.ship(ab);
    const cohort = catalog.traffic(0, [series('v1.1', 100, 0)]);
    await catalog.until('progressing', cohort);
    world.replicas.at(-1)?.kill();
    await world.start();
    await world.seconds(1, cohort);
    expect(ways().cohort?.version).toBe('v1.1');
  });
});

describe('a mirror', () => {
  const mirrored = rollout(
    '  strategy: mirror\n  mirror: { percent: 50, duration: 10s, minRequests: 500 }\n',
  );
  const copies = (errors: number) => [series('v1.1', 100, errors, { source: 'mirror' })];

  it('comes first, then the steps', async () => {
    await catalog.ship(mirrored);
    await catalog.until('progressing');
    await world.until('the edge has it', () => ways().mirror?.percent === 50);
    await world.seconds(9, catalog.traffic(0, copies(0)));
    expect(await world.rollout()).toMatchObject({ step: 1, weight: 0 });
    await world.seconds(3, catalog.traffic(0, copies(0)));
    expect(await world.rollout()).toMatchObject({ step: 2, weight: 10 });
    expect(ways().mirror).toBeUndefined();
    await world.seconds(1, catalog.traffic(0));
    // What the copies had proven counts no more.
    expect((await world.rollout()).arms?.canary.requests).toBeLessThan(200);
    await catalog.until('succeeded');
  });

  it('that a Route asks for is no evidence about anybody', async () => {
    await catalog.ship();
    await catalog.until('succeeded', catalog.traffic(0, copies(90)));
    expect(catalog.weight()).toBe(10_000);
  });

  it('shows what is bad before anybody has seen it', async () => {
    await catalog.ship(mirrored);
    const seconds = await catalog.until('failed', catalog.traffic(0, copies(30)));
    expect(seconds).toBeLessThan(20);
    const { history } = await world.rollout();
    expect(Math.max(...history.map(({ weight }) => weight))).toBe(0);
  });
});

it('a strategy is refused without what it needs, and with what belongs to another', async () => {
  const { diagnostics } = await world.apply(
    rollout('  strategy: ab\n  preview: { host: a.bibby.com }\n'),
  );
  expect(diagnostics.map(({ message }) => message)).toEqual(
    expect.arrayContaining([
      'preview belongs to the strategy blueGreen, and this one is ab',
      'the strategy ab needs a cohort',
    ]),
  );
});
