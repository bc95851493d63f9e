// The part of set-up that every machine can show: what it answers to, and how it hands over.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

const setup = (...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> =>
  new Promise((resolve) => {
    execFile(
      process.execPath,
      [join(root, 'setup', 'main.mjs'), ...args],
      { env: { ...process.env, WEIR_TEST: process.env['WEIR_TEST_OF_SETUP'] ?? 'unit' } },
      (error, stdout, stderr) => {
        const code = typeof error?.code === 'number' ? error.code : 0;
        resolve({ code, stdout, stderr });
      },
    );
  });

describe('setup/main.mjs', () => {
  it.each([[[]], [['restart']], [['constructor']], [['test', '--fast']]])(
    'answers wrong usage with help: %j',
    async (args) => {
      const { code, stderr } = await setup(...args);
      expect(code).toBe(2);
      expect(stderr).toContain('usage: npm start');
    },
  );

  it('says what it can do', async () => {
    const { code, stdout } = await setup('--help');
    expect(code).toBe(0);
    expect(stdout).toContain('npm test');
  });

  it('ends with one line that counts the tests', async () => {
    const { code, stdout } = await setup('test', '--only-tests', 'adapters/bus-nats/warnings');
    expect(code).toBe(0);
    expect(stdout.trimEnd().split('\n').at(-1)).toMatch(/^\d+ passed, 0 failed$/);
  });

  it('counts it as a failure when there is nothing to run as asked', async () => {
    process.env['WEIR_TEST_OF_SETUP'] = 'unit,nonsense';
    const { code, stderr } = await setup('test', '--only-tests').finally(() => {
      delete process.env['WEIR_TEST_OF_SETUP'];
    });
    expect(code).toBe(1);
    expect(stderr).toBe('WEIR_TEST: "nonsense" is none of unit, integration, e2e.\n');
  });
});

describe('a program in the foreground', () => {
  const runner = (script: string) =>
    spawn(
      process.execPath,
      [
        '--input-type=module',
        '-e',
        `import { runInForeground } from ${JSON.stringify(join(root, 'setup', 'process.mjs'))};
         process.exitCode = await runInForeground(process.execPath, ['-e', ${JSON.stringify(script)}]);`,
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );

  it('hands on the exit code', async () => {
    expect(await once(runner('process.exit(7)'), 'exit')).toEqual([7, null]);
  });

  it('gets each signal once, though it comes twice, and may end in its own time', async () => {
    const child = runner(`
      let count = 0;
      process.on('SIGINT', () => { count += 1; });
      setTimeout(() => process.exit(count), 400);
      console.log('ready');
    `);
    await once(child.stdout, 'data');
    child.kill('SIGINT');
    child.kill('SIGINT');
    await new Promise((later) => setTimeout(later, 100));
    child.kill('SIGINT');
    expect(await once(child, 'exit')).toEqual([1, null]);
  });

  it('ends with 128 and the number of the signal that ended it', async () => {
    const child = runner(`setInterval(() => {}, 1000); console.log('ready');`);
    await once(child.stdout, 'data');
    child.kill('SIGTERM');
    expect(await once(child, 'exit')).toEqual([143, null]);
  });
});
