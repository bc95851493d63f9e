// The policy that the proxy benches run.
import { createHash, scrypt } from 'node:crypto';
import type { Rule, Snapshot } from '#engine/model/snapshot.ts';
import type { PipelineDeps } from '#engine/pipeline/create-pipeline.ts';
import { createPipelineState } from '#engine/pipeline/pipeline-state.ts';

const ruleAt = (path: string): Rule => ({
  id: `bibby/catalog${path}`,
  origin: { resource: 'Route/bibby/catalog' },
  match: {
    path: { type: 'segmentPrefix', value: path },
    methods: [],
    headers: [],
    query: [],
    cookies: [],
  },
  action: {
    type: 'forward',
    backends: [{ weight: 1, upstream: 'bibby/catalog-service' }],
    timeoutMs: 15_000,
    retry: {
      attempts: 2,
      on: ['connect-failure', 'refused-stream', 'unavailable', 'cancelled'],
      perTryTimeoutMs: 0,
      backoffMs: 25,
      budgetPercent: 20,
      minRetries: 3,
    },
  },
  authentications: [],
  authorizations: [],
  quotas: [],
});

export const snapshotOf = (options: {
  readonly port: number;
  readonly upstreamPort: number;
  readonly routes: number;
}): Snapshot => {
  const rules = Array.from({ length: options.routes - 1 }, (_, i) => ruleAt(`/service-${i}/v1`));
  rules.push(ruleAt('/'));
  return {
    listeners: [
      {
        name: 'http',
        address: '127.0.0.1',
        port: options.port,
        protocol: 'HTTP',
        trustedProxies: [],
        limits: {
          maxHeaderBytes: 61_440,
          maxHeaders: 100,
          maxTargetBytes: 8192,
          headerTimeoutMs: 10_000,
          idleTimeoutMs: 300_000,
          bodyStallTimeoutMs: 30_000,
          maxRequestsPerConnection: 0,
          maxConnections: 20_000,
        },
        path: { normalization: 'MergeSlashes', encodedSlash: 'reject' },
      },
    ],
    hosts: [{ type: 'any', host: '', listeners: [], rules: rules.map((_, i) => i) }],
    rules,
    splits: {},
    upstreams: {
      'bibby/catalog-service': {
        id: 'bibby/catalog-service',
        service: 'bibby/catalog-service',
        version: '',
        protocol: 'http',
        endpoints: [{ address: '127.0.0.1', port: options.upstreamPort, weight: 1 }],
        loadBalancing: { policy: 'LeastLatency', slowStartMs: 0 },
        pool: {
          maxConnections: 2048,
          connectTimeoutMs: 5000,
          maxPendingRequests: 2048,
          maxRequests: 4096,
          maxRequestsPerConnection: 0,
          idleTimeoutMs: 3_600_000,
        },
        panicThreshold: 50,
      },
    },
    authentications: {},
    authorizations: {},
    quotas: {},
    consumers: [],
    standing: [],
  };
};

export const pipelineDeps = (): PipelineDeps => ({
  clock: { now: () => Date.now(), monotonic: () => performance.now() },
  random: Math.random,
  hash: (text) => createHash('sha256').update(text).digest('hex'),
  scrypt: (password, salt, cost, length) =>
    new Promise<Uint8Array>((resolve, reject) => {
      scrypt(password, salt, length, cost, (error, key) => (error ? reject(error) : resolve(key)));
    }),
  state: createPipelineState(),
});
