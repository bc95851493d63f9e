// A real installation in a temporary folder: nats-server with accounts and users, control as a process of its own.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectNats, type NatsBroker } from '#adapters/bus-nats/broker.ts';
import { createVerifier } from '#adapters/signer-ed25519/signer.ts';
import type { Role } from '#engine/model/api.ts';
import type { Scope } from '#engine/model/scope.ts';
import { type AgentUser, type Installation, install } from '#services/setup/install.ts';
import { type NatsServer, startNatsServer } from '#services/setup/nats-server.ts';
import { FakeAgent, type FakeAgentOptions } from './fake-agent.ts';

export interface ControlProcess {
  readonly url: string;
  readonly pid: number;
  readonly output: () => string;
  kill(): Promise<void>;
  /** SIGTERM; resolves with the exit code. */
  stop(): Promise<number | null>;
  pause(): void;
  resume(): void;
}

export const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms);
  });

export const eventually = async (
  what: string,
  holds: () => boolean | Promise<boolean>,
  limitMs = 15_000,
): Promise<number> => {
  const startedMs = performance.now();
  while (performance.now() - startedMs < limitMs) {
    if (await holds()) return performance.now() - startedMs;
    await pause(10);
  }
  throw new Error(`it did not happen in ${limitMs} ms: ${what}`);
};

export class TestInstallation {
  readonly installation: Installation;
  nats: NatsServer;
  readonly #brokers: NatsBroker[] = [];
  readonly #agents: FakeAgent[] = [];
  readonly #processes: ChildProcess[] = [];
  readonly #beats: NodeJS.Timeout[] = [];

  constructor(installation: Installation, nats: NatsServer) {
    this.installation = installation;
    this.nats = nats;
  }

  static async create(agents: readonly AgentUser[]): Promise<TestInstallation> {
    const home = await mkdtemp(join(tmpdir(), 'weir-control-'));
    const installation = await install({ home, agents });
    return new TestInstallation(installation, await startNatsServer({ home }));
  }

  async connect(user: string): Promise<NatsBroker> {
    const file = this.installation.credentials[user];
    if (file === undefined) throw new Error(`no user ${user}`);
    const broker = await connectNats({
      url: this.nats.url,
      name: user,
      credentials: await readFile(file, 'utf8'),
    });
    this.#brokers.push(broker);
    return broker;
  }

  /** Beats every second until the end. */
  async agent(
    agent: string,
    scope: Scope,
    more: Partial<FakeAgentOptions> = {},
  ): Promise<FakeAgent> {
    const jwks = JSON.parse(await readFile(this.installation.trustedKeys, 'utf8')) as never;
    const started = await new FakeAgent({
      broker: await this.connect(agent),
      verifier: createVerifier(jwks),
      agent,
      scope,
      now: Date.now,
      ...more,
    }).start();
    this.#agents.push(started);
    this.#beats.push(setInterval(() => started.beat(), 1000));
    return started;
  }

  /** Rejects with the output of a process that ends before it is up. */
  async control(
    instance = 'control-1',
    environment: Readonly<Record<string, string>> = {},
  ): Promise<ControlProcess> {
    const child = spawn(process.execPath, ['services/control/main.ts'], {
      env: {
        ...process.env,
        WEIR_HOME: this.installation.home,
        WEIR_NATS_URL: this.nats.url,
        WEIR_ADMIN_ADDRESS: '127.0.0.1:0',
        WEIR_INSTANCE: instance,
        ...environment,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#processes.push(child);
    let output = '';
    const urls = Promise.withResolvers<string>();
    const hear = (data: Buffer): void => {
      output += data.toString();
      const [, url] = /admin API on (\S+)/.exec(output) ?? [];
      if (url !== undefined) urls.resolve(url);
    };
    child.stdout.on('data', hear);
    child.stderr.on('data', hear);
    const ended = once(child, 'exit') as Promise<[number | null]>;
    void ended.then(() => urls.reject(new Error(output)));
    urls.promise.catch(() => {});
    return {
      url: await urls.promise,
      pid: child.pid ?? 0,
      output: () => output,
      kill: async () => {
        child.kill('SIGKILL');
        await ended;
      },
      stop: async () => {
        child.kill('SIGTERM');
        return (await ended)[0];
      },
      pause: () => void child.kill('SIGSTOP'),
      resume: () => void child.kill('SIGCONT'),
    };
  }

  /** The same port and data as before. */
  async restartNats(downMs: number): Promise<void> {
    await this.nats.stop();
    await pause(downMs);
    this.nats = await startNatsServer({ home: this.installation.home });
  }

  async token(role: Role): Promise<string> {
    const { tokens } = JSON.parse(await readFile(this.installation.tokens, 'utf8')) as {
      tokens: { role: Role; token: string }[];
    };
    return tokens.find((one) => one.role === role)?.token ?? '';
  }

  async post<T>(url: string, path: string, body: object, role: Role = 'operator'): Promise<T> {
    const response = await fetch(`${url}${path}`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${await this.token(role)}`,
        'content-type': 'application/json',
      },
      body: JSON.stringify(body),
    });
    return (await response.json()) as T;
  }

  async get<T>(url: string, path: string, role: Role = 'viewer'): Promise<T> {
    const response = await fetch(`${url}${path}`, {
      headers: { authorization: `Bearer ${await this.token(role)}` },
    });
    return (await response.json()) as T;
  }

  async close(): Promise<void> {
    for (const beat of this.#beats) clearInterval(beat);
    for (const agent of this.#agents) agent.stop();
    for (const child of this.#processes) {
      child.kill('SIGCONT');
      child.kill('SIGKILL');
    }
    await Promise.all(this.#brokers.map((broker) => broker.close()));
    await this.nats.stop();
    await rm(this.installation.home, { recursive: true, force: true });
  }
}
