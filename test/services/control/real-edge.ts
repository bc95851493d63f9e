// An edge of the gateway `public` in this process, on the real bus of an installation. It remembers nothing on disk.
import { readFile } from 'node:fs/promises';
import { createVerifier } from '#adapters/signer-ed25519/signer.ts';
import { systemTime } from '#services/agent/time.ts';
import { type Edge, startEdge } from '#services/edge/edge.ts';
import type { TestInstallation } from './installation.ts';

export const startRealEdge = async (place: TestInstallation, agent: string): Promise<Edge> => {
  const keys = await readFile(place.installation.trustedKeys, 'utf8');
  return await startEdge(
    {
      agent,
      mesh: 'default',
      gateway: 'public',
      admin: { host: '127.0.0.1', port: 0 },
      listenPorts: new Map([[8080, 0]]),
      drainDelayMs: 0,
    },
    {
      connect: () => place.connect(agent),
      verifier: createVerifier(JSON.parse(keys) as never),
      store: {
        load: async () => [],
        save: async () => {},
        flush: async () => {},
        putAside: async () => {},
      },
      time: systemTime,
      log: () => {},
      incarnation: 'one',
      write: () => {},
    },
  );
};
