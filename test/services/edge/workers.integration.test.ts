// An edge of several processes: real ones, killed and replaced under callers that count every failure.
import { request } from 'node:http';
import { afterEach, expect, it, vi } from 'vitest';
import { createRestartWorld, type RestartWorld } from '#test/chaos/restart-world.ts';
import type { WeirProcess } from '#test/support/weir-process.ts';

/** Real processes on a machine that may be busy with others. */
const PATIENCE = { timeout: 120_000 };
const WAIT = { timeout: 60_000, interval: 50 };

let world: RestartWorld;
afterEach(() => world.close());

const adminsOf = async (parent: WeirProcess, names: readonly string[]) =>
  new Map(
    await Promise.all(
      names.map(async (name) => {
        const [, url = ''] = await parent.line(new RegExp(`^${name}: admin address (\\S+)`));
        return [name, url] as const;
      }),
    ),
  );
const agentAt = async (admin: string) => {
  const response = await fetch(`${admin}/ready`);
  return (await response.json()) as { agent: string; ready: boolean };
};
const pidOf = async (parent: WeirProcess, name: string): Promise<number> => {
  const [, pid = ''] = await parent.line(new RegExp(`^worker ${name} is process ([1-9]\\d*)$`));
  return Number(pid);
};
/** Over a connection of its own. */
const status = (url: string): Promise<number> =>
  new Promise((resolve, reject) => {
    const sent = request(url, { agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    sent.on('error', reject);
    sent.end();
  });

it('workers are agents of their own, and a dead one is replaced', PATIENCE, async () => {
  const names = ['edge-1', 'edge-1-w2'];
  world = await createRestartWorld(names);
  const parent = world.start({ WEIR_WORKERS: '2' });
  const admins = await adminsOf(parent, names);
  for (const [name, admin] of admins)
    expect(await agentAt(admin)).toMatchObject({ agent: name, ready: true });
  expect(new Set(admins.values()).size).toBe(2);
  const callers = world.load(100);
  const victim = await pidOf(parent, 'edge-1-w2');
  await vi.waitFor(() => expect(callers.requests).toBeGreaterThan(20), WAIT);
  process.kill(victim, 'SIGKILL');
  await parent.line(/^worker edge-1-w2 ended \(SIGKILL\); another one starts$/);
  // Only what the dead one had in hand is lost.
  for (let i = 0; i < 20; i++) expect(await status(world.url)).toBe(200);
  await vi.waitFor(
    () =>
      expect(parent.lines.filter((line) => line.startsWith('edge-1-w2: admin'))).toHaveLength(2),
    WAIT,
  );
  await callers.stop();
  expect(callers.failures.length).toBeLessThanOrEqual(16);
  parent.signal('SIGTERM');
  expect(await parent.exited).toEqual({ code: 0, signal: null });
  await expect(status(world.url)).rejects.toThrow();
});

it('five restarts under load cost no request', PATIENCE, async () => {
  world = await createRestartWorld(['edge-1']);
  const parent = world.start({ WEIR_WORKERS: '1' });
  await adminsOf(parent, ['edge-1']);
  const callers = world.load(200);
  for (let i = 1; i <= 5; i++) {
    parent.signal('SIGHUP');
    await vi.waitFor(
      () => expect(parent.lines.filter((line) => line.endsWith('is replaced'))).toHaveLength(i),
      WAIT,
    );
  }
  await callers.stop();
  expect(callers.failures).toEqual([]);
  expect(callers.requests).toBeGreaterThan(200);
});

it('what cannot start ends the parent, too, with its exit code', PATIENCE, async () => {
  world = await createRestartWorld(['edge-1']);
  const parent = world.start({ WEIR_WORKERS: '2', WEIR_TRUSTED_KEYS: '/nowhere.json' });
  expect(await parent.exited).toEqual({ code: 2, signal: null });
  expect(parent.lines.join('\n')).toContain('/nowhere.json');
});
