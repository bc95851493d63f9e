// What a sidecar is told at start-up: its workload, the application beside it, and what every agent process is told.
import { networkInterfaces } from 'node:os';
import {
  type Address,
  addressOf,
  type Environment,
  invalid,
  type ProcessConfig,
  parseProcessConfig,
  requiredOf,
  valueOf,
} from '../agent/config.ts';

export interface SidecarConfig extends ProcessConfig {
  readonly namespace: string;
  readonly workload: string;
  readonly labels: Readonly<Record<string, string>>;
  /** The application beside it. */
  readonly app: Address;
  /** Where traffic for it comes in; port 0 takes any free one. */
  readonly inbound: Address;
  /** Host under which others reach the inbound listener. */
  readonly advertise: string;
  /** The application as a command to run, if it is to be run by the sidecar. */
  readonly command: readonly string[];
}

/** `args`: what stands on the command line; after `--` comes the application. */
export const parseSidecarConfig = (env: Environment, args: readonly string[]): SidecarConfig => {
  const namespace = requiredOf(env, 'WEIR_NAMESPACE', 'the namespace of the workload, as in bibby');
  const workload = requiredOf(env, 'WEIR_WORKLOAD', 'the name of the workload, as in catalog-v1');
  requiredOf(env, 'WEIR_APP', 'the address of the application, as in 127.0.0.1:9001');
  const inbound = addressOf(env, 'WEIR_INBOUND', '127.0.0.1:0');
  return {
    ...parseProcessConfig(env, `${namespace}-${workload}`),
    namespace,
    workload,
    labels: labelsOf(valueOf(env, 'WEIR_LABELS') ?? ''),
    app: addressOf(env, 'WEIR_APP', ''),
    inbound,
    advertise: valueOf(env, 'WEIR_ADVERTISE') ?? reachable(inbound.host),
    command: commandOf(args),
  };
};

/** `app=catalog-service,version=v1.1` */
const labelsOf = (text: string): Readonly<Record<string, string>> => {
  const labels: [string, string][] = [];
  for (const pair of text.split(',').filter((part) => part.trim() !== '')) {
    const [, name, value] = /^\s*([A-Za-z0-9./_-]+)=([A-Za-z0-9._-]*)\s*$/.exec(pair) ?? [];
    if (name === undefined || value === undefined)
      throw invalid(`WEIR_LABELS must be as in app=catalog-service,version=v1.1, not "${text}".`);
    labels.push([name, value]);
  }
  return Object.fromEntries(labels);
};

const commandOf = (args: readonly string[]): readonly string[] => {
  if (args.length === 0) return [];
  const [dashes, ...command] = args;
  if (dashes !== '--' || command.length === 0)
    throw invalid('Everything is set by the environment; after -- comes the application to run.');
  return command;
};

/** An address of all interfaces cannot be called; the first one that others can is announced in its place. */
const reachable = (host: string): string => {
  if (host !== '0.0.0.0' && host !== '::') return host;
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  const outside = addresses.find(({ internal, family }) => !internal && family === 'IPv4');
  return outside?.address ?? '127.0.0.1';
};
