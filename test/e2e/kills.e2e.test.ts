// The whole installation with readers in it, while parts of it are killed.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { startTestNatsServer } from '#test/support/nats-server.ts';
import { type DemoRun, processesOf, startDemo } from './demo-run.ts';

const open: { close(): Promise<void> }[] = [];
const keep = <T extends { close(): Promise<void> }>(thing: T): T => {
  open.unshift(thing);
  return thing;
};
afterEach(async () => {
  for (const thing of open.splice(0)) await thing.close();
});

/** Kills control once in every state and at every step that the rollout shows, until it has ended. */
const killAtEveryStep = async (run: DemoRun): Promise<string[]> => {
  const seen = new Set<string>();
  const deadline = Date.now() + 280_000;
  while (Date.now() < deadline) {
    const rollout = await run.rollout().catch(() => undefined);
    if (rollout?.canary) {
      const place = `${rollout.state} ${rollout.weight}%`;
      if (!seen.has(place)) {
        seen.add(place);
        process.kill(run.pid('control'), 'SIGKILL');
      }
      if (rollout.state === 'succeeded' || rollout.state === 'failed') break;
    }
    await sleep(100);
  }
  return [...seen];
};

describe('kill -9 of control', () => {
  it('at every step neither stops the rollout nor costs a request', async () => {
    const run = keep(await startDemo([]));
    await run.says('catalog v1.1 is up');
    const seen = await killAtEveryStep(run);
    expect(seen).toContain('succeeded 100%');
    expect(seen.length).toBeGreaterThanOrEqual(6);
    await run.says('catalog v1.1 is promoted');
    expect(run.readers()).toMatchObject({ failed: 0, lost: 0 });
    run.ctrlC();
    await run.ended;
    expect(processesOf(run.home)).toEqual([]);
  });

  it('in the middle of a rollback does not bring the bad version back', async () => {
    const run = keep(await startDemo(['--bad']));
    await run.says('catalog v1.1 is up');
    const seen = await killAtEveryStep(run);
    expect(seen.at(-1)).toBe('failed 0%');
    await sleep(3000);
    expect(await run.rollout()).toMatchObject({ state: 'failed', weight: 0 });
    const { failed } = run.readers();
    await sleep(3000);
    expect(run.readers().failed).toBe(failed);
  });
});

describe('a nats-server that is away for thirty seconds', () => {
  it('costs no request, and the rollout goes on when it is back', async () => {
    const server = keep(await startTestNatsServer());
    const run = keep(await startDemo([], { env: { WEIR_NATS_URL: server.url } }));
    await run.says(/progressing: v1\.1 at 10%/);
    await server.kill();
    await sleep(30_000);
    const { sent } = run.readers();
    await server.start();
    await run.says(/v1\.1 at (?:[2-9]\d|100)%/, 200_000);
    expect(run.readers().sent).toBeGreaterThan(sent);
    expect(run.readers()).toMatchObject({ failed: 0, lost: 0 });
  });
});
