// A process from its first line to its exit code: start, run until told to stop, drain, end.
import { EngineError } from '#engine/model/errors.ts';

export interface Running {
  /** Resolves with an exit code when there is nothing left to run for. Absent: runs until it is told to stop. */
  readonly ended?: Promise<number>;
  /** Readiness off, finish what is under way, cut after the deadline. */
  drain(deadlineMs: number): Promise<void>;
  close(): Promise<void>;
  /** Told to stop; also called for a second signal. */
  signalled?(signal: NodeJS.Signals): void;
}

export interface ProcessOptions {
  readonly name: string;
  readonly drainTimeoutMs: () => number;
  readonly start: () => Promise<Running>;
}

const SIGNALS = ['SIGTERM', 'SIGINT'] as const;

/** Ends the process. Exit code 2: told the wrong things; 1: could not start. */
export const runProcess = async ({
  name,
  start,
  drainTimeoutMs,
}: ProcessOptions): Promise<void> => {
  const stopping = new Promise<NodeJS.Signals>((resolve) => {
    for (const signal of SIGNALS) process.once(signal, () => resolve(signal));
  });
  let running: Running;
  try {
    const started = await Promise.race([start(), stopping]);
    if (typeof started === 'string') process.exit(0);
    running = started;
  } catch (error) {
    console.error(`${name}: ${sentenceOf(error)}`);
    process.exit(error instanceof EngineError && error.code === 'ERR_CONFIG_INVALID' ? 2 : 1);
  }
  const reason = await Promise.race([stopping, running.ended ?? new Promise<never>(() => {})]);
  let code = 0;
  if (typeof reason === 'string') {
    console.log(`${name}: ${reason}, draining`);
    running.signalled?.(reason);
    await Promise.race([running.drain(drainTimeoutMs()), secondSignal(running)]);
    code = running.ended ? await Promise.race([running.ended, soon(0)]) : 0;
  } else code = reason;
  await running.close();
  console.log(`${name}: stopped`);
  process.exit(code);
};

const secondSignal = (running: Running): Promise<void> =>
  new Promise((resolve) => {
    for (const signal of SIGNALS)
      process.once(signal, () => {
        running.signalled?.(signal);
        resolve();
      });
  });

const soon = <T>(value: T): Promise<T> => new Promise((resolve) => setTimeout(resolve, 0, value));

const sentenceOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);
