// Requests by the names and labels that Istio gave them, so that existing dashboards and alerts work unchanged.

import type { Histogram, Series } from '#engine/model/telemetry.ts';
import type { SampleFacts } from '#engine/ports/data-plane.ts';
import type { Family, Labels, Observations } from './registry.ts';

/** Istio's own bounds. */
const BOUNDS = [
  0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000, 600_000,
  1_800_000, 3_600_000,
];
const UNKNOWN = 'unknown';
/** Istio's word for no flag. */
const NO_FLAG = '-';

export const requestFamilies = {
  istio_requests_total: { type: 'counter', help: 'Requests, by who called whom and how it ended.' },
  istio_request_duration_milliseconds: {
    type: 'histogram',
    help: 'Time from the request to the end of its response.',
    bounds: BOUNDS,
  },
} as const satisfies Record<string, Family>;

/** Where requests are added up; a Registry whose families include `requestFamilies`. */
export interface RequestCounters {
  add(name: 'istio_requests_total', by: number, labels: Labels): void;
  observe(
    name: 'istio_request_duration_milliseconds',
    observations: Observations,
    labels: Labels,
  ): void;
}

/** Who this agent is: the source of what it sends, the destination of what it receives. */
export interface OwnWorkload {
  readonly name: string;
  readonly app: string;
}

export const recordRequests = (
  counters: RequestCounters,
  own: OwnWorkload,
  facts: Pick<SampleFacts, 'reporter' | 'series'>,
): void => {
  for (const series of facts.series) {
    const labels = labelsOf(facts.reporter, own, series);
    for (const { code, flag, requests } of outcomes(series))
      counters.add('istio_requests_total', requests, {
        ...labels,
        response_code: code,
        response_flags: flag,
      });
    counters.observe('istio_request_duration_milliseconds', toBounds(series.latency), labels);
  }
};

const labelsOf = (
  reporter: SampleFacts['reporter'],
  own: OwnWorkload,
  { service, version, source }: Series,
): Labels => {
  const [namespace, name] = service === '' ? [UNKNOWN, UNKNOWN] : splitName(service);
  const caller =
    reporter === 'source' ? { workload: own.name, principal: UNKNOWN } : nameOf(source);
  return {
    reporter,
    source_workload: caller.workload,
    source_principal: caller.principal,
    source_app: reporter === 'source' ? own.app : caller.workload,
    source_service: reporter === 'source' ? own.app : caller.workload,
    destination_service: name,
    destination_service_name: name,
    destination_service_namespace: namespace,
    destination_workload: version === '' ? name : `${name}-${version}`,
    destination_version: version === '' ? UNKNOWN : version,
    request_protocol: 'http',
    connection_security_policy: securityOf(reporter, source),
  };
};

const splitName = (service: string): readonly [namespace: string, name: string] => {
  const at = service.indexOf('/');
  return [service.slice(0, at), service.slice(at + 1)];
};

const isSpiffe = (source: string): boolean => source.startsWith('spiffe://');

/** `spiffe://cluster.local/ns/bibby/sa/library-service` is the principal of workload `library-service`. */
const nameOf = (source: string): { readonly workload: string; readonly principal: string } =>
  isSpiffe(source)
    ? { workload: source.slice(source.lastIndexOf('/') + 1), principal: source }
    : { workload: source === '' ? UNKNOWN : source, principal: UNKNOWN };

/** As in Istio, only the side that receives can tell. */
const securityOf = (reporter: SampleFacts['reporter'], source: string): string => {
  if (reporter === 'source') return UNKNOWN;
  return isSpiffe(source) ? 'mutual_tls' : 'none';
};

interface Outcome {
  readonly code: string;
  readonly flag: string;
  requests: number;
}

/** The code that goes with a response flag, where the proxy itself made the response. */
const CODE_OF_FLAG: Readonly<Record<string, string>> = {
  NR: '404',
  UF: '503',
  URX: '503',
  UH: '503',
  UO: '503',
  UC: '503',
  UT: '504',
  DC: '499',
  RL: '429',
  UAEX: '403',
};

/** Samples count codes and flags apart; a flag stands beside its usual code where that has room, else beside the highest. */
const outcomes = ({ statuses, flags }: Series): Outcome[] => {
  const rest = new Map(Object.entries(statuses));
  const found: Outcome[] = [];
  for (const [flag, flagged] of Object.entries(flags)) {
    let open = flagged;
    const usual = CODE_OF_FLAG[flag];
    const highest = [...rest.keys()].toSorted((a, b) => Number(b) - Number(a));
    for (const code of usual === undefined ? highest : [usual, ...highest]) {
      const requests = Math.min(open, rest.get(code) ?? 0);
      if (requests === 0) continue;
      found.push({ code, flag, requests });
      rest.set(code, (rest.get(code) ?? 0) - requests);
      open -= requests;
    }
  }
  for (const [code, requests] of rest)
    if (requests > 0) found.push({ code, flag: NO_FLAG, requests });
  return found;
};

/** Bucket i of a sample holds (2^(i/8), 2^((i+1)/8)] and is counted where its upper end lies: never too fast. */
const toBounds = ({ zero, buckets, sum }: Histogram): Observations => {
  const counts = Array.from({ length: BOUNDS.length + 1 }, () => 0);
  counts[0] = zero;
  for (let at = 0; at + 1 < buckets.length; at += 2) {
    const upper = 2 ** (((buckets[at] ?? 0) + 1) / 8);
    const bound = BOUNDS.findIndex((candidate) => upper <= candidate * (1 + 1e-9));
    const index = bound === -1 ? BOUNDS.length : bound;
    counts[index] = (counts[index] ?? 0) + (buckets[at + 1] ?? 0);
  }
  return { counts, sum };
};
