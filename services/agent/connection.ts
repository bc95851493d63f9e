// The real bus and keys of an agent process, from its start-up config.
import { randomUUID } from 'node:crypto';
import { connectNats } from '#adapters/bus-nats/broker.ts';
import { createFileStore } from '#adapters/store-file/last-good.ts';
import type { AgentDeps } from './agent.ts';
import { type ProcessConfig, readCredentials, readNatsUrl, readVerifier } from './config.ts';
import { systemTime } from './time.ts';

export type Surroundings = Pick<
  AgentDeps,
  'connect' | 'verifier' | 'store' | 'time' | 'log' | 'incarnation'
>;

/** Throws ERR_CONFIG_INVALID for keys and credentials that are not there. */
export const openSurroundings = async (
  config: ProcessConfig,
  log: (line: string) => void,
): Promise<Surroundings> => {
  const [verifier, credentials, url] = await Promise.all([
    readVerifier(config.trustedKeysFile),
    readCredentials(config),
    readNatsUrl(config),
  ]);
  return {
    connect: (signal) =>
      connectNats({
        url,
        name: config.agent,
        ...(credentials === undefined ? {} : { credentials }),
        log,
        signal,
      }),
    verifier,
    store: createFileStore(config.stateFolder),
    time: systemTime,
    log,
    incarnation: randomUUID(),
  };
};
