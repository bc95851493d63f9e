// Which connections of TCP and TLS listeners policy lets in.
import {
  type ConnectionTest,
  type ConnectionVerdict,
  connectionTest,
} from '#engine/filters/authorization/connections.ts';
import type { PlaneView } from '#engine/ports/data-plane.ts';
import type { ProxiedAddresses } from './proxy-protocol.ts';

export interface Arrival {
  readonly listener: { readonly name: string };
  readonly addresses: ProxiedAddresses;
  readonly serverName: string | undefined;
  readonly principal: string | undefined;
}

export type Admission = (arrival: Arrival) => ConnectionVerdict;

const letIn: ConnectionVerdict = { isLetIn: true, notes: undefined };
export const everybody: Admission = () => letIn;

export const admissionOf = ({ snapshot }: PlaneView, nowMs: () => number): Admission => {
  const tests = new Map<string, ConnectionTest>();
  for (const listener of snapshot.listeners) {
    const test = connectionTest(snapshot, listener, nowMs);
    if (test) tests.set(listener.name, test);
  }
  if (tests.size === 0) return everybody;
  return ({ listener, addresses, serverName, principal }) =>
    tests.get(listener.name)?.({
      callerAddress: addresses.source.address,
      localAddress: addresses.destination.address,
      serverName,
      principal,
    }) ?? letIn;
};
