// One demo per installation folder; and what a killed one left behind is found by the next.
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

interface Note {
  readonly pid: number;
  readonly port: number;
  readonly children: Readonly<Record<string, number>>;
}

export interface Lock {
  record(children: ReadonlyMap<string, number>): void;
  release(): void;
}

/** Throws one sentence if another demo runs on the same folder. */
export const takeLock = async (
  home: string,
  port: number,
  say: (line: string) => void,
): Promise<Lock> => {
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const path = join(home, 'demo.json');
  const write = (file: string, children: Note['children'], flag: 'w' | 'wx') =>
    writeFileSync(file, JSON.stringify({ pid: process.pid, port, children } satisfies Note), {
      flag,
      mode: 0o600,
    });
  /** Whole, whenever this process is killed. */
  const record = (children: ReadonlyMap<string, number>): void => {
    const draft = `${path}.${process.pid}`;
    write(draft, Object.fromEntries(children), 'w');
    renameSync(draft, path);
  };
  for (;;) {
    try {
      write(path, {}, 'wx');
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      const other = read(path);
      if (other && isDemo(other.pid))
        throw new Error(
          `Weir already runs here (process ${other.pid}, http://localhost:${other.port}). ` +
            `Stop it with Ctrl-C or \`kill ${other.pid}\`, or set WEIR_HOME and --port to run a second one.`,
        );
      await endLeftovers(other, say);
      rmSync(path, { force: true });
    }
  }
  return {
    record,
    release: () => rmSync(path, { force: true }),
  };
};

const read = (path: string): Note | undefined => {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Note;
  } catch {
    return undefined;
  }
};

/** Ends what an earlier demo started and could not stop, because it was killed itself. */
const endLeftovers = async (note: Note | undefined, say: (line: string) => void): Promise<void> => {
  const ours = Object.entries(note?.children ?? {}).filter(([, pid]) => isOurs(pid));
  if (ours.length > 0)
    say(
      `an earlier run was killed; ending what it left behind: ${ours.map(([name, pid]) => `${name} (${pid})`).join(', ')}`,
    );
  for (const [, pid] of ours) signal(pid, 'SIGTERM');
  for (let round = 0; round < 30 && ours.some(([, pid]) => isOurs(pid)); round++) await sleep(100);
  for (const [, pid] of ours) if (isOurs(pid)) signal(pid, 'SIGKILL');
};

const isDemo = (pid: number): boolean => commandOf(pid).includes('services/demo/main.ts');
const isOurs = (pid: number): boolean => /services\/|nats-server/.test(commandOf(pid));

/** A number may have been given to a stranger since; where the system tells, look who it is. */
const commandOf = (pid: number): string => {
  if (!signal(pid, 0)) return '';
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return process.platform === 'linux' ? '' : 'services/demo/main.ts';
  }
};

const signal = (pid: number, name: NodeJS.Signals | 0): boolean => {
  try {
    return process.kill(pid, name);
  } catch {
    return false;
  }
};
