// What is known of a tunnel: at its start, and what has come of it.
import type { CallerConnection } from '../downstream/connection-home.ts';
import type { ListenerPlan } from '../downstream/listener-plan.ts';
import type { PlaneContext } from '../exchange/context.ts';
import type { EndpointState } from '../upstream/endpoint.ts';
import type { UpstreamState } from '../upstream/upstream-state.ts';
import type { ProxiedAddresses } from './proxy-protocol.ts';

export interface TunnelEntry {
  readonly listener: ListenerPlan;
  /** `namespace/service` */
  readonly service: string;
  readonly protocol: 'TCP' | 'TLS';
  readonly addresses: ProxiedAddresses;
  readonly serverName: string | undefined;
  readonly principal: string | undefined;
  /** Decrypted here. */
  readonly isDecrypted: boolean;
  readonly onClosed: (tunnel: CallerConnection) => void;
}

export interface TunnelFacts {
  readonly entry: TunnelEntry;
  readonly context: PlaneContext;
  readonly startedAt: number;
  /** Of the policy that decided it. */
  readonly revision: number;
  readonly upstream: UpstreamState | undefined;
  readonly endpoint: EndpointState | undefined;
  /** 200: there was a connection. 403: policy refused it. 503: there was none to be had. 499: the caller did not wait for it. */
  readonly status: number;
  readonly flag: string;
  /** What policy had to say: `policy`, `rule`, `audit`. */
  readonly notes: Readonly<Record<string, string>> | undefined;
  readonly tries: number;
  readonly requestBytes: number;
  readonly responseBytes: number;
}
