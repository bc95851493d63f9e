// What a tunnel tells: a count when it is known whether there is a connection, a line of the access log at its end.
import type { AccessEntry } from '../access.ts';
import { requestIdOf } from '../downstream/request-id.ts';
import type { TunnelEntry, TunnelFacts } from './tunnel-facts.ts';

const ruleOf = ({ listener }: TunnelEntry): string => `listener/${listener.name}`;

/** A connection counts as one request, and its latency is how long it took to connect: some never end. */
export const recordConnect = (tunnel: TunnelFacts): void => {
  const { context, entry, upstream } = tunnel;
  context.samples.record({
    rule: ruleOf(entry),
    service: upstream?.plan.service ?? '',
    version: upstream?.plan.version ?? '',
    source: entry.principal ?? 'unknown',
    status: tunnel.status,
    flag: tunnel.flag,
    latencyMs: context.clock.monotonic() - tunnel.startedAt,
    requestBytes: 0,
    responseBytes: 0,
    retries: tunnel.tries > 1 ? tunnel.tries - 1 : 0,
  });
};

export const recordTunnel = (tunnel: TunnelFacts): void => {
  const { onAccess } = tunnel.context;
  if (onAccess) onAccess(entryOf(tunnel));
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
    notes: undefined,
  };
};
