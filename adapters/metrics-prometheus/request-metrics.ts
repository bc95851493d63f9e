// Requests by the names and labels that Istio gave them, so that existing dashboards and alerts work unchanged.

import type { Histogram } from '#engine/model/telemetry.ts';
import type { OutcomeFacts, SampleFacts } from '#engine/ports/data-plane.ts';
import { type Caller, callerOf, type OwnWorkload, UNKNOWN } from './peers.ts';
import type { Family, Labels, Observations } from './registry.ts';

/** Istio's own bounds, of times and of sizes. */
const BOUNDS = [
  0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000, 600_000,
  1_800_000, 3_600_000,
];
/** Istio's word for no flag. */
const NO_FLAG = '-';

export const requestFamilies = {
  istio_requests_total: { type: 'counter', help: 'Requests, by who called whom and how it ended.' },
  istio_request_duration_milliseconds: {
    type: 'histogram',
    help: 'Time from the request to the end of its response.',
    bounds: BOUNDS,
    limit: 1000,
  },
  istio_request_bytes: {
    type: 'histogram',
    help: 'Sizes of request bodies.',
    bounds: BOUNDS,
    limit: 300,
  },
  istio_response_bytes: {
    type: 'histogram',
    help: 'Sizes of response bodies.',
    bounds: BOUNDS,
    limit: 300,
  },
  istio_tcp_connections_opened_total: { type: 'counter', help: 'Connections of TCP listeners.' },
  istio_tcp_connections_closed_total: { type: 'counter', help: 'Those that have ended.' },
  istio_tcp_received_bytes_total: {
    type: 'counter',
    help: 'Bytes from callers, counted when their connection has ended.',
  },
  istio_tcp_sent_bytes_total: {
    type: 'counter',
    help: 'Bytes to callers, counted when their connection has ended.',
  },
  weir_mirrored_requests_total: {
    type: 'counter',
    help: 'Copies of requests, whose answers nobody saw: they are no requests of Istio.',
  },
} as const satisfies Record<string, Family>;

type Name = keyof typeof requestFamilies;

/** Where requests are added up; a Registry whose families include `requestFamilies`. */
export interface RequestCounters {
  add(name: Name, by: number, labels: Labels): void;
  observe(name: Name, observations: Observations, labels: Labels): void;
}

export const recordRequests = (
  counters: RequestCounters,
  own: OwnWorkload,
  { reporter, outcomes = [] }: Pick<SampleFacts, 'reporter'> & Partial<Outcomes>,
): void => {
  for (const outcome of outcomes) {
    const peers = peersOf(reporter, own, outcome);
    if (outcome.source === 'mirror') mirrored(counters, peers, outcome);
    else if (outcome.protocol === 'tcp') connected(counters, peers, outcome);
    else requested(counters, peers, outcome);
  }
};

interface Outcomes {
  readonly outcomes: readonly OutcomeFacts[] | undefined;
}

interface Peers {
  readonly ends: Labels;
  readonly security: string;
}

const requested = (counters: RequestCounters, { ends, security }: Peers, outcome: OutcomeFacts) => {
  const labels = {
    ...ends,
    request_protocol: outcome.protocol,
    response_code: String(outcome.status),
    grpc_response_status: outcome.grpcStatus === undefined ? '' : String(outcome.grpcStatus),
    response_flags: outcome.flag === '' ? NO_FLAG : outcome.flag,
    connection_security_policy: security,
  };
  counters.add('istio_requests_total', outcome.requests, labels);
  const { latency, requestBytes, responseBytes } = outcome;
  counters.observe('istio_request_duration_milliseconds', toBounds(latency), labels);
  counters.observe('istio_request_bytes', toBounds(requestBytes), labels);
  counters.observe('istio_response_bytes', toBounds(responseBytes), labels);
};

const connected = (counters: RequestCounters, { ends, security }: Peers, outcome: OutcomeFacts) => {
  const labels = {
    ...ends,
    request_protocol: 'tcp',
    response_flags: outcome.flag === '' ? NO_FLAG : outcome.flag,
    connection_security_policy: security,
  };
  counters.add('istio_tcp_connections_opened_total', outcome.requests, labels);
  counters.add('istio_tcp_connections_closed_total', outcome.closed, labels);
  counters.add('istio_tcp_received_bytes_total', outcome.requestBytes.sum, labels);
  counters.add('istio_tcp_sent_bytes_total', outcome.responseBytes.sum, labels);
};

const mirrored = (counters: RequestCounters, { ends }: Peers, outcome: OutcomeFacts) => {
  const labels = { ...ends, response_code: String(outcome.status) };
  counters.add('weir_mirrored_requests_total', outcome.requests, labels);
};

const peersOf = (
  reporter: SampleFacts['reporter'],
  own: OwnWorkload,
  outcome: OutcomeFacts,
): Peers => {
  // As in Istio, only the side that receives can tell.
  const security = outcome.isMutual ? 'mutual_tls' : 'none';
  return reporter === 'source'
    ? { ends: { reporter, ...sourceOf(own), ...calleeOf(outcome, own) }, security: UNKNOWN }
    : {
        ends: {
          reporter,
          ...sourceOf(callerOf(outcome.source)),
          ...calleeOf(receivedBy(outcome, own), own),
          destination_canonical_service: own.app,
          destination_principal: own.principal ?? UNKNOWN,
          destination_app: own.app,
        },
        security,
      };
};

type Callee = Pick<OutcomeFacts, 'service' | 'version'>;

/** What a sidecar refused was meant for the workload beside it all the same. */
const receivedBy = (outcome: Callee, { namespace, app, version = '' }: OwnWorkload): Callee =>
  outcome.service === '' ? { service: `${namespace ?? UNKNOWN}/${app}`, version } : outcome;

const sourceOf = (caller: Caller): Labels => ({
  source_workload: caller.name,
  source_workload_namespace: caller.namespace ?? UNKNOWN,
  source_canonical_service: caller.app,
  source_canonical_revision: caller.version ?? 'latest',
  source_principal: caller.principal ?? UNKNOWN,
  source_app: caller.app,
  source_version: caller.version ?? UNKNOWN,
  source_service: caller.app,
  source_cluster: caller.cluster ?? UNKNOWN,
});

const calleeOf = ({ service, version }: Callee, own: OwnWorkload): Labels => {
  const [namespace, name] = service === '' ? [UNKNOWN, UNKNOWN] : splitName(service);
  const hasVersion = version !== '';
  return {
    destination_workload: hasVersion ? `${name}-${version}` : name,
    destination_workload_namespace: namespace,
    destination_canonical_service: name,
    destination_canonical_revision: hasVersion ? version : 'latest',
    destination_principal: UNKNOWN,
    destination_app: name,
    destination_version: hasVersion ? version : UNKNOWN,
    destination_service: name,
    destination_service_name: name,
    destination_service_namespace: namespace,
    destination_cluster: own.cluster ?? UNKNOWN,
  };
};

const splitName = (service: string): readonly [namespace: string, name: string] => {
  const at = service.indexOf('/');
  return [service.slice(0, at), service.slice(at + 1)];
};

/** Bucket i of a sample holds (2^(i/8), 2^((i+1)/8)] and is counted where its upper end lies: never too fast. */
const toBounds = ({ zero, buckets, sum }: Histogram): Observations => {
  const counts = Array.from({ length: BOUNDS.length + 1 }, () => 0);
  counts[0] = zero;
  for (let at = 0; at + 1 < buckets.length; at += 2) {
    const index = boundOf(buckets[at] ?? 0);
    counts[index] = (counts[index] ?? 0) + (buckets[at + 1] ?? 0);
  }
  return { counts, sum };
};

const places = new Map<number, number>();

/** Place of the bound that a bucket's upper end lies below. Buckets are few. */
const boundOf = (bucket: number): number => {
  let bound = places.get(bucket);
  if (bound === undefined) {
    const upper = 2 ** ((bucket + 1) / 8);
    const found = BOUNDS.findIndex((candidate) => upper <= candidate * (1 + 1e-9));
    bound = found === -1 ? BOUNDS.length : found;
    places.set(bucket, bound);
  }
  return bound;
};
