// The real bus and keys of an agent process, from its start-up config.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { createPolicyFiles } from '#adapters/files-local/policy-files.ts';
import { createFileStore } from '#adapters/store-file/last-good.ts';
import type { AgentDeps } from './agent.ts';
import { type ProcessConfig, readCredentials, readNatsUrl, readVerifier } from './config.ts';
import { systemTime } from './time.ts';

export interface Surroundings
  extends Pick<AgentDeps, 'connect' | 'verifier' | 'store' | 'time' | 'log' | 'incarnation'> {
  /** Text of a file on this machine that a policy names; absent: it cannot be read. */
  readonly files?: (path: string) => string | undefined;
}

/** Throws ERR_CONFIG_INVALID for keys and credentials that are not there. */
export const openSurroundings = async (
  config: ProcessConfig,
  log: (line: string) => void,
): Promise<Surroundings> => {
  const [verifier, credentials] = await Promise.all([
    readVerifier(config.trustedKeysFile),
    readCredentials(config),
  ]);
  return {
    connect: async (signal) => {
      const { connectNats } = await import('#adapters/bus-nats/broker.ts'); // only now: serving comes first
      return await connectNats({
        url: await awaitNatsUrl(config, signal, log),
        name: config.agent,
        ...(credentials === undefined ? {} : { credentials }),
        log,
        signal,
      });
    },
    verifier,
    store: createFileStore(config.stateFolder),
    time: systemTime,
    log,
    incarnation: randomUUID(),
    files: createPolicyFiles(config),
  };
};

const LOOK_MS = 500;

/** An agent may start before the bus does, and serve from its last good state until then. */
const awaitNatsUrl = async (
  config: ProcessConfig,
  signal: AbortSignal,
  log: (line: string) => void,
): Promise<string> => {
  for (let looks = 0; ; looks += 1) {
    const url = await readNatsUrl(config);
    if (url !== undefined) return url;
    if (looks === 0)
      log(`no nats-server runs in ${config.home}; set WEIR_NATS_URL to use another, or start it`);
    await sleep(LOOK_MS, undefined, { signal });
  }
};
