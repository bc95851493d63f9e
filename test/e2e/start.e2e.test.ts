import { afterEach, describe, expect, it } from 'vitest';
import { type DemoRun, processesOf, startDemo } from './demo-run.ts';

const runs: DemoRun[] = [];
const start = async (...given: Parameters<typeof startDemo>) => {
  const run = await startDemo(...given);
  runs.push(run);
  return run;
};
afterEach(async () => {
  await Promise.all(runs.splice(0).map((run) => run.close()));
});

describe('npm start', () => {
  it('promotes a good version within two minutes and leaves nothing behind', async () => {
    const startedMs = Date.now();
    const run = await start(['--until', 'promoted']);
    const code = await run.ended;
    expect(run.output()).toContain('catalog v1.1 is promoted');
    expect(code).toBe(0);
    expect(Date.now() - startedMs).toBeLessThan(120_000);
    expect(run.output()).toMatch(/v1\.0 \d+ req .* \| v1\.1 \d+ req .* promote e=/);
    expect(run.readers()).toMatchObject({ failed: 0, lost: 0 });
    expect(processesOf(run.home)).toEqual([]);
  });

  it('rolls a bad version back, and says so again when it is run once more', async () => {
    const first = await start(['--bad', '--until', 'rolledBack']);
    expect(await first.ended, first.output()).toBe(0);
    expect(first.output()).toContain('catalog v1.1 is rolledBack');
    const second = await start(['--bad', '--until', 'rolledBack'], { home: first.home });
    expect(await second.ended, second.output()).toBe(0);
    expect(processesOf(first.home)).toEqual([]);
  });

  it('exits 1 with the reason when the rollout ends otherwise', async () => {
    const run = await start(['--bad', '--until', 'promoted']);
    expect(await run.ended).toBe(1);
    expect(run.output()).toContain('It was to be promoted.');
  });

  it('serves from the edge until Ctrl-C, which leaves no process', async () => {
    const run = await start(['--no-traffic']);
    await run.says('there will be no evidence');
    const response = await fetch(`http://127.0.0.1:${run.port}/catalog/books`);
    expect(response.status).toBeGreaterThan(0);
    run.ctrlC();
    // npm ends by the same signal.
    expect([0, null]).toContain(await run.ended);
    expect(processesOf(run.home)).toEqual([]);
  });

  it('leaves no process when Ctrl-C comes half-way through the start', async () => {
    const run = await start([]);
    await run.says('control is up');
    run.ctrlC();
    await run.ended;
    expect(processesOf(run.home)).toEqual([]);
  });
});

describe('a second npm start beside the first', () => {
  it('is told who is there, in one sentence', async () => {
    const first = await start(['--no-traffic']);
    await first.says('control is up');
    const second = await start([], { home: first.home });
    expect(await second.ended).toBe(1);
    expect(second.output()).toMatch(
      /Weir already runs here \(process \d+, http:\/\/localhost:\d+\)/,
    );
    expect(second.output()).not.toContain('    at ');
  });

  it('is told that the port is taken', async () => {
    const first = await start(['--no-traffic']);
    await first.says('the edge is on');
    const second = await start([], { port: first.port });
    expect(await second.ended).toBe(1);
    expect(second.output()).toContain(
      `Port ${first.port} is taken; choose another one with --port.`,
    );
  });
});

describe('wrong usage', () => {
  it('is one sentence and exit code 1', async () => {
    const run = await start(['--until', 'never']);
    expect(await run.ended).not.toBe(0);
    expect(run.output()).toContain('--until takes promoted or rolledBack');
  });
});
