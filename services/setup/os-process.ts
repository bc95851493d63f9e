// Other processes of this machine, by their id.
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

export const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
};

/** Its command line; empty if it is gone, or dead and not yet collected. */
export const commandOf = async (pid: number): Promise<string> => {
  try {
    return (await readFile(`/proc/${pid}/cmdline`, 'utf8')).replaceAll('\0', ' ').trim();
  } catch {
    // No such folder on macOS.
  }
  try {
    return (await promisify(execFile)('ps', ['-o', 'command=', '-p', String(pid)])).stdout.trim();
  } catch {
    return '';
  }
};

const GRACE_MS = 5000;
const STEP_MS = 20;

/** Asks it to end, and makes it end when it does not. */
export const endProcess = async (pid: number): Promise<void> => {
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    try {
      process.kill(pid, signal);
    } catch {
      return;
    }
    for (let waitedMs = 0; waitedMs < GRACE_MS; waitedMs += STEP_MS) {
      if (!isAlive(pid) || (await commandOf(pid)) === '') return;
      await sleep(STEP_MS);
    }
  }
};
