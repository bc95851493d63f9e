// The policy that the proxy benches run.
import { createHash, scrypt } from 'node:crypto';
import type { Listener, Rule, Snapshot, Upstream } from '#engine/model/snapshot.ts';
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

export interface BenchPolicy {
  readonly port: number;
  readonly upstreamPort: number;
  readonly routes: number;
  readonly tls?: { readonly certificateFile: string; readonly keyFile: string };
  readonly alpn?: readonly ('h2' | 'http/1.1')[];
  readonly upstreamProtocol?: Upstream['protocol'];
  /** Key of the tokens that the whole chain asks for. */
  readonly jwk?: Readonly<Record<string, unknown>>;
}

const SERVICE = 'bibby/catalog-service';

const upstreamOf = (version: string, policy: BenchPolicy): Upstream => ({
  id: version === '' ? SERVICE : `${SERVICE}@${version}`,
  service: SERVICE,
  version,
  protocol: policy.upstreamProtocol ?? 'http',
  endpoints: [{ address: '127.0.0.1', port: policy.upstreamPort, weight: 1 }],
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
});

const listenerOf = ({ port, tls, alpn = ['http/1.1'] }: BenchPolicy): Listener => ({
  name: 'in',
  address: '127.0.0.1',
  port,
  protocol: tls ? 'HTTPS' : 'HTTP',
  ...(tls && {
    tls: { mode: 'Terminate', certificates: [tls], minVersion: '1.2', alpn },
  }),
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
});

/** Token, role, quota and split, as `haproxyChain` has them. */
const chained = (rule: Rule, jwk: Readonly<Record<string, unknown>>) => {
  const origin = { resource: 'bench' };
  const { action } = rule;
  if (action.type !== 'forward') throw new Error('the bench forwards');
  return {
    rule: {
      ...rule,
      action: { ...action, backends: [{ weight: 1, split: SERVICE }] },
      authentications: ['jwt'],
      authorizations: ['readers'],
      quotas: ['calls'],
    } satisfies Rule,
    authentications: {
      jwt: {
        origin,
        mode: 'required',
        methods: [
          {
            type: 'jwt',
            issuers: [
              {
                issuer: 'https://id.bibby.com',
                audiences: ['bibby'],
                requireAudience: true,
                algorithms: ['RS256'],
                keys: [jwk],
                clockSkewMs: 60_000,
                claimsToHeaders: [['sub', 'x-user-id']],
                from: { header: 'authorization' },
                forwardToken: true,
              },
            ],
          },
        ],
      },
    } satisfies Snapshot['authentications'],
    authorizations: {
      readers: {
        origin,
        action: 'ALLOW',
        mode: 'enforce',
        rules: [
          {
            to: [{ methods: ['GET'], paths: ['/catalog/*'] }],
            when: [{ key: 'request.auth.claims[role]', values: ['reader'] }],
          },
        ],
      },
    } satisfies Snapshot['authorizations'],
    quotas: {
      calls: {
        id: 'calls',
        origin,
        mode: 'enforce',
        by: 'caller',
        limits: [{ requests: 100_000_000, windowMs: 60_000 }],
        scope: 'local',
        algorithm: 'sliding',
        headers: false,
        status: 429,
      },
    } satisfies Snapshot['quotas'],
    splits: {
      [SERVICE]: {
        service: SERVICE,
        choices: [
          { version: 'v1', upstream: `${SERVICE}@v1`, weight: 9000 },
          { version: 'v2', upstream: `${SERVICE}@v2`, weight: 1000 },
        ],
      },
    } satisfies Snapshot['splits'],
  };
};

export const snapshotOf = (policy: BenchPolicy): Snapshot => {
  const { jwk } = policy;
  const rules = Array.from({ length: policy.routes - 1 }, (_, i) => ruleAt(`/service-${i}/v1`));
  const chain = jwk && chained(ruleAt('/'), jwk);
  rules.push(chain?.rule ?? ruleAt('/'));
  const upstreams = ['', 'v1', 'v2'].map((version) => upstreamOf(version, policy));
  return {
    listeners: [listenerOf(policy)],
    hosts: [{ type: 'any', host: '', listeners: [], rules: rules.map((_, i) => i) }],
    rules,
    splits: chain?.splits ?? {},
    upstreams: Object.fromEntries(upstreams.map((each) => [each.id, each])),
    authentications: chain?.authentications ?? {},
    authorizations: chain?.authorizations ?? {},
    quotas: chain?.quotas ?? {},
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
