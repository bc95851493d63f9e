// The east-west preset: an agent beside one application. It takes the application's traffic in and announces it.
import { sidecarScope } from '#engine/model/scope.ts';
import type { Workload } from '#engine/model/telemetry.ts';
import { type Agent, startAgent } from '../agent/agent.ts';
import type { PresetConfig, ProcessConfig } from '../agent/config.ts';
import type { Surroundings } from '../agent/connection.ts';
import { watchExchanges } from '../agent/exchanges.ts';
import { mustBeFree } from '../agent/free-port.ts';
import { version } from '../agent/release.ts';
import { UnknownKeys } from '../agent/unknown-keys.ts';
import { createWeirPlane } from '../agent/weir-plane.ts';
import { acceptsConnections } from './application.ts';
import type { SidecarConfig } from './config.ts';
import { placeView } from './inbound.ts';

export interface SidecarDeps extends Surroundings {
  /** Where the access log goes, if it is on. */
  readonly write: (text: string) => void;
}

export interface Sidecar extends Agent {
  /** Where traffic for the application comes in; undefined before there is a policy for it. */
  inbound(): { readonly host: string; readonly port: number } | undefined;
}

const LOOK_MS = 1000;

export const startSidecar = async (
  config: Omit<SidecarConfig, keyof ProcessConfig | 'command'> & PresetConfig,
  deps: SidecarDeps,
): Promise<Sidecar> => {
  await mustBeFree(config.inbound, 'WEIR_INBOUND');
  const { onAccess, flush } = watchExchanges(config, deps.write);
  const unknownKeys = new UnknownKeys(deps.time);
  const plane = createWeirPlane({
    clock: deps.time,
    reporter: 'destination',
    agent: config.agent,
    listenPorts: new Map([[config.app.port, config.inbound.port]]),
    maxConnections: config.maxConnections,
    log: deps.log,
    onUnknownKey: (issuer) => unknownKeys.note(issuer),
    ...(deps.files ? { files: deps.files } : {}),
    ...(onAccess ? { onAccess } : {}),
  });
  const { namespace, workload: name, labels, locality } = config;
  let isAppUp = false;
  const look = async (): Promise<void> => {
    const wasUp = isAppUp;
    isAppUp = await acceptsConnections(config.app);
    if (isAppUp !== wasUp) agent?.announce();
  };
  const inbound = () => {
    const [bound] = plane.addresses();
    return bound && { host: config.advertise, port: bound.port };
  };
  // Announced without endpoints until they can be called: control then knows what to compile, and nobody is sent here.
  const workload = (): Workload => {
    const at = isAppUp ? inbound() : undefined;
    const endpoints = at ? [{ address: at.host, port: at.port }] : [];
    return { namespace, name, labels, endpoints, ...(locality && { locality }) };
  };
  let agent: Agent | undefined;
  await look();
  const stopLooking = deps.time.every(LOOK_MS, () => void look());
  try {
    agent = await startAgent(
      {
        agent: config.agent,
        mesh: config.mesh,
        scope: sidecarScope(namespace, name),
        version,
        own: { name, namespace, app: labels['app'] ?? name, version: labels['version'] },
        admin: config.admin,
        drainDelayMs: config.drainDelayMs,
      },
      {
        ...deps,
        plane,
        unknownKeys,
        workload,
        prepare: placeView({ inbound: config.inbound, app: config.app }),
      },
    );
  } catch (error) {
    stopLooking();
    throw error;
  }
  const started = agent;
  return {
    ...started,
    inbound,
    close: async () => {
      stopLooking();
      await started.close();
      flush();
    },
  };
};
