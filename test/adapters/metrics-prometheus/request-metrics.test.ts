import { describe, expect, it } from 'vitest';
import { Registry } from '#adapters/metrics-prometheus/registry.ts';
import { recordRequests, requestFamilies } from '#adapters/metrics-prometheus/request-metrics.ts';
import type { OutcomeFacts } from '#engine/ports/data-plane.ts';

const nothing = { zero: 0, buckets: [], sum: 0 };
const library = 'spiffe://cluster.local/ns/lending/sa/library-service';

const outcome = (facts: Partial<OutcomeFacts> = {}): OutcomeFacts => ({
  service: 'bibby/catalog-service',
  version: 'v1.0',
  source: library,
  protocol: 'http',
  isMutual: true,
  status: 200,
  flag: '',
  grpcStatus: undefined,
  requests: 3,
  closed: 0,
  latency: nothing,
  requestBytes: nothing,
  responseBytes: nothing,
  ...facts,
});

const edge = { name: 'public', app: 'edge', cluster: 'default' };
const sidecar = {
  name: 'catalog-v1-0',
  namespace: 'bibby',
  app: 'catalog-service',
  version: 'v1.0',
  cluster: 'default',
};

const record = (reporter: 'source' | 'destination', ...outcomes: OutcomeFacts[]): string[] => {
  const registry = new Registry(requestFamilies);
  recordRequests(registry, reporter === 'source' ? edge : sidecar, { reporter, outcomes });
  return registry.text().split('\n');
};

/** What a query with these labels would add up. */
const query = (lines: readonly string[], name: string, ...labels: readonly string[]): number =>
  lines
    .filter((line) => line.startsWith(`${name}{`) && labels.every((label) => line.includes(label)))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);

const labelsIn = (lines: readonly string[], name: string): Readonly<Record<string, string>> => {
  const [line = ''] = lines.filter((each) => each.startsWith(`${name}{`));
  return Object.fromEntries([...line.matchAll(/(\w+)="([^"]*)"/g)].map(([, k, v]) => [k, v]));
};

describe('istio_requests_total', () => {
  it('names caller and callee as Istio does, seen from the side that received', () => {
    const lines = record('destination', outcome());
    expect(labelsIn(lines, 'istio_requests_total')).toEqual({
      reporter: 'destination',
      source_workload: 'library-service',
      source_workload_namespace: 'lending',
      source_canonical_service: 'library-service',
      source_canonical_revision: 'latest',
      source_principal: library,
      source_app: 'library-service',
      source_version: 'unknown',
      source_service: 'library-service',
      source_cluster: 'unknown',
      destination_workload: 'catalog-service-v1.0',
      destination_workload_namespace: 'bibby',
      destination_canonical_service: 'catalog-service',
      destination_canonical_revision: 'v1.0',
      destination_principal: 'unknown',
      destination_app: 'catalog-service',
      destination_version: 'v1.0',
      destination_service: 'catalog-service',
      destination_service_name: 'catalog-service',
      destination_service_namespace: 'bibby',
      destination_cluster: 'default',
      request_protocol: 'http',
      response_code: '200',
      grpc_response_status: '',
      response_flags: '-',
      connection_security_policy: 'mutual_tls',
    });
  });

  it('names itself as the source of what it sent, whoever asked for it', () => {
    const lines = record('source', outcome({ source: 'https://id.bibby.com/alice' }));
    expect(labelsIn(lines, 'istio_requests_total')).toMatchObject({
      source_workload: 'public',
      source_app: 'edge',
      source_cluster: 'default',
      connection_security_policy: 'unknown',
    });
  });

  it('does not take people for workloads', () => {
    const facts = { source: 'https://id.bibby.com/alice', isMutual: false };
    const text = record('destination', outcome(facts)).join('\n');
    expect(text).toContain('source_workload="unknown"');
    expect(text).toContain('connection_security_policy="none"');
    expect(text).not.toContain('alice');
  });

  it('counts a local reply under an unknown destination', () => {
    const facts = { service: '', version: '', status: 404, flag: 'NR' };
    const text = record('source', outcome(facts)).join('\n');
    expect(text).toContain('destination_service="unknown"');
    expect(text).toContain('destination_version="unknown"');
  });

  it('knows whom a refused request was meant for where it received it', () => {
    const facts = { service: '', version: '', status: 403, flag: 'UAEX' };
    const lines = record('destination', outcome(facts));
    expect(labelsIn(lines, 'istio_requests_total')).toMatchObject({
      destination_workload: 'catalog-service-v1.0',
      destination_workload_namespace: 'bibby',
      destination_service_name: 'catalog-service',
      destination_version: 'v1.0',
      response_code: '403',
    });
  });

  it('answers the queries of Flagger and Kiali', () => {
    const lines = record(
      'destination',
      outcome({ requests: 90, latency: { zero: 0, buckets: [40, 90], sum: 2900 } }),
      outcome({
        requests: 7,
        status: 503,
        flag: 'UF',
        latency: { zero: 0, buckets: [8, 7], sum: 14 },
      }),
      outcome({ requests: 3, status: 503, flag: 'UO' }),
      outcome({ requests: 5, version: 'v1.1', status: 500 }),
    );
    const old = [
      'reporter="destination"',
      'destination_workload_namespace="bibby"',
      'destination_workload="catalog-service-v1.0"',
    ];
    expect(query(lines, 'istio_requests_total', ...old)).toBe(100);
    expect(query(lines, 'istio_requests_total', ...old, 'response_code="5')).toBe(10);
    expect(query(lines, 'istio_requests_total', 'response_flags="UF"')).toBe(7);
    // histogram_quantile over the failed requests alone: these were fast.
    const durations = 'istio_request_duration_milliseconds_bucket';
    expect(query(lines, durations, ...old, 'response_code="503"', 'le="5"')).toBe(7);
    expect(query(lines, durations, ...old, 'le="+Inf"')).toBe(97);
    expect(query(lines, durations, ...old, 'le="25"')).toBe(7);
  });

  it('has the status of gRPC beside the code of HTTP', () => {
    const facts = { protocol: 'grpc', grpcStatus: 14 } as const;
    expect(
      labelsIn(record('source', outcome(facts)), 'istio_request_duration_milliseconds_count'),
    ).toMatchObject({
      request_protocol: 'grpc',
      response_code: '200',
      grpc_response_status: '14',
    });
  });

  it('leaves out copies, which nobody saw the answers of', () => {
    const lines = record('source', outcome({ source: 'mirror', status: 500 }));
    expect(query(lines, 'istio_requests_total')).toBe(0);
    expect(query(lines, 'weir_mirrored_requests_total', 'response_code="500"')).toBe(3);
  });
});

describe('the histograms', () => {
  it('are sorted into Istio’s buckets, never as faster than they were', () => {
    // Bucket -8 holds (0.5, 0.545] ms, bucket 0 (1, 1.09], bucket -1 (0.917, 1].
    const latency = { zero: 1, buckets: [-8, 2, -1, 4, 0, 8], sum: 20 };
    const lines = record('source', outcome({ latency })).filter((line) =>
      line.startsWith('istio_request_duration_milliseconds_bucket'),
    );
    const counts = lines.map((line) => line.replace(/.*le="([^"]+)"} /, '$1:'));
    expect(counts.slice(0, 4)).toEqual(['0.5:1', '1:7', '5:15', '10:15']);
    expect(counts.at(-1)).toBe('+Inf:15');
  });

  it('tell the sizes of bodies', () => {
    const responseBytes = { zero: 1, buckets: [79, 2], sum: 2048 };
    const lines = record('source', outcome({ responseBytes }));
    expect(query(lines, 'istio_response_bytes_sum')).toBe(2048);
    expect(query(lines, 'istio_response_bytes_bucket', 'le="1000"')).toBe(1);
    expect(query(lines, 'istio_response_bytes_bucket', 'le="2500"')).toBe(3);
  });
});

describe('connections of TCP listeners', () => {
  it('are no requests', () => {
    const facts = {
      protocol: 'tcp',
      requests: 3,
      closed: 2,
      requestBytes: { ...nothing, sum: 70 },
      responseBytes: { ...nothing, sum: 900 },
    } as const;
    const lines = record('source', outcome(facts));
    expect(query(lines, 'istio_requests_total')).toBe(0);
    expect(query(lines, 'istio_tcp_connections_opened_total', 'request_protocol="tcp"')).toBe(3);
    expect(query(lines, 'istio_tcp_connections_closed_total')).toBe(2);
    expect(query(lines, 'istio_tcp_received_bytes_total')).toBe(70);
    expect(query(lines, 'istio_tcp_sent_bytes_total')).toBe(900);
  });
});
