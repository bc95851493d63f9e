// One `docker compose` project of its own: other ports, other volumes, removed at the end.
import { execFile, execFileSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { freePort, root } from './demo-run.ts';

const run = promisify(execFile);

const works = (command: string, args: readonly string[]): boolean => {
  try {
    execFileSync(command, args, { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
};

/** Why it cannot be tried here; undefined if it can. */
export const whyNoCompose = (): string | undefined => {
  if (!process.env['WEIR_COMPOSE']) return 'it runs with `npm run test:compose` only';
  if (!works('docker', ['info'])) return 'no Docker engine answers here';
  if (!isPlugin() && !works('docker-compose', ['version']))
    return 'there is no Docker Compose here';
  return undefined;
};

const isPlugin = () => works('docker', ['compose', 'version']);

export interface ComposeRun {
  readonly port: number;
  compose(...args: readonly string[]): Promise<string>;
  /** The `weir` command, inside the control container, where the tokens are. */
  weir(...args: readonly string[]): Promise<string>;
  /** Names of services that run, with their health. */
  states(): Promise<ReadonlyMap<string, string>>;
  healthy(service: string): Promise<void>;
  get(path: string, headers?: Readonly<Record<string, string>>): Promise<Response>;
  /** The readers' counts so far. */
  readers(): Promise<Readonly<Record<'sent' | 'ok' | 'failed' | 'lost', number>>>;
  close(): Promise<void>;
}

export const startCompose = async (): Promise<ComposeRun> => {
  const port = await freePort();
  const project = `weir-test-${process.pid}`;
  const env = {
    ...process.env,
    COMPOSE_PROJECT_NAME: project,
    WEIR_PORT: String(port),
    WEIR_ADMIN_PORT: String(await freePort()),
  };
  const [command, first] = isPlugin() ? ['docker', ['compose']] : ['docker-compose', []];
  const compose = async (...args: readonly string[]): Promise<string> => {
    const options = { cwd: root, env, maxBuffer: 64 * 2 ** 20 };
    const { stdout } = await run(command, [...first, ...args], options);
    return stdout;
  };
  const states = async () => {
    const label = `label=com.docker.compose.project=${project}`;
    const format = '{{.Label "com.docker.compose.service"}}\t{{.Status}}';
    const { stdout } = await run('docker', ['ps', '-a', '--filter', label, '--format', format]);
    return new Map(
      stdout
        .trim()
        .split('\n')
        .map((line) => line.split('\t') as [string, string]),
    );
  };
  return {
    port,
    compose,
    states,
    weir: (...args) => compose('exec', '-T', 'control', 'node', 'services/cli/main.ts', ...args),
    async healthy(service) {
      for (let round = 0; round < 360; round++) {
        const state = (await states()).get(service) ?? '';
        if (/^Up .*\(healthy\)|^Up [^(]*$/.test(state)) return;
        await sleep(500);
      }
      throw new Error(`${service} is not healthy: ${(await states()).get(service)}`);
    },
    get: (path, headers = {}) =>
      fetch(`http://localhost:${port}${path}`, { headers, signal: AbortSignal.timeout(5000) }),
    async readers() {
      const log = await compose('logs', '--no-color', '--tail=1', 'traffic');
      const count = (name: string) => Number(new RegExp(`${name}=(\\d+)`).exec(log)?.[1] ?? 0);
      return {
        sent: count('sent'),
        ok: count('ok'),
        failed: count('failed'),
        lost: count('lost'),
      };
    },
    close: async () => void (await compose('down', '-v', '--timeout', '5')),
  };
};
