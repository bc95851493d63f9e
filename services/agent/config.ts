// What every agent process is told at start-up by its environment.
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join, resolve } from 'node:path';
import { createVerifier } from '#adapters/signer-ed25519/signer.ts';
import { EngineError } from '#engine/model/errors.ts';
import { isLocality } from '#engine/model/locality.ts';
import { subjectToken } from '#engine/model/subjects.ts';
import type { Verifier } from '#engine/ports/signer.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface ProcessConfig {
  readonly home: string;
  /** Folders, beside the installation's own `files`, whose files policies may name. */
  readonly folders: readonly string[];
  /** Absent: the file `nats/url` of the installation says it. */
  readonly natsUrl: string | undefined;
  readonly mesh: string;
  /** File with the nkey seed. Absent: the agent's own of the installation, if it has one. */
  readonly credentialsFile: string | undefined;
  readonly trustedKeysFile: string;
  readonly admin: Address;
  readonly agent: string;
  /** Where it runs, as region/zone; absent: nobody knows. */
  readonly locality?: string | undefined;
  readonly stateFolder: string;
  readonly drainTimeoutMs: number;
  readonly drainDelayMs: number;
  /** Callers' connections at a time. */
  readonly maxConnections: number;
  readonly accessLog: 'off' | 'json';
  /** By OpenTelemetry's API, for an SDK that was loaded beside (`node --import`). */
  readonly traces: 'off' | 'on';
}

/** Throws ERR_CONFIG_INVALID with one sentence for the person who set it. */
export const parseProcessConfig = (env: Environment, defaultAgent: string): ProcessConfig => {
  const home = resolve(valueOf(env, 'WEIR_HOME') ?? '.weir');
  const agent = valueOf(env, 'WEIR_AGENT') ?? defaultAgent;
  return {
    home,
    folders: (valueOf(env, 'WEIR_FILES') ?? '')
      .split(':')
      .filter((folder) => folder !== '')
      .map((folder) => resolve(folder)),
    natsUrl: valueOf(env, 'WEIR_NATS_URL'),
    mesh: nameOf(env, 'WEIR_MESH', 'default'),
    credentialsFile: valueOf(env, 'WEIR_CREDENTIALS'),
    trustedKeysFile: resolve(
      valueOf(env, 'WEIR_TRUSTED_KEYS') ?? join(home, 'keys', 'trusted.jwks.json'),
    ),
    admin: addressOf(env, 'WEIR_ADMIN_ADDRESS', '127.0.0.1:0'),
    agent,
    locality: localityOf(env),
    stateFolder: join(home, 'agents', subjectToken(agent)),
    drainTimeoutMs: secondsOf(env, 'WEIR_DRAIN_TIMEOUT', 30) * 1000,
    drainDelayMs: secondsOf(env, 'WEIR_DRAIN_DELAY', 0.5) * 1000,
    maxConnections: countOf(env, 'WEIR_MAX_CONNECTIONS', 50_000),
    accessLog: choiceOf(env, 'WEIR_ACCESS_LOG', ['off', 'json']),
    traces: choiceOf(env, 'WEIR_TRACES', ['off', 'on']),
  };
};

/** What the presets need of it once keys and credentials are read. */
export type PresetConfig = Pick<ProcessConfig, 'agent' | 'mesh' | 'admin' | 'drainDelayMs'> &
  Partial<Pick<ProcessConfig, 'accessLog' | 'traces' | 'locality' | 'maxConnections'>>;

export const invalid = (sentence: string, cause?: unknown): EngineError =>
  new EngineError('ERR_CONFIG_INVALID', sentence, { source: 'caller', cause });

/** An empty variable is an absent one. */
export const valueOf = (env: Environment, name: string): string | undefined =>
  env[name] === '' ? undefined : env[name];

export const requiredOf = (env: Environment, name: string, what: string): string => {
  const value = valueOf(env, name);
  if (value === undefined) throw invalid(`Set ${name} to ${what}.`);
  return value;
};

/** A name that may stand in subjects: letters, digits, `-`, `_`. */
const nameOf = (env: Environment, name: string, fallback: string): string => {
  const value = valueOf(env, name) ?? fallback;
  if (!/^[A-Za-z0-9_-]+$/.test(value))
    throw invalid(`${name} may have letters, digits, "-" and "_" only, not "${value}".`);
  return value;
};

/** `eu-west/a`, or a region only. */
const localityOf = (env: Environment): string | undefined => {
  const text = valueOf(env, 'WEIR_LOCALITY');
  if (text !== undefined && !isLocality(text))
    throw invalid(`WEIR_LOCALITY must be region/zone, as in eu-west/a, not "${text}".`);
  return text;
};

/** `127.0.0.1:7400`, `[::1]:7400`, `localhost:7400`. */
export const addressOf = (env: Environment, name: string, fallback: string): Address => {
  const text = valueOf(env, name) ?? fallback;
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  const port = Number(digits);
  if (host === undefined || port > 65_535 || (bracketed !== undefined && isIP(bracketed) !== 6))
    throw invalid(`${name} must be host:port, as in 127.0.0.1:8080, not "${text}".`);
  return { host, port };
};

/** `30`, `30s`, `500ms`. */
const secondsOf = (env: Environment, name: string, fallback: number): number => {
  const text = valueOf(env, name);
  if (text === undefined) return fallback;
  const [, amount, unit] = /^(\d+(?:\.\d+)?)(ms|s)?$/.exec(text) ?? [];
  if (amount === undefined) throw invalid(`${name} must be a time, as in 30s, not "${text}".`);
  return unit === 'ms' ? Number(amount) / 1000 : Number(amount);
};

const countOf = (env: Environment, name: string, fallback: number): number => {
  const text = valueOf(env, name);
  if (text === undefined) return fallback;
  if (!/^[1-9][0-9]{0,8}$/.test(text))
    throw invalid(`${name} must be a number, as in 50000, not "${text}".`);
  return Number(text);
};

export const choiceOf = <T extends string>(
  env: Environment,
  name: string,
  choices: readonly [T, ...T[]],
): T => {
  const text = valueOf(env, name) ?? choices[0];
  const choice = choices.find((candidate) => candidate === text);
  if (choice === undefined)
    throw invalid(`${name} must be one of ${choices.join(', ')}, not "${text}".`);
  return choice;
};

/** Keys that control's messages are checked with. */
export const readVerifier = async (file: string): Promise<Verifier> => {
  const text = await readText(file, 'the keys that control signs with (WEIR_TRUSTED_KEYS)');
  try {
    return createVerifier(JSON.parse(text) as Parameters<typeof createVerifier>[0]);
  } catch (cause) {
    const why = cause instanceof EngineError ? cause.message : 'it is not a JSON Web Key Set';
    throw invalid(`${file} cannot be used: ${why}.`, cause);
  }
};

/** Undefined for a server that asks nobody who he is. */
export const readCredentials = async (
  config: Pick<ProcessConfig, 'credentialsFile' | 'home' | 'agent'>,
): Promise<string | undefined> => {
  if (config.credentialsFile !== undefined)
    return await readText(config.credentialsFile, 'the bus credentials (WEIR_CREDENTIALS)');
  try {
    return await readFile(join(config.home, 'credentials', `${config.agent}.nk`), 'utf8');
  } catch {
    return undefined;
  }
};

/** Undefined while there is no nats-server of the installation: it writes its address once it runs. */
export const readNatsUrl = async (
  config: Pick<ProcessConfig, 'natsUrl' | 'home'>,
): Promise<string | undefined> => {
  if (config.natsUrl !== undefined) return config.natsUrl;
  try {
    const text = await readFile(join(config.home, 'nats', 'url'), 'utf8');
    return text.trim() === '' ? undefined : text.trim();
  } catch {
    return undefined;
  }
};

const readText = async (file: string, what: string): Promise<string> => {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw invalid(`${file} should hold ${what}, but it cannot be read.`, cause);
  }
};
