// What the edge is told at start-up by its environment, on top of what every agent process is told.
import {
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
}

export const parseEdgeConfig = (env: Environment): EdgeConfig => {
  const gateway = requiredOf(env, 'WEIR_GATEWAY', 'the name of the Gateway to serve, as in public');
  return {
    ...parseProcessConfig(env, `edge-${gateway}`),
    gateway,
    listenPorts: listenPortsOf(valueOf(env, 'WEIR_LISTEN_PORTS') ?? ''),
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
