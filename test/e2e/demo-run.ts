// One `npm start` as a person types it: in its own terminal session, with its own installation folder and port.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { RolloutAnswer, RolloutStatus } from '#engine/model/api.ts';

export const root = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');

export const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
};

export const temporaryHome = (): string => mkdtempSync(join(tmpdir(), 'weir-home-'));

export interface DemoRun {
  readonly home: string;
  readonly port: number;
  /** Everything printed so far. */
  output(): string;
  /** Resolves with the exit code. */
  readonly ended: Promise<number | null>;
  /** Throws, with the output, when the text has not come in time or the demo ends before. */
  says(text: string | RegExp, timeoutMs?: number): Promise<void>;
  /** As the terminal does it: to the whole foreground group. */
  ctrlC(): void;
  /** Pid of a process that the demo started. */
  pid(name: string): number;
  api(path: string, body?: object): Promise<unknown>;
  rollout(): Promise<RolloutStatus | undefined>;
  /** The readers' counts as the demo's traffic process reported them last. */
  readers(): Record<'sent' | 'ok' | 'refused' | 'failed' | 'lost', number>;
  /** Ends it whatever state it is in, and removes its folder. */
  close(): Promise<void>;
}

export const startDemo = async (
  args: readonly string[],
  options: { readonly home?: string; readonly port?: number; readonly env?: object } = {},
): Promise<DemoRun> => {
  const home = options.home ?? temporaryHome();
  const port = options.port ?? (await freePort());
  const child = spawn('npm', ['start', '--', '--port', String(port), ...args], {
    cwd: root,
    env: { ...process.env, WEIR_HOME: home, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const run = watchRun(child);
  const api = async (path: string, body?: object): Promise<unknown> => {
    const { url } = readJson(join(home, 'control.json')) as { url: string };
    const { tokens } = readJson(join(home, 'tokens.json')) as {
      tokens: { role: string; token: string }[];
    };
    const token = tokens.find(({ role }) => role === 'admin')?.token;
    const response = await fetch(`${url}${path}`, {
      method: body ? 'POST' : 'GET',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return await response.json();
  };
  return {
    home,
    port,
    ...run,
    api,
    ctrlC: () => signalGroup(child, 'SIGINT'),
    pid: (name) => {
      const { children } = readJson(join(home, 'demo.json')) as {
        children: Record<string, number>;
      };
      const pid = children[name];
      if (pid === undefined)
        throw new Error(`no process ${name} in ${Object.keys(children).join()}`);
      return pid;
    },
    rollout: async () => {
      const { rollouts } = (await api('/v1/rollouts')) as RolloutAnswer;
      return rollouts.find(({ service }) => service === 'bibby/catalog-service');
    },
    readers: () => lastReaders(readFileSync(join(home, 'log', 'traffic.log'), 'utf8')),
    close: async () => {
      signalGroup(child, 'SIGTERM');
      await Promise.race([run.ended, sleep(30_000)]);
      signalGroup(child, 'SIGKILL');
      for (const { pid } of processesOf(home)) process.kill(pid, 'SIGKILL');
      rmSync(home, { recursive: true, force: true });
    },
  };
};

const watchRun = (child: ChildProcess) => {
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  let isOver = false;
  void ended.then(() => (isOver = true));
  return {
    ended,
    output: () => output,
    says: async (text: string | RegExp, timeoutMs = 90_000): Promise<void> => {
      const found = () => (typeof text === 'string' ? output.includes(text) : text.test(output));
      const deadline = Date.now() + timeoutMs;
      while (!found()) {
        if (isOver || Date.now() > deadline)
          throw new Error(`${isOver ? 'ended' : 'timed out'} without ${String(text)}:\n${output}`);
        await sleep(100);
      }
    },
  };
};

const signalGroup = (child: ChildProcess, signal: NodeJS.Signals): void => {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, signal);
  } catch {
    // Nobody is left in the group.
  }
};

/** Processes that carry the folder in their environment: what the demo started, and whatever that started. */
export const processesOf = (home: string): { readonly pid: number; readonly command: string }[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const environment = readFileSync(`/proc/${name}/environ`, 'utf8').split('\0');
        if (!environment.includes(`WEIR_HOME=${home}`)) return [];
        const command = readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ');
        return [{ pid: Number(name), command }];
      } catch {
        return [];
      }
    });

const lastReaders = (log: string) => {
  const line = log.split('\n').findLast((text) => text.startsWith('readers ')) ?? '';
  const count = (name: string) => Number(new RegExp(`${name}=(\\d+)`).exec(line)?.[1] ?? 0);
  return {
    sent: count('sent'),
    ok: count('ok'),
    refused: count('refused'),
    failed: count('failed'),
    lost: count('lost'),
  };
};

const readJson = (path: string): unknown => JSON.parse(readFileSync(path, 'utf8'));
