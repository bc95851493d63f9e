// What the control process is told at start-up by its environment and by the files of the installation.
import { readFileSync, statSync } from 'node:fs';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { EngineError, reasonOf } from '#engine/model/errors.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

export interface ControlSettings {
  readonly home: string;
  readonly natsUrl: string;
  readonly mesh: string;
  readonly instance: string;
  readonly host: string;
  readonly port: number;
  readonly credentialsFile: string;
  readonly usersFile: string;
  readonly tokensFile: string;
  readonly signingKeyFile: string;
  readonly trustedKeysFile: string;
  /** Folders, beside the installation's own `files`, whose files policies may name. */
  readonly folders: readonly string[];
}

const invalid = (sentence: string, cause?: unknown): EngineError =>
  new EngineError('ERR_CONFIG_INVALID', sentence, { source: 'caller', cause });

/** Throws ERR_CONFIG_INVALID with one sentence for the person who set it. */
export const parseSettings = (env: Environment): ControlSettings => {
  const home = resolve(valueOf(env, 'WEIR_HOME') ?? '.weir');
  const file = (name: string, ...path: string[]): string =>
    resolve(valueOf(env, name) ?? join(home, ...path));
  return {
    home,
    natsUrl: natsUrlOf(env, home),
    mesh: nameOf(env, 'WEIR_MESH', 'default'),
    instance: nameOf(env, 'WEIR_INSTANCE', hostname().replace(/[^A-Za-z0-9_-]/g, '_')),
    ...addressOf(env, 'WEIR_ADMIN_ADDRESS', '127.0.0.1:7400'),
    credentialsFile: file('WEIR_CREDENTIALS', 'credentials', 'control.nk'),
    usersFile: file('WEIR_USERS', 'nats', 'users.json'),
    tokensFile: file('WEIR_TOKENS', 'tokens.json'),
    signingKeyFile: file('WEIR_SIGNING_KEY', 'keys', 'control.jwk.json'),
    folders: (valueOf(env, 'WEIR_FILES') ?? '')
      .split(':')
      .filter((folder) => folder !== '')
      .map((folder) => resolve(folder)),
    trustedKeysFile: file('WEIR_TRUSTED_KEYS', 'keys', 'trusted.jwks.json'),
  };
};

/** An empty variable is an absent one. */
const valueOf = (env: Environment, name: string): string | undefined =>
  env[name] === '' ? undefined : env[name];

const natsUrlOf = (env: Environment, home: string): string => {
  const given = valueOf(env, 'WEIR_NATS_URL');
  if (given !== undefined) return given;
  const file = join(home, 'nats', 'url');
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (cause) {
    throw invalid(
      `Set WEIR_NATS_URL to the address of a nats-server, or start one with this installation: there is no ${file}.`,
      cause,
    );
  }
};

const nameOf = (env: Environment, name: string, fallback: string): string => {
  const value = valueOf(env, name) ?? fallback;
  if (!/^[A-Za-z0-9_-]+$/.test(value))
    throw invalid(`${name} may have letters, digits, "-" and "_" only, not "${value}".`);
  return value;
};

const addressOf = (env: Environment, name: string, fallback: string) => {
  const text = valueOf(env, name) ?? fallback;
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  const port = Number(digits);
  if (host === undefined || port > 65_535)
    throw invalid(`${name} must be host:port, as in 127.0.0.1:7400, not "${text}".`);
  return { host, port };
};

/** Throws ERR_CONFIG_INVALID. `what` says it for people, with the name of the variable. */
export const readJsonFile = <T>(file: string, what: string, read: (value: never) => T): T => {
  try {
    return read(JSON.parse(readFileSync(file, 'utf8')) as never);
  } catch (cause) {
    const why = reasonOf(cause);
    throw invalid(`${what}: ${file} cannot be used: ${why}.`, cause);
  }
};

export const readTextFile = (file: string, what: string): string => {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (cause) {
    throw invalid(`${what}: ${file} cannot be read.`, cause);
  }
};

/** A file's content, read again whenever the file has changed. While the new content is bad the old one stays. */
export const followFile = <T>(file: string, read: (file: string) => T): (() => T) => {
  const stamp = (): number => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? Number.NaN;
  let stampMs = stamp();
  let content = read(file);
  return () => {
    const nowMs = stamp();
    if (nowMs === stampMs || Number.isNaN(nowMs)) return content;
    stampMs = nowMs;
    try {
      content = read(file);
    } catch {
      // Half written: the next question reads it whole.
      stampMs = Number.NaN;
    }
    return content;
  };
};
