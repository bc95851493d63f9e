// A Weir process as an operator starts it, its lines kept.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export interface WeirProcess {
  readonly pid: number;
  readonly lines: readonly string[];
  /** Resolves with the first line, past or to come, that matches. Rejects when the process ends before. */
  readonly line: (pattern: RegExp) => Promise<RegExpExecArray>;
  readonly exited: Promise<{ readonly code: number | null; readonly signal: string | null }>;
  readonly signal: (name: NodeJS.Signals) => void;
  /** SIGKILL, if it still runs. */
  close(): Promise<void>;
}

const root = fileURLToPath(new URL('../../', import.meta.url));

/** `service`: `edge`, `sidecar`, `control`, ... */
export const startWeirProcess = (
  service: string,
  env: Readonly<Record<string, string>>,
  args: readonly string[] = [],
): WeirProcess => {
  const child: ChildProcess = spawn(
    process.execPath,
    [`${root}services/${service}/main.ts`, ...args],
    { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const lines: string[] = [];
  const listeners = new Set<(line: string) => void>();
  for (const stream of [child.stdout, child.stderr])
    if (stream)
      createInterface({ input: stream }).on('line', (line) => {
        lines.push(line);
        for (const listener of listeners) listener(line);
      });
  const exited = once(child, 'exit').then(([code, signal]) => ({
    code: code as number | null,
    signal: signal as string | null,
  }));
  return {
    pid: child.pid ?? 0,
    lines,
    exited,
    line: (pattern) =>
      new Promise((resolve, reject) => {
        const look = (line: string): void => {
          const found = pattern.exec(line);
          if (found) resolve(found);
        };
        lines.forEach(look);
        listeners.add(look);
        void exited.then(() =>
          reject(new Error(`${service} ended before ${pattern}:\n${lines.join('\n')}`)),
        );
      }),
    signal: (name) => void child.kill(name),
    close: async () => {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
      await exited;
    },
  };
};
