// Exactly what this data plane, together with the standard pipeline, enforces.
import type { Feature } from '#engine/model/features.ts';

/** Decided by the pipeline. */
const pipeline = [
  'match-regex',
  'match-query',
  'match-cookie',
  'split',
  'split-sticky',
  'fault',
  'rewrite',
  'redirect',
  'respond',
  'headers',
  'envelope',
  'cors',
  'jwt',
  'api-key',
  'basic',
  'introspection',
  'forward-auth',
  'authorization',
  'authorization-cel',
  'authorization-custom',
  'quota-local',
] as const satisfies readonly Feature[];

/** Enforced here. */
const plane = [
  'http',
  'http2',
  'grpc',
  'upstream-http2',
  'tls',
  'tls-passthrough',
  'tcp',
  'proxy-protocol',
  'client-certificates',
  'https-redirect',
  'timeout',
  'per-try-timeout',
  'retry',
  'balancer-least-latency',
  'balancer-round-robin',
  'balancer-least-request',
  'balancer-random',
  'balancer-ring-hash',
  'balancer-maglev',
  'slow-start',
  'locality',
  'hedging',
  'connection-pool',
  'outlier-detection',
  'outlier-ratio',
  'health-check',
  'mirror',
  'upstream-tls',
  'path-normalization',
  'trusted-proxies',
  'listener-limits',
] as const satisfies readonly Feature[];

export const capabilities: ReadonlySet<Feature> = new Set<Feature>([...pipeline, ...plane]);
