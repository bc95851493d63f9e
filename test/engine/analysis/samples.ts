// Samples as an edge would send them, one second each.
import type { Histogram, Sample, Series } from '#engine/model/telemetry.ts';

export interface ArmSecond {
  readonly requests: number;
  readonly errors?: number;
  /** Bucket indexes with counts; default: all in one bucket. */
  readonly buckets?: readonly number[];
  readonly rule?: string;
}

export const service = 'bibby/catalog-service';

export const series = (version: string, arm: ArmSecond): Series => {
  const latency: Histogram = {
    zero: 0,
    buckets: arm.buckets ?? (arm.requests > 0 ? [45, arm.requests] : []),
    sum: 0,
  };
  return {
    rule: arm.rule ?? 'bibby/catalog/0',
    service,
    version,
    source: 'unknown',
    requests: arm.requests,
    errors: arm.errors ?? 0,
    statuses: {},
    flags: {},
    latency,
    requestBytes: 0,
    responseBytes: 0,
    retries: 0,
  };
};

export const sample = (
  second: number,
  content: readonly Series[],
  changes: Partial<Sample> = {},
): Sample => ({
  v: 1,
  type: 'sample',
  agent: 'edge-1',
  scope: 'edge.public',
  incarnation: 'one',
  sequence: second + 1,
  startMs: second * 1000,
  spanMs: 1000,
  reporter: 'source',
  revision: 1,
  series: content,
  ...changes,
});

/** Both versions in one second. */
export const both = (
  second: number,
  baseline: ArmSecond,
  canary: ArmSecond,
  changes: Partial<Sample> = {},
): Sample =>
  sample(
    second,
    [series('v1.0', baseline), ...(canary.requests > 0 ? [series('v1.1', canary)] : [])],
    changes,
  );
