import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { takeLock } from '#services/demo/lock.ts';
import { createProcesses } from '#services/demo/processes.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'weir-demo-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const isAlive = (pid: number | undefined) => {
  try {
    return pid !== undefined && process.kill(pid, 0);
  } catch {
    return false;
  }
};

const listener = `
  const server = require('node:net').createServer().listen(process.env.PORT || 0, () =>
    console.log('up on ' + server.address().port));
  process.once('SIGTERM', () => { console.log('bye'); process.exit(0); });
`;

const setUp = () => {
  const said: string[] = [];
  const order: string[] = [];
  const processes = createProcesses({
    logFolder: folder,
    onChange: () => {},
    say: (line) => said.push(line),
  });
  const spec = (name: string, script = listener) => ({
    name,
    command: process.execPath,
    args: ['-e', script],
    env: {},
    ready: /^up on (\d+)/,
    pin: (groups: RegExpExecArray) => ({ PORT: groups[1] ?? '' }),
    onLine: (line: string) => {
      if (line === 'bye') order.push(name);
    },
  });
  return { processes, spec, said, order };
};

describe('the processes of a demo', () => {
  it('end in reverse order of their start', async () => {
    const { processes, spec, order } = setUp();
    for (const name of ['one', 'two', 'three']) await processes.start(spec(name));
    await processes.stopAll();
    await vi.waitFor(() => expect(order).toEqual(['three', 'two', 'one']));
    expect(processes.pids.size).toBe(0);
  });

  it('come back on the same port when they are killed', async () => {
    const { processes, spec, said } = setUp();
    const [, port = ''] = await processes.start(spec('one'));
    const first = processes.pids.get('one') ?? 0;
    process.kill(first, 'SIGKILL');
    await vi.waitFor(
      () =>
        expect(readFileSync(join(folder, 'one.log'), 'utf8')).toBe(
          `up on ${port}\nup on ${port}\n`,
        ),
      5000,
    );
    expect(processes.pids.get('one')).not.toBe(first);
    expect(said[0]).toBe('one ended (SIGKILL); starting it again');
    await processes.stopAll();
  });

  it('that cannot start say why, and leave the others to be stopped', async () => {
    const { processes, spec } = setUp();
    await processes.start(spec('one'));
    const bad = spec('two', 'console.error("no such thing"); process.exit(3)');
    await expect(processes.start(bad)).rejects.toThrow(
      'two did not start (exit code 3): no such thing',
    );
    const pid = processes.pids.get('one');
    await processes.stopAll();
    expect(isAlive(pid)).toBe(false);
  });
});

describe('the lock', () => {
  const say = (): void => {};

  it('takes no offence at a damaged note, and leaves whole ones only', async () => {
    const note = join(folder, 'demo.json');
    writeFileSync(note, '{"pid": 12');
    const lock = await takeLock(folder, 8080, say);
    lock.record(new Map([['control', 1234]]));
    expect(JSON.parse(readFileSync(note, 'utf8'))).toMatchObject({
      pid: process.pid,
      children: { control: 1234 },
    });
    lock.release();
  });

  it('is taken again after its release', async () => {
    (await takeLock(folder, 8080, say)).release();
    (await takeLock(folder, 8080, say)).release();
  });

  it('says which demo holds it', async () => {
    const stub = join(folder, 'services/demo/main.ts');
    const { processes } = setUp();
    await processes.start({
      name: 'other',
      command: process.execPath,
      args: ['-e', 'console.log("up on 1"); setInterval(() => {}, 1000)', stub],
      env: {},
      ready: /up/,
    });
    const pid = processes.pids.get('other');
    writeFileSync(join(folder, 'demo.json'), JSON.stringify({ pid, port: 8080, children: {} }));
    await expect(takeLock(folder, 8081, say)).rejects.toThrow(
      `Weir already runs here (process ${pid}, http://localhost:8080). Stop it with Ctrl-C or \`kill ${pid}\``,
    );
    await processes.stopAll();
  });

  it('ends what a killed demo left behind, and nobody else', async () => {
    const start = (mark: string) =>
      spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)', mark], { stdio: 'ignore' });
    const [ours, stranger] = [start('services/edge/main.ts'), start('something-else')];
    const children = { edge: ours.pid, stranger: stranger.pid };
    writeFileSync(join(folder, 'demo.json'), JSON.stringify({ pid: 2 ** 22, port: 1, children }));
    const lines: string[] = [];
    const lock = await takeLock(folder, 8080, (line) => void lines.push(line));
    await sleep(50);
    expect([isAlive(ours.pid), isAlive(stranger.pid)]).toEqual([false, true]);
    expect(lines).toEqual([
      `an earlier run was killed; ending what it left behind: edge (${ours.pid})`,
    ]);
    lock.release();
    stranger.kill('SIGKILL');
  });
});
