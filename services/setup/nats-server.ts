// Runs nats-server on an installation's own data: finds a port, starts it again when it dies, notices leftovers of an
// earlier run, and tells it to read its configuration again.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, rm } from 'node:fs/promises';
import { EngineError } from '#engine/model/errors.ts';
import { findBinary } from './find-binary.ts';
import { type Home, homeAt, readIfThere, writeWhole } from './home.ts';
import { chooseLocalPort, greets } from './local-port.ts';
import { commandOf, endProcess, isAlive } from './os-process.ts';

export interface NatsServerOptions {
  readonly home: string;
  /** Default: the port of last time, or any free one. */
  readonly port?: number;
  readonly log?: (line: string) => void;
}

export interface NatsServer {
  readonly url: string;
  readonly port: number;
  /** Of the present process; changes when it had to be started again. */
  readonly pid: number;
  /** Orderly end. Safe to call twice. */
  stop(): Promise<void>;
}

interface State {
  readonly pid: number;
  readonly port: number;
  /** Process that looks after it. */
  readonly keeper: number;
}

const READY_MS = 15_000;
const LONGEST_WAIT_MS = 5000;

export const startNatsServer = async (options: NatsServerOptions): Promise<NatsServer> => {
  const home = homeAt(options.home);
  if ((await readIfThere(home.natsConfig)) === undefined)
    throw new EngineError('ERR_CONFIG_INVALID', `there is no installation in ${home.path}`, {
      source: 'caller',
    });
  const binary = await findBinary('nats-server');
  if (binary === undefined)
    throw new EngineError('ERR_CONFIG_INVALID', 'nats-server is not installed on this machine', {
      source: 'caller',
    });
  await endLeftover(home, options.log);
  const last = await readState(home);
  const port = await chooseLocalPort({ wanted: options.port, preferred: last?.port });
  const keeper = new Keeper(home, { binary, port, log: options.log ?? (() => {}) });
  await keeper.start();
  return keeper;
};

/** False when no server of this installation runs on this machine. */
export const reloadNatsServer = async (options: { readonly home: string }): Promise<boolean> => {
  const home = homeAt(options.home);
  const state = await readState(home);
  if (!state || !(await isOurs(home, state.pid))) return false;
  process.kill(state.pid, 'SIGHUP');
  return true;
};

const readState = async (home: Home): Promise<State | undefined> => {
  const text = await readIfThere(home.natsState);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as State;
  } catch {
    return undefined; // cut short by a crash; as good as none
  }
};

/** A process id may have been given to another program since. */
const isOurs = async (home: Home, pid: number): Promise<boolean> =>
  isAlive(pid) && (await commandOf(pid)).includes(home.natsConfig);

const endLeftover = async (home: Home, log?: (line: string) => void): Promise<void> => {
  const state = await readState(home);
  if (!state || !(await isOurs(home, state.pid))) return;
  if (isAlive(state.keeper) && (await commandOf(state.keeper)) !== '')
    throw new EngineError(
      'ERR_PORT_TAKEN',
      `Weir already runs on ${home.path} (nats-server is process ${state.pid}, started by process ${state.keeper}); stop it first, or set WEIR_HOME to another folder`,
      { source: 'caller' },
    );
  log?.(`ending nats-server process ${state.pid}, left over from an earlier run`);
  await endProcess(state.pid);
};

/** What it said last about itself. */
const lastComplaint = async (file: string): Promise<string> => {
  const log = (await readIfThere(file)) ?? '';
  const line = log.split('\n').findLast((one) => /\[(FTL|ERR)\]|nats-server: /.test(one));
  return line === undefined ? '' : `: ${line.replace(/^.*(\[(FTL|ERR)\]|nats-server:) /, '')}`;
};

class Keeper implements NatsServer {
  readonly port: number;
  readonly #home: Home;
  readonly #binary: string;
  readonly #log: (line: string) => void;
  #child: ChildProcess | undefined;
  #stopping = false;
  #failures = 0;
  #restart: NodeJS.Timeout | undefined;

  constructor(
    home: Home,
    options: {
      readonly binary: string;
      readonly port: number;
      readonly log: (line: string) => void;
    },
  ) {
    this.#home = home;
    this.#binary = options.binary;
    this.port = options.port;
    this.#log = options.log;
  }

  get url(): string {
    return `nats://127.0.0.1:${this.port}`;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  async start(): Promise<void> {
    const output = await open(this.#home.natsLog, 'a', 0o600);
    const args = ['-c', this.#home.natsConfig, '-a', '127.0.0.1', '-p', String(this.port)];
    // A group of its own: Ctrl-C in the terminal must not reach it before those who use it.
    const child = spawn(this.#binary, args, {
      stdio: ['ignore', output.fd, output.fd],
      detached: true,
    });
    await output.close();
    this.#child = child;
    child.once('error', () => {});
    const exited = new Promise<string>((resolve) => {
      child.once('error', (error) => resolve(error.message));
      child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`));
    });
    const failure = await Promise.race([greets(this.port, READY_MS), exited]);
    if (failure !== undefined) {
      await this.stop();
      throw new EngineError(
        'ERR_INTERNAL',
        `nats-server did not start (${failure})${await lastComplaint(this.#home.natsLog)}; see ${this.#home.natsLog}`,
      );
    }
    const state: State = { pid: this.pid, port: this.port, keeper: process.pid };
    await writeWhole(this.#home.natsState, `${JSON.stringify(state)}\n`);
    await writeWhole(this.#home.natsUrl, `${this.url}\n`);
    this.#failures = 0;
    void exited.then((how) => this.#died(how));
  }

  #died(how: string): void {
    if (this.#stopping) return;
    const waitMs = Math.min(250 * 2 ** this.#failures, LONGEST_WAIT_MS);
    this.#failures += 1;
    this.#log(`nats-server ended (${how}); starting it again`);
    this.#restart = setTimeout(() => {
      this.start().catch((error: Error) => this.#died(error.message));
    }, waitMs);
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    clearTimeout(this.#restart);
    const child = this.#child;
    if (child?.pid !== undefined && child.exitCode === null && child.signalCode === null) {
      const exited = once(child, 'exit');
      await endProcess(child.pid);
      await exited;
    }
    await rm(this.#home.natsUrl, { force: true });
  }
}
