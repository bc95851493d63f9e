// The processes of one demo run: started one by one, restarted when they die, stopped in reverse order.
import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream, mkdirSync, type WriteStream } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

export interface ProcessSpec {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The line that says it is up; its groups are handed out. */
  readonly ready: RegExp;
  /** Changes for a restart, given the groups of the first start: a port must not move. */
  readonly pin?: (groups: RegExpExecArray) => Readonly<Record<string, string>>;
  readonly onLine?: (line: string) => void;
}

export interface Processes {
  /** Resolves with the match of `ready`. Throws one sentence if it ends or stays silent instead. */
  start(spec: ProcessSpec): Promise<RegExpExecArray>;
  stop(name: string): Promise<void>;
  /** In reverse order of their start. Safe to call twice and after a failed start. */
  stopAll(): Promise<void>;
  /** Without waiting for anybody. */
  killAll(): void;
  readonly pids: ReadonlyMap<string, number>;
}

interface Running {
  readonly spec: ProcessSpec;
  child: ChildProcess;
  exited: Promise<string>;
  stopping: boolean;
  restarts: number;
}

const READY_TIMEOUT_MS = 30_000;
const GRACE_MS = 8000;
const MOST_RESTARTS = 20;

export const createProcesses = (options: {
  readonly logFolder: string;
  /** Called with the present pids on every change, so that leftovers can be found by the next run. */
  readonly onChange: (pids: ReadonlyMap<string, number>) => void;
  readonly say: (line: string) => void;
}): Processes => {
  const running = new Map<string, Running>();
  const pids = new Map<string, number>();
  let isStopping = false;
  mkdirSync(options.logFolder, { recursive: true });

  const launch = (spec: ProcessSpec, env = spec.env, flags: 'w' | 'a' = 'w') => {
    const log = createWriteStream(join(options.logFolder, `${spec.name}.log`), { flags });
    // A group of its own: Ctrl-C in the terminal must not reach it before we say so.
    const child = spawn(spec.command, [...spec.args], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    const lines = watchLines(child, log, spec.onLine);
    const exited = new Promise<string>((resolve) => {
      child.once('error', (error) => resolve(error.message));
      child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`));
    });
    if (child.pid !== undefined) pids.set(spec.name, child.pid);
    options.onChange(pids);
    return { child, exited, lines };
  };

  const supervise = (entry: Running, env: ProcessSpec['env']): void => {
    void entry.exited.then(async (how) => {
      const { name } = entry.spec;
      pids.delete(name);
      if (entry.stopping || isStopping) return options.onChange(pids);
      if (++entry.restarts > MOST_RESTARTS)
        return options.say(`${name} ended (${how}) too often; see ${name}.log`);
      options.say(`${name} ended (${how}); starting it again`);
      await sleep(Math.min(250 * entry.restarts, 3000));
      if (entry.stopping || isStopping) return;
      const { child, exited } = launch(entry.spec, env, 'a');
      Object.assign(entry, { child, exited });
      supervise(entry, env);
    });
  };

  const stop = async (name: string): Promise<void> => {
    const entry = running.get(name);
    if (!entry) return;
    entry.stopping = true;
    entry.child.kill('SIGTERM');
    const end = new AbortController();
    const late = sleep(GRACE_MS, 'late', { signal: end.signal }).catch(() => undefined);
    if ((await Promise.race([entry.exited, late])) === 'late') {
      options.say(`${name} did not end in time; killed`);
      entry.child.kill('SIGKILL');
      await entry.exited;
    }
    end.abort();
    running.delete(name);
  };

  return {
    pids,
    stop,
    async start(spec) {
      const { child, exited, lines } = launch(spec);
      const entry: Running = { spec, child, exited, stopping: false, restarts: 0 };
      running.set(spec.name, entry);
      const match = await readyLine(spec, exited, lines);
      supervise(entry, spec.pin ? { ...spec.env, ...spec.pin(match) } : spec.env);
      return match;
    },
    async stopAll() {
      isStopping = true;
      for (const name of [...running.keys()].toReversed()) await stop(name);
    },
    killAll() {
      isStopping = true;
      for (const { child } of running.values()) child.kill('SIGKILL');
    },
  };
};

interface Lines {
  /** Called for every line, those of before first. */
  listen(hear: (line: string) => void): void;
  readonly last: () => string;
}

const watchLines = (
  child: ChildProcess,
  log: WriteStream,
  onLine?: (line: string) => void,
): Lines => {
  const seen: string[] = [];
  let hear: ((line: string) => void) | undefined;
  for (const stream of [child.stdout, child.stderr])
    if (stream)
      createInterface({ input: stream }).on('line', (line) => {
        log.write(`${line}\n`);
        onLine?.(line);
        if (hear) hear(line);
        seen.push(line);
        if (seen.length > 100) seen.shift();
      });
  child.once('close', () => log.end());
  return {
    listen(listener) {
      hear = listener;
      for (const line of seen) listener(line);
    },
    last: () => seen.at(-1) ?? '',
  };
};

const readyLine = async (
  { name, ready }: ProcessSpec,
  exited: Promise<string>,
  lines: Lines,
): Promise<RegExpExecArray> => {
  const end = new AbortController();
  const found = new Promise<RegExpExecArray>((resolve) => {
    lines.listen((line) => {
      const match = ready.exec(line);
      if (match) resolve(match);
    });
  });
  const late = sleep(READY_TIMEOUT_MS, `nothing for ${READY_TIMEOUT_MS / 1000} s`, {
    signal: end.signal,
  }).catch(() => '');
  const first = await Promise.race([found, exited, late]);
  end.abort();
  if (typeof first !== 'string') return first;
  // Its last words may come a moment after its exit.
  await sleep(50);
  throw new Error(`${name} did not start (${first}): ${lines.last() || 'it said nothing'}`);
};
