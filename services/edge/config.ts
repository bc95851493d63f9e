// What the edge is told at start-up by its environment, on top of what every agent process is told.
import {
  choiceOf,
  type Environment,
  invalid,
  type ProcessConfig,
  parseProcessConfig,
  requiredOf,
  valueOf,
} from '../agent/config.ts';

export interface EdgeConfig extends ProcessConfig {
  /** Name of the Gateway that it serves. */
  readonly gateway: string;
  /** Where a policy's port is really listened on; a port that is not here is taken as it is. */
  readonly listenPorts: ReadonlyMap<number, number>;
  /** Processes behind the same ports, under a parent. Undefined: this one process only. */
  readonly workers: number | undefined;
  /** Other processes may listen on the same ports (SO_REUSEPORT). */
  readonly reusePort: boolean;
}

export const parseEdgeConfig = (env: Environment): EdgeConfig => {
  const gateway = requiredOf(env, 'WEIR_GATEWAY', 'the name of the Gateway to serve, as in public');
  return {
    ...parseProcessConfig(env, `edge-${gateway}`),
    gateway,
    listenPorts: listenPortsOf(valueOf(env, 'WEIR_LISTEN_PORTS') ?? ''),
    workers: workersOf(valueOf(env, 'WEIR_WORKERS')),
    reusePort: choiceOf(env, 'WEIR_REUSE_PORT', ['off', 'on']) === 'on',
  };
};

const MAX_WORKERS = 64;

const workersOf = (text: string | undefined): number | undefined => {
  if (text === undefined) return undefined;
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1 || count > MAX_WORKERS)
    throw invalid(`WEIR_WORKERS must be a number from 1 to ${MAX_WORKERS}, not "${text}".`);
  return count;
};

/** The first worker is the agent itself; the others have names, credentials and admin ports of their own. */
export const workerName = (agent: string, number: number): string =>
  number === 1 ? agent : `${agent}-w${number}`;

/** What a worker is told in place of what its parent was. */
export const workerEnvironment = (
  { agent, admin, credentialsFile }: Pick<EdgeConfig, 'agent' | 'admin' | 'credentialsFile'>,
  number: number,
): Readonly<Record<string, string>> => {
  const { host, port } = admin;
  const address = host.includes(':') ? `[${host}]` : host;
  return {
    WEIR_AGENT: workerName(agent, number),
    WEIR_ADMIN_ADDRESS: `${address}:${port === 0 ? 0 : port + number - 1}`,
    ...(credentialsFile !== undefined && {
      WEIR_CREDENTIALS:
        number === 1 ? credentialsFile : credentialsFile.replace(/(\.[^./]*)?$/, `-w${number}$1`),
    }),
  };
};

/** `80=8080,443=8443` */
const listenPortsOf = (text: string): ReadonlyMap<number, number> => {
  const ports = new Map<number, number>();
  for (const pair of text.split(',').filter((part) => part.trim() !== '')) {
    const [, from, to] = /^\s*(\d{1,5})=(\d{1,5})\s*$/.exec(pair) ?? [];
    if (from === undefined || Number(from) > 65_535 || Number(to) > 65_535)
      throw invalid(`WEIR_LISTEN_PORTS must be as in 80=8080,443=8443, not "${text}".`);
    ports.set(Number(from), Number(to));
  }
  return ports;
};
