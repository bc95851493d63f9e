// What listens on one port, told apart by the server name that a TLS caller asks for. Each entrance has TLS rules of its own.
import { EngineError } from '#engine/model/errors.ts';
import type { Listener, ListenerTls } from '#engine/model/snapshot.ts';
import {
  byHost,
  type ListenerPlan,
  type PortPlan,
  planOf,
  portPlanOf,
} from '../downstream/listener-plan.ts';

export interface HttpEntrance {
  readonly type: 'http';
  /** Equal for entrances that let in by the same rules. */
  readonly id: string;
  readonly plan: PortPlan;
  /** Undefined for plain HTTP. */
  readonly tls: ListenerTls | undefined;
  /** Equal for equal TLS settings, certificates included. */
  readonly tlsKey: string;
}

export interface TunnelEntrance {
  readonly type: 'tunnel';
  readonly id: string;
  readonly protocol: 'TCP' | 'TLS';
  readonly listener: ListenerPlan;
  /** `namespace/service` */
  readonly service: string;
  /** Undefined where the bytes go on as they are. */
  readonly tls: ListenerTls | undefined;
  readonly tlsKey: string;
}

export type Entrance = HttpEntrance | TunnelEntrance;

export interface PortEntrances {
  readonly port: number;
  readonly first: ListenerPlan;
  /** Every connection begins with the PROXY protocol. */
  readonly proxyProtocol: boolean;
  readonly all: readonly [Entrance, ...Entrance[]];
  /** For everybody; undefined where the server name decides. */
  readonly only: Entrance | undefined;
  /** Exact name, then the longest wildcard, then the listener without a hostname. */
  entranceFor(serverName: string | undefined): Entrance | undefined;
}

type Listeners = readonly [Listener, ...Listener[]];

const invalid = (listener: Listener, why: string): EngineError =>
  new EngineError('ERR_CONFIG_INVALID', `listener ${listener.name}: ${why}`);

/** `listeners` share an address and a port. Throws ERR_CONFIG_INVALID when they cannot. */
export const entrancesOf = (listeners: Listeners): PortEntrances => {
  checkSharing(listeners);
  const entrances = new Map<Listener, Entrance>();
  for (const group of groupsOf(listeners)) {
    const entrance = isTunnel(group[0]) ? tunnelEntrance(group[0]) : httpEntrance(group, listeners);
    for (const listener of group) entrances.set(listener, entrance);
  }
  const [first] = listeners;
  const all = [...new Set(entrances.values())] as [Entrance, ...Entrance[]];
  const byName = byHost(listeners, (listener) => entrances.get(listener));
  return {
    port: first.port,
    first: planOf(first),
    proxyProtocol: first.proxyProtocol === true,
    all,
    only: all.length === 1 && !isPassthrough(first) ? all[0] : undefined,
    entranceFor: (serverName) => byName(serverName ?? ''),
  };
};

const isTunnel = ({ protocol }: Listener): boolean => protocol === 'TCP' || protocol === 'TLS';

const isPassthrough = ({ protocol, tls }: Listener): boolean =>
  protocol === 'TLS' && (tls === undefined || tls.mode === 'Passthrough');

const checkSharing = (listeners: Listeners): void => {
  const [first] = listeners;
  const isEncrypted = ({ protocol }: Listener): boolean =>
    protocol === 'HTTPS' || protocol === 'TLS';
  for (const each of listeners.slice(1)) {
    if (each.protocol === 'TCP' || first.protocol === 'TCP')
      throw invalid(each, `a TCP listener shares port ${first.port} with nobody`);
    if (isEncrypted(each) !== isEncrypted(first))
      throw invalid(
        each,
        `shares port ${first.port} with ${first.name}, but is not encrypted alike`,
      );
    if ((each.proxyProtocol === true) !== (first.proxyProtocol === true))
      throw invalid(
        each,
        `shares port ${first.port} with ${first.name}, but not its proxyProtocol`,
      );
  }
};

/** HTTP listeners that let in by the same TLS rules belong together; every tunnel stands for itself. */
const groupsOf = (listeners: Listeners): readonly Listeners[] => {
  const groups = new Map<string, [Listener, ...Listener[]]>();
  for (const listener of listeners) {
    const key = isTunnel(listener) ? `tunnel ${listener.name}` : rulesOf(listener);
    const group = groups.get(key);
    if (group) group.push(listener);
    else groups.set(key, [listener]);
  }
  return [...groups.values()];
};

const rulesOf = ({ protocol, tls }: Listener): string =>
  JSON.stringify([protocol, tls?.minVersion, tls?.clientCertificate]);

const httpEntrance = (group: Listeners, all: Listeners): HttpEntrance => {
  const tls = group[0].protocol === 'HTTPS' ? sharedTls(group) : undefined;
  return {
    type: 'http',
    id: rulesOf(group[0]),
    plan: portPlanOf(group, all),
    tls,
    tlsKey: JSON.stringify(tls) ?? '',
  };
};

const tunnelEntrance = (listener: Listener): TunnelEntrance => {
  if (listener.upstream === undefined) throw invalid(listener, 'has no backend');
  const isDecrypted = listener.protocol === 'TLS' && !isPassthrough(listener);
  const tls = isDecrypted ? sharedTls([listener]) : undefined;
  return {
    type: 'tunnel',
    id: `tunnel ${listener.name} ${rulesOf(listener)}`,
    protocol: listener.protocol === 'TLS' ? 'TLS' : 'TCP',
    listener: planOf(listener),
    service: listener.upstream,
    tls,
    tlsKey: JSON.stringify(tls) ?? '',
  };
};

/** Certificates are told apart by server name. Without any it cannot be served; reading them says so. */
const sharedTls = (group: Listeners): ListenerTls => ({
  minVersion: '1.2',
  alpn: ['http/1.1'],
  mode: 'Terminate',
  ...group[0].tls,
  certificates: group.flatMap((each) => each.tls?.certificates ?? []),
});
