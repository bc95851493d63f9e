import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ComposeRun, startCompose, whyNoCompose } from './compose-run.ts';

const reason = whyNoCompose();
if (reason) process.stdout.write(`docker compose is not tried: ${reason}\n`);

const longRunning = [
  'nats',
  'control',
  'edge',
  'catalog',
  'catalog-sidecar',
  'library',
  'library-sidecar',
  'circulation',
  'circulation-sidecar',
  'traffic',
  'catalog-next',
  'catalog-next-sidecar',
] as const;

/** Without these the readers still get every book. */
const spare = ['nats', 'control'] as const;

describe.skipIf(reason !== undefined)('docker compose up', () => {
  let run: ComposeRun;
  beforeAll(async () => {
    run = await startCompose();
    await run.compose('up', '-d', '--build');
    for (const service of longRunning) await run.healthy(service);
  }, 600_000);
  afterAll(() => run?.close(), 120_000);

  const untilServed = async (path: string): Promise<void> => {
    for (let round = 0; round < 100; round++) {
      const response = await run.get(path).catch(() => undefined);
      if (response?.status === 200) return;
      await sleep(300);
    }
    throw new Error(`${path} is not served`);
  };

  it('serves the three services to who may have them', async () => {
    for (const path of ['/catalog/books', '/library/shelves', '/circulation/checkouts'])
      expect((await run.get(path)).status).toBe(200);
    expect((await run.get('/catalog/whoami')).status).toBe(401);
    const token = (await run.weir('token', '--sub', 'alice')).trim();
    const response = await run.get('/catalog/whoami', { authorization: `Bearer ${token}` });
    expect(await response.json()).toMatchObject({ user: 'alice' });
  });

  it('runs nothing as root', async () => {
    for (const service of longRunning)
      expect((await run.compose('exec', '-T', service, 'id', '-u')).trim(), service).toBe('1000');
  });

  it('gives agents their own credentials and nothing else', async () => {
    const list = await run.compose(
      'exec',
      '-T',
      'edge',
      'find',
      '/run/weir',
      '/var/lib/weir',
      '-type',
      'f',
    );
    expect(list).not.toMatch(/control|tokens|dev-issuer|admin/);
  });

  it('brings the new version to a decision while readers read on', async () => {
    for (let round = 0; round < 240; round++) {
      const { rollouts } = JSON.parse(await run.weir('rollout', 'status', '-o', 'json')) as {
        rollouts: { state: string; reason: string }[];
      };
      if (rollouts[0]?.state === 'succeeded') return;
      expect(rollouts[0]?.state, rollouts[0]?.reason).not.toBe('failed');
      await sleep(1000);
    }
    throw new Error(await run.weir('rollout', 'status'));
  }, 300_000);

  it.each(spare)(
    'loses no request while %s is killed and started again',
    async (service) => {
      const before = await run.readers();
      await run.compose('kill', service);
      await sleep(5000);
      await run.compose('start', service);
      await run.healthy(service);
      const after = await run.readers();
      expect(after.sent).toBeGreaterThan(before.sent);
      expect([after.failed, after.lost]).toEqual([before.failed, before.lost]);
    },
    300_000,
  );

  it.each(longRunning)(
    'recovers when %s is killed and started again',
    async (service) => {
      await run.compose('kill', service);
      await sleep(1000);
      await run.compose('start', service);
      await run.healthy(service);
      for (const path of ['/catalog/books', '/library/shelves', '/circulation/checkouts'])
        await untilServed(path);
    },
    300_000,
  );

  it('takes a new policy after all that', async () => {
    const answer = await run.weir('apply', '-f', 'policies/', '--wait', '--timeout', '60s');
    expect(answer).toContain('applied by');
  }, 300_000);
});
