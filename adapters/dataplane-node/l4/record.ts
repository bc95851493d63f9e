// What a tunnel tells: a count when it is known whether there is a connection, a line of the access log at its end.
import type { AccessEntry } from '../access.ts';
import { requestIdOf } from '../downstream/request-id.ts';
import type { Outcome } from '../tally.ts';
import type { TunnelEntry, TunnelFacts } from './tunnel-facts.ts';

const ruleOf = ({ listener }: TunnelEntry): string => `listener/${listener.name}`;

/** A connection counts as one request, and its latency is how long it took to connect: some never end. */
export const recordConnect = (tunnel: TunnelFacts): void =>
  tunnel.context.samples.record({
    ...outcomeOf(tunnel),
    policy: tunnel.notes?.['policy'],
    policyRule: tunnel.notes?.['rule'],
    audit: tunnel.notes?.['audit'],
  });

export const recordTunnel = (tunnel: TunnelFacts): void => {
  const { onAccess, samples } = tunnel.context;
  // Callers that did not wait for a connection were never counted.
  if (tunnel.status !== 499) samples.recordEnd(outcomeOf(tunnel));
  if (onAccess) onAccess(entryOf(tunnel));
};

const outcomeOf = (tunnel: TunnelFacts): Outcome => {
  const { context, entry, upstream } = tunnel;
  return {
    rule: ruleOf(entry),
    service: upstream?.plan.service ?? '',
    version: upstream?.plan.version ?? '',
    source: entry.principal ?? 'unknown',
    protocol: 'tcp',
    isMutual: entry.principal !== undefined,
    status: tunnel.status,
    grpcStatus: undefined,
    flag: tunnel.flag,
    latencyMs: context.clock.monotonic() - tunnel.startedAt,
    requestBytes: tunnel.requestBytes,
    responseBytes: tunnel.responseBytes,
    retries: tunnel.tries > 1 ? tunnel.tries - 1 : 0,
  };
};

const entryOf = (tunnel: TunnelFacts): AccessEntry => {
  const { context, entry, upstream } = tunnel;
  return {
    atMs: context.clock.now(),
    requestId: requestIdOf(undefined),
    listener: entry.listener.name,
    clientAddress: entry.addresses.source.address,
    method: entry.protocol,
    host: entry.serverName ?? '',
    path: '',
    status: tunnel.status,
    flag: tunnel.flag === '' ? '-' : tunnel.flag,
    rule: ruleOf(entry),
    service: upstream?.plan.service ?? '',
    version: upstream?.plan.version ?? '',
    endpoint: tunnel.endpoint?.name ?? '',
    durationMs: context.clock.monotonic() - tunnel.startedAt,
    tries: tunnel.tries,
    requestBytes: tunnel.requestBytes,
    responseBytes: tunnel.responseBytes,
    principal: entry.principal,
    consumer: undefined,
    userAgent: undefined,
    revision: tunnel.revision,
    traceparent: undefined,
    notes: tunnel.notes,
  };
};
