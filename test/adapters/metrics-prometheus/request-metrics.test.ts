import { describe, expect, it } from 'vitest';
import { Registry } from '#adapters/metrics-prometheus/registry.ts';
import { recordRequests, requestFamilies } from '#adapters/metrics-prometheus/request-metrics.ts';
import type { Series } from '#engine/model/telemetry.ts';

const series = (facts: Partial<Series> = {}): Series => ({
  rule: 'bibby/catalog/0',
  service: 'bibby/catalog-service',
  version: 'v1.0',
  source: 'spiffe://cluster.local/ns/bibby/sa/library-service',
  requests: 3,
  errors: 0,
  statuses: { '200': 3 },
  flags: {},
  latency: { zero: 0, buckets: [], sum: 0 },
  requestBytes: 0,
  responseBytes: 0,
  retries: 0,
  ...facts,
});

const record = (reporter: 'source' | 'destination', ...all: Series[]): string[] => {
  const registry = new Registry(requestFamilies);
  recordRequests(registry, { name: 'public', app: 'edge' }, { reporter, series: all });
  return registry.text().split('\n');
};
const totals = (lines: string[]): string[] =>
  lines
    .filter((line) => line.startsWith('istio_requests_total'))
    .map((line) => line.replace(/.*(response_code="\d+",response_flags="[^"]+")} /, '$1 '));

describe('istio_requests_total', () => {
  it('names caller and callee as Istio does, seen from the side that received', () => {
    const [line] = record('destination', series()).filter((text) => text.startsWith('istio_req'));
    expect(line).toBe(
      'istio_requests_total{reporter="destination",source_workload="library-service",' +
        'source_principal="spiffe://cluster.local/ns/bibby/sa/library-service",' +
        'source_app="library-service",source_service="library-service",' +
        'destination_service="catalog-service",destination_service_name="catalog-service",' +
        'destination_service_namespace="bibby",destination_workload="catalog-service-v1.0",' +
        'destination_version="v1.0",request_protocol="http",' +
        'connection_security_policy="mutual_tls",response_code="200",response_flags="-"} 3',
    );
  });

  it('names itself as the source of what it sent, whoever asked for it', () => {
    const text = record('source', series({ source: 'https://id.bibby.com/alice' })).join('\n');
    expect(text).toContain('source_workload="public"');
    expect(text).toContain('source_app="edge"');
    expect(text).not.toContain('alice');
  });

  it('counts a local reply under an unknown destination', () => {
    const facts = { service: '', version: '', statuses: { '404': 1 }, flags: { NR: 1 } };
    const text = record('source', series(facts)).join('\n');
    expect(text).toContain('destination_service="unknown"');
    expect(text).toContain('destination_version="unknown"');
  });

  it('puts each flag beside the code that goes with it', () => {
    const facts = {
      statuses: { '200': 5, '503': 4, '504': 1, '500': 1 },
      flags: { UT: 1, UF: 3 },
    };
    expect(totals(record('source', series(facts))).toSorted()).toEqual([
      'response_code="200",response_flags="-" 5',
      'response_code="500",response_flags="-" 1',
      'response_code="503",response_flags="-" 1',
      'response_code="503",response_flags="UF" 3',
      'response_code="504",response_flags="UT" 1',
    ]);
  });
});

describe('istio_request_duration_milliseconds', () => {
  it('sorts the samples into Istio’s buckets, never as faster than they were', () => {
    // Bucket -8 holds (0.5, 0.545] ms, bucket 0 (1, 1.09], bucket -1 (0.917, 1].
    const latency = { zero: 1, buckets: [-8, 2, -1, 4, 0, 8], sum: 20 };
    const lines = record('source', series({ latency })).filter((line) => line.includes('le='));
    const counts = lines.map((line) => line.replace(/.*le="([^"]+)"} /, '$1:'));
    expect(counts.slice(0, 4)).toEqual(['0.5:1', '1:7', '5:15', '10:15']);
    expect(counts.at(-1)).toBe('+Inf:15');
  });
});
