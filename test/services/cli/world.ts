// A world for one run of the command: what it prints is kept, nothing of this machine is seen.
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runWeir } from '#services/cli/program.ts';
import type { Surroundings } from '#services/cli/surroundings.ts';

export interface Run {
  readonly code: number;
  readonly out: string;
  readonly error: string;
}

export const temporaryFolder = (): string => mkdtempSync(join(tmpdir(), 'weir-cli-'));

export const weir = async (
  args: readonly string[],
  options: Partial<Surroundings> & { readonly stdinText?: string } = {},
): Promise<Run> => {
  let out = '';
  let error = '';
  const code = await runWeir(args, {
    env: {},
    cwd: options.root ?? '/nowhere',
    root: '/nowhere',
    isTerminal: false,
    columns: 100,
    out: (text) => {
      out += text;
    },
    error: (text) => {
      error += text;
    },
    stdin: async () => options.stdinText ?? '',
    now: () => 1_800_000_000_000,
    sleep: async () => {},
    stop: new AbortController().signal,
    ...options,
  });
  return { code, out, error };
};
