// The application beside the sidecar: whether it takes connections, and its process if the sidecar runs it.
import { type ChildProcess, spawn } from 'node:child_process';
import { connect } from 'node:net';
import { EngineError } from '#engine/model/errors.ts';
import type { Address } from '../agent/config.ts';

const ANSWER_MS = 1000;

export const acceptsConnections = ({ host, port }: Address): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ host, port, timeout: ANSWER_MS });
    const end = (isUp: boolean): void => {
      socket.destroy();
      resolve(isUp);
    };
    socket.once('connect', () => end(true));
    socket.once('timeout', () => end(false));
    socket.once('error', () => end(false));
  });

export interface Application {
  /** Resolves with its exit code; one that a signal ended has 128 and the signal's number. */
  readonly ended: Promise<number>;
  /** Passes a signal on. */
  stop(signal: NodeJS.Signals): Promise<number>;
}

/** It shares our terminal and environment. Throws ERR_CONFIG_INVALID when it cannot be started. */
export const runApplication = async (command: readonly string[]): Promise<Application> => {
  const [program = '', ...args] = command;
  const child = spawn(program, args, { stdio: 'inherit' });
  const ended = exitOf(child);
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (cause) =>
      reject(new EngineError('ERR_CONFIG_INVALID', `cannot run ${program}: ${cause.message}`)),
    );
  });
  return {
    ended,
    stop: (signal) => {
      child.kill(signal);
      return ended;
    },
  };
};

const SIGNAL_NUMBERS: Readonly<Record<string, number>> = { SIGINT: 2, SIGKILL: 9, SIGTERM: 15 };

const exitOf = (child: ChildProcess): Promise<number> =>
  new Promise((resolve) => {
    child.once('exit', (code, signal) =>
      resolve(code ?? 128 + (SIGNAL_NUMBERS[signal ?? ''] ?? 0)),
    );
  });
