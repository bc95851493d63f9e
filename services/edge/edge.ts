// The north-south preset: an agent whose data plane serves the listeners of one Gateway.
import type { BoundAddress } from '#adapters/dataplane-node/listener.ts';
import { edgeScope } from '#engine/model/scope.ts';
import { type Agent, startAgent } from '../agent/agent.ts';
import type { PresetConfig } from '../agent/config.ts';
import type { Surroundings } from '../agent/connection.ts';
import { watchExchanges } from '../agent/exchanges.ts';
import { version } from '../agent/release.ts';
import { UnknownKeys } from '../agent/unknown-keys.ts';
import { createWeirPlane } from '../agent/weir-plane.ts';
import type { EdgeConfig } from './config.ts';

export interface EdgeDeps extends Surroundings {
  /** Where the access log goes, if it is on. */
  readonly write: (text: string) => void;
}

export interface Edge extends Agent {
  /** Where it listens, once there is a policy. */
  addresses(): readonly BoundAddress[];
}

export const startEdge = async (
  config: Pick<EdgeConfig, 'gateway' | 'listenPorts'> &
    Partial<Pick<EdgeConfig, 'reusePort'>> &
    PresetConfig,
  deps: EdgeDeps,
): Promise<Edge> => {
  const { onAccess, flush } = watchExchanges(config, deps.write);
  const unknownKeys = new UnknownKeys(deps.time);
  const plane = createWeirPlane({
    clock: deps.time,
    reporter: 'source',
    agent: config.agent,
    locality: config.locality,
    listenPorts: config.listenPorts,
    reusePort: config.reusePort ?? false,
    maxConnections: config.maxConnections,
    log: deps.log,
    onUnknownKey: (issuer) => unknownKeys.note(issuer),
    ...(deps.files ? { files: deps.files } : {}),
    ...(onAccess ? { onAccess } : {}),
  });
  const agent = await startAgent(
    {
      agent: config.agent,
      mesh: config.mesh,
      scope: edgeScope(config.gateway),
      version,
      own: { name: config.gateway, app: config.gateway },
      admin: config.admin,
      drainDelayMs: config.drainDelayMs,
    },
    { ...deps, plane, unknownKeys },
  );
  return {
    ...agent,
    addresses: () => plane.addresses(),
    close: async () => {
      await agent.close();
      flush();
    },
  };
};
