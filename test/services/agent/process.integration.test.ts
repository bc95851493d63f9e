// Agent processes as an operator meets them: what they say, and how they end.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { install } from '#services/setup/install.ts';
import { type EchoServer, startEchoServer } from '#test/support/echo-server.ts';
import { startWeirProcess, type WeirProcess } from '#test/support/weir-process.ts';

let home: string;
let taken: EchoServer;
let weir: WeirProcess;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'weir-process-'));
  await install({ home, agents: [{ name: 'edge', scope: 'edge.public' }] });
  taken = await startEchoServer();
});
afterEach(() => weir.close());
afterAll(async () => {
  await taken.close();
  await rm(home, { recursive: true, force: true });
});

const edge = (env: Record<string, string> = {}): WeirProcess => {
  weir = startWeirProcess('edge', {
    WEIR_HOME: home,
    WEIR_AGENT: 'edge',
    WEIR_GATEWAY: 'public',
    ...env,
  });
  return weir;
};
const sidecar = (command: readonly string[], env: Record<string, string> = {}): WeirProcess => {
  weir = startWeirProcess(
    'sidecar',
    {
      WEIR_HOME: home,
      WEIR_NAMESPACE: 'bibby',
      WEIR_WORKLOAD: 'catalog',
      WEIR_APP: '127.0.0.1:1',
      WEIR_DRAIN_DELAY: '0',
      ...env,
    },
    ['--', ...command],
  );
  return weir;
};

describe('an agent that cannot start', () => {
  it.each([
    [{ WEIR_GATEWAY: '' }, 2, /^edge: Set WEIR_GATEWAY to the name of the Gateway/],
    [
      { WEIR_TRUSTED_KEYS: '/nowhere.json' },
      2,
      /^edge: \/nowhere.json should hold the keys that control signs with/,
    ],
    [{ WEIR_CREDENTIALS: '/nowhere.nk' }, 2, /^edge: \/nowhere.nk should hold the bus credentials/],
    [
      { WEIR_TRUSTED_KEYS: '/etc/hostname' },
      2,
      /^edge: \/etc\/hostname cannot be used: it is not a/,
    ],
  ])('says why in one sentence: %o', async (env, code, sentence) => {
    const { exited, lines } = edge(env as Record<string, string>);
    expect(await exited).toEqual({ code, signal: null });
    expect(lines).toEqual([expect.stringMatching(sentence)]);
  });

  it('says which port is taken', async () => {
    const { exited, lines } = edge({ WEIR_LISTEN_PORTS: `8080=${taken.port}` });
    expect(await exited).toEqual({ code: 1, signal: null });
    expect(lines).toEqual([`edge: 0.0.0.0:${taken.port} (WEIR_LISTEN_PORTS) is in use already`]);
  });
});

describe('an agent that is told to stop', () => {
  it('drains and exits with 0', async () => {
    const { line, signal, exited, lines } = edge();
    await line(/^admin address http:\/\/127\.0\.0\.1:\d+$/);
    signal('SIGINT');
    expect(await exited).toEqual({ code: 0, signal: null });
    expect(lines).toContain('SIGINT: draining');
    expect(lines.at(-1)).toBe('stopped');
  });

  it('does not wait any longer when it is told twice', async () => {
    const { line, signal, exited } = edge({ WEIR_DRAIN_DELAY: '60s', WEIR_DRAIN_TIMEOUT: '60s' });
    await line(/^admin address/);
    signal('SIGTERM');
    await line(/draining/);
    signal('SIGTERM');
    expect(await exited).toEqual({ code: 0, signal: null });
  });
});

describe('a sidecar that runs the application', () => {
  it('ends with it, and with its exit code', async () => {
    const { exited } = sidecar([process.execPath, '-e', 'setTimeout(() => process.exit(7), 300)']);
    expect(await exited).toEqual({ code: 7, signal: null });
  });

  it('passes the signal on after it has drained', async () => {
    const { line, signal, exited } = sidecar([
      process.execPath,
      '-e',
      "process.on('SIGTERM', () => { console.log('app ends'); process.exit(3) }); console.log('app runs'); setInterval(() => {}, 1000)",
    ]);
    await line(/app runs/);
    signal('SIGTERM');
    await line(/app ends/);
    expect(await exited).toEqual({ code: 3, signal: null });
  });

  it('says that it cannot be run', async () => {
    const { exited, lines } = sidecar(['/nowhere/app']);
    expect(await exited).toEqual({ code: 2, signal: null });
    expect(lines.at(-1)).toMatch(/^sidecar: cannot run \/nowhere\/app/);
  });
});
