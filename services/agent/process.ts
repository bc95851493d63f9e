// A process from its first line to its exit code: start, run until told to stop, drain, end.
import cluster from 'node:cluster';
import { existsSync } from 'node:fs';
import { enableCompileCache, flushCompileCache } from 'node:module';
import { join, resolve } from 'node:path';
import { EngineError, reasonOf } from '#engine/model/errors.ts';

interface Running {
  /** Resolves with an exit code when there is nothing left to run for. Absent: runs until it is told to stop. */
  readonly ended?: Promise<number>;
  /** Readiness off, finish what is under way, cut after the deadline. */
  drain(deadlineMs: number): Promise<void>;
  /** After draining: ends what was started beside, and resolves with the exit code. */
  stop?(signal: NodeJS.Signals): Promise<number>;
  close(): Promise<void>;
}

interface ProcessOptions {
  readonly drainTimeoutMs: number;
  readonly start: () => Promise<Running>;
}

/** What a process does once its code is loaded. */
export interface Program {
  readonly prepare: () => ProcessOptions;
}

const SIGNALS = ['SIGTERM', 'SIGINT'] as const;
/** What a terminal sends to all is the parent's business. */
const WORKER_SIGNALS = ['SIGTERM'] as const;

/**
 * Ends the process. The first signal drains, a second one cuts at once, a third one does not even wait for that. Exit code 2:
 * told the wrong things; 1: could not start.
 */
export const runProcess = async (name: string, load: () => Promise<Program>): Promise<never> => {
  let signals = 0;
  const [first, second] = [Promise.withResolvers<NodeJS.Signals>(), Promise.withResolvers<void>()];
  if (cluster.isWorker) for (const signal of ['SIGINT', 'SIGHUP']) process.on(signal, () => {});
  for (const signal of cluster.isWorker ? WORKER_SIGNALS : SIGNALS)
    process.on(signal, () => {
      signals += 1;
      first.resolve(signal);
      if (signals === 2) second.resolve();
      if (signals > 2) process.exit(1);
    });
  const { options, running } = await start(name, load, first.promise);
  flushCompileCache(); // the next start may follow a crash
  const reason = await Promise.race([first.promise, running.ended ?? new Promise<never>(() => {})]);
  let code = 0;
  if (typeof reason === 'string') {
    if (cluster.isPrimary) console.log(`${reason}: draining`);
    await Promise.race([running.drain(options.drainTimeoutMs), second.promise]);
    code = (await running.stop?.(reason)) ?? 0;
  } else code = reason;
  await running.close();
  if (cluster.isPrimary) console.log('stopped');
  process.exit(code);
};

const start = async (
  name: string,
  load: () => Promise<Program>,
  signal: Promise<NodeJS.Signals>,
): Promise<{ options: ProcessOptions; running: Running }> => {
  try {
    keepCompiledCode();
    const { prepare } = await load();
    const options = prepare();
    const running = await Promise.race([options.start(), signal]);
    if (typeof running === 'string') process.exit(0);
    return { options, running };
  } catch (error) {
    console.error(`${name}: ${reasonOf(error)}`);
    process.exit(error instanceof EngineError && error.code === 'ERR_CONFIG_INVALID' ? 2 : 1);
  }
};

/** Most of a start is compiling; kept in the installation, because what lies in a common folder anybody could have written. */
const keepCompiledCode = (): void => {
  const home = resolve(process.env['WEIR_HOME'] || '.weir');
  if (existsSync(home)) enableCompileCache(join(home, 'cache', 'code'));
};
