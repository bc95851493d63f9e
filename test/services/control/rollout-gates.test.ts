import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { subjects } from '#engine/model/subjects.ts';
import { type FakeWeb, fakeWeb } from '#test/support/fake-web.ts';
import { CatalogRollout } from './catalog-rollout.ts';
import { rollout } from './documents.ts';
import { World } from './world.ts';

let world: World;
let catalog: CatalogRollout;
let web: FakeWeb;
/** By the last part of the hook's address. */
let answers: Record<string, unknown>;

beforeEach(async () => {
  world = new World();
  catalog = new CatalogRollout(world);
  answers = {};
  web = fakeWeb(({ url }) => answers[url.split('/').at(-1) ?? ''] ?? { status: 200 });
  await world.start('control-1', { web });
});
afterEach(() => world.stop());

const hook = (type: string, more = ''): string =>
  `    - { name: ${type}, type: ${type}, url: "http://hooks/${type}", interval: 2s${more} }\n`;
const asked = (type: string) =>
  web.asked
    .filter(({ url }) => url.endsWith(`/${type}`))
    .map(({ body, headers }) => ({
      body: JSON.parse(body ?? '') as Record<string, unknown>,
      key: headers?.['idempotency-key'],
    }));

describe('an approval', () => {
  const needed = rollout('  approvals: [{ before: start }, { before: promotion }]\n');

  it('comes from a person who is known, over HTTP or the bus, and is recorded', async () => {
    await catalog.ship(needed);
    await catalog.untilWaiting('approval:start');
    expect(catalog.weight()).toBe(0);
    const viewer = await world.call(
      ['POST', '/v1/rollouts/approve'],
      { namespace: 'bibby', name: 'catalog' },
      { role: 'viewer' },
    );
    expect(viewer.status).toBe(403);
    expect((await catalog.command('approve', { reason: 'tested' })).status).toBe(200);
    await catalog.untilWaiting('approval:promotion');
    const { bus } = world.hub.connect('alice');
    const request = { namespace: 'bibby', name: 'catalog', reason: 'numbers are fine' };
    await bus.request(
      subjects().api('rollout', 'approve'),
      new TextEncoder().encode(JSON.stringify(request)),
      1000,
    );
    await catalog.until('succeeded');
    const approved = (await world.events()).filter(({ type }) => type === 'weir.rollout.approved');
    expect(approved.map(({ data }) => [data['by'], data['why']])).toEqual([
      ['operator', 'tested'],
      ['alice', 'numbers are fine'],
    ]);
  });

  it('is still waited for, and still remembered, after the leader was killed', async () => {
    await catalog.ship(needed);
    await catalog.untilWaiting('approval:start');
    await catalog.command('approve', { reason: 'tested' });
    world.replicas.at(-1)?.kill();
    await world.start();
    await catalog.untilWaiting('approval:promotion');
    world.replicas.at(-1)?.kill();
    await world.start();
    expect((await world.rollout()).waiting).toMatchObject([{ gate: 'approval:promotion' }]);
    const { body } = await catalog.command('reject', { reason: 'ugly' });
    expect(body.rollouts[0]?.reason).toBe('reject by operator: ugly');
    await catalog.until('failed');
    expect(catalog.weight()).toBe(0);
  });
});

describe('webhooks', () => {
  it('are asked as Flagger asks them, each when its time has come', async () => {
    const kinds = [
      'confirm-rollout',
      'pre-rollout',
      'rollout',
      'confirm-traffic-increase',
      'confirm-promotion',
      'post-rollout',
      'rollback',
      'event',
    ];
    answers['rollback'] = { status: 403 };
    const hooks = kinds.map((kind) => hook(kind, ', metadata: { cmd: test }')).join('');
    await catalog.ship(rollout(`  webhooks:\n${hooks}`));
    await catalog.until('succeeded');
    await world.seconds(2, catalog.traffic(0));
    for (const kind of kinds) expect(asked(kind).length, kind).toBeGreaterThan(0);
    expect(asked('confirm-rollout')).toHaveLength(1);
    expect(asked('confirm-rollout')[0]?.body).toMatchObject({
      name: 'catalog',
      namespace: 'bibby',
      phase: expect.stringMatching(/Initializing|Waiting/),
      checksum: expect.stringMatching(/^[0-9a-f]{10}$/),
      metadata: { cmd: 'test' },
    });
    expect(asked('confirm-traffic-increase')).toHaveLength(2);
    expect(asked('post-rollout').map(({ body }) => body['phase'])).toEqual(['Succeeded']);
    expect(asked('event').map(({ body }) => body['metadata'])).toContainEqual({
      cmd: 'test',
      eventMessage: expect.stringMatching(/^rollout.promoted: /),
      eventType: 'Normal',
      timestamp: expect.stringMatching(/^\d+$/),
    });
    const keys = web.asked.map(({ headers }) => headers?.['idempotency-key']);
    expect(new Set(keys).size).toBe(keys.length);
  });

  it('hold the start for as long as they do not agree', async () => {
    answers['confirm-rollout'] = { status: 409, body: 'not today' };
    await catalog.ship(rollout(`  webhooks:\n${hook('confirm-rollout')}`));
    await world.seconds(30, catalog.traffic(0));
    expect(catalog.weight()).toBe(0);
    expect((await world.rollout()).waiting[0]?.reason).toContain('409: not today');
    answers['confirm-rollout'] = undefined;
    await catalog.until('progressing');
  });

  it('that fail too often during the analysis end it', async () => {
    answers['rollout'] = new Error('answered nothing within 10000 ms');
    await catalog.ship(rollout(`  webhooks:\n${hook('rollout', ', failureThreshold: 2')}`));
    await catalog.until('failed');
    expect((await world.rollout()).history.map(({ reason }) => reason)).toContain(
      'the hook rollout has failed too often: answered nothing within 10000 ms',
    );
    expect(catalog.weight()).toBe(0);
  });

  it('that order a rollback get it', async () => {
    answers['rollback'] = { status: 404 };
    await catalog.ship(rollout(`  webhooks:\n${hook('rollback')}`));
    await catalog.until('progressing');
    answers['rollback'] = { status: 200 };
    await catalog.until('failed');
    expect(catalog.weight()).toBe(0);
  });

  it('are asked again by the next leader', async () => {
    answers['confirm-promotion'] = { status: 500 };
    await catalog.ship(rollout(`  webhooks:\n${hook('confirm-promotion')}`));
    await catalog.untilWaiting('hook:confirm-promotion');
    world.replicas.at(-1)?.kill();
    answers['confirm-promotion'] = { status: 200 };
    await world.start('control-1', { web });
    await catalog.until('succeeded');
  });
});

describe('a schedule', () => {
  it('holds the rollout in a freeze, and says until when', async () => {
    const now = new Date(world.time.now());
    const end = new Date(world.time.now() + 60_000).toISOString();
    const freeze = `{ from: "${now.toISOString()}", to: "${end}", reason: sale }`;
    await catalog.ship(rollout(`  schedule: { freezes: [${freeze}] }\n`));
    await catalog.untilWaiting('schedule');
    expect((await world.rollout()).reason).toMatch(/^waiting: frozen until .* UTC: sale/);
    expect(catalog.weight()).toBe(0);
    const waiting = (await world.events()).filter(({ type }) => type === 'weir.rollout.waiting');
    expect(waiting).toHaveLength(1);
    await catalog.until('succeeded');
  });

  it('that cannot be is refused', async () => {
    const { diagnostics } = await world.apply(
      rollout(
        '  schedule: { timezone: Mars/Olympus, freezes: [{ from: "2026-02-30T00:00:00Z", to: x }] }\n',
      ),
    );
    expect(diagnostics.map(({ message }) => message)).toEqual(
      expect.arrayContaining([
        'there is no time zone "Mars/Olympus"',
        '"2026-02-30T00:00:00Z" is no moment',
        '"x" is no moment',
      ]),
    );
  });
});
