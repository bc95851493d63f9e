// The installation folder (`.weir/`) as the command needs it: where control is, and the tokens to talk to it.
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { CliError, exitCodes } from './exit.ts';
import type { Surroundings } from './surroundings.ts';

export const DEFAULT_URL = 'http://127.0.0.1:7400';

type World = Pick<Surroundings, 'env' | 'cwd' | 'root'>;

/** WEIR_HOME, else the nearest `.weir` from here upwards, else the one beside Weir itself. */
export const findHome = ({ env, cwd, root }: World): string => {
  if (env['WEIR_HOME']) return resolve(cwd, env['WEIR_HOME']);
  for (let folder = resolve(cwd); ; folder = dirname(folder)) {
    const candidate = join(folder, '.weir');
    if (existsSync(candidate)) return candidate;
    if (dirname(folder) === folder) return join(root, '.weir');
  }
};

export interface Target {
  readonly url: string;
  readonly token: string | undefined;
}

export const findTarget = (
  world: World,
  options: { readonly url?: string | undefined; readonly token?: string | undefined },
): Target => {
  const home = findHome(world);
  const url = options.url ?? world.env['WEIR_URL'] ?? urlIn(home) ?? DEFAULT_URL;
  if (!/^https?:$/.test(URL.parse(url)?.protocol ?? ''))
    throw new CliError(exitCodes.usage, `"${url}" is not an http address.`);
  const token = options.token ?? world.env['WEIR_TOKEN'] ?? tokenIn(home);
  return { url: url.replace(/\/+$/, ''), token };
};

const urlIn = (home: string): string | undefined => {
  const file = readJson(join(home, 'control.json')) as { url?: unknown } | undefined;
  return typeof file?.url === 'string' ? file.url : undefined;
};

/** The token of the person who owns the installation: the most powerful one. */
const tokenIn = (home: string): string | undefined => {
  const file = readJson(join(home, 'tokens.json')) as { tokens?: unknown } | undefined;
  const tokens = (Array.isArray(file?.tokens) ? file.tokens : []) as {
    role?: unknown;
    token?: unknown;
  }[];
  for (const role of ['admin', 'operator', 'viewer']) {
    const token = tokens.find((entry) => entry.role === role)?.token;
    if (typeof token === 'string') return token;
  }
  return undefined;
};

const readJson = (path: string): unknown => {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
};
