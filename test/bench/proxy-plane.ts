// The proxy under test as a process of its own: the standard pipeline over one route, and more routes on demand.
import { createHash, scrypt } from 'node:crypto';
import { createNodePlane } from '#adapters/dataplane-node/plane.ts';
import type { Rule, Snapshot } from '#engine/model/snapshot.ts';
import { createPipeline } from '#engine/pipeline/create-pipeline.ts';
import { createPipelineState } from '#engine/pipeline/pipeline-state.ts';

const [port = '0', upstreamPort = '0', routes = '1'] = process.argv.slice(2);

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

const rules = Array.from({ length: Number(routes) - 1 }, (_, i) => ruleAt(`/service-${i}/v1`));
rules.push(ruleAt('/'));

const snapshot: Snapshot = {
  listeners: [
    {
      name: 'http',
      address: '127.0.0.1',
      port: Number(port),
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
      endpoints: [{ address: '127.0.0.1', port: Number(upstreamPort), weight: 1 }],
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

const deps = {
  clock: { now: () => Date.now(), monotonic: () => performance.now() },
  random: Math.random,
  hash: (text: string) => createHash('sha256').update(text).digest('hex'),
  scrypt: (
    password: string,
    salt: Uint8Array,
    cost: { readonly N: number; readonly r: number; readonly p: number },
    length: number,
  ) =>
    new Promise<Uint8Array>((resolve, reject) => {
      scrypt(password, salt, length, cost, (error, key) => (error ? reject(error) : resolve(key)));
    }),
  state: createPipelineState(),
};

const plane = createNodePlane({
  pipeline: (view, previous) => createPipeline(view, deps, previous),
  reporter: 'source',
  log: (message, error) => console.error(message, error),
});
await plane.activate({
  scope: 'edge.bench',
  revision: 1,
  position: 1,
  snapshot,
  overlay: new Map(),
});
console.log('ready');

const drainSamples = async (): Promise<void> => {
  for await (const sample of plane.samples()) void sample;
};
void drainSamples();

process.on('SIGTERM', () => {
  void plane.close().then(() => process.exit(0));
});
