// Snapshots from the few words that a test cares about.
import type { DecisionBody } from '#engine/model/decision.ts';
import { decisionId } from '#engine/model/decision.ts';
import type { Scope } from '#engine/model/scope.ts';
import type {
  Action,
  HostEntry,
  Listener,
  Match,
  Rule,
  Snapshot,
  Split,
  Upstream,
} from '#engine/model/snapshot.ts';
import type { PlaneView } from '#engine/ports/data-plane.ts';

export const listener = (facts: Partial<Listener> = {}): Listener => ({
  name: 'http',
  address: '127.0.0.1',
  port: 8080,
  protocol: 'HTTP',
  trustedProxies: [],
  limits: {
    maxHeaderBytes: 65_536,
    maxHeaders: 100,
    maxTargetBytes: 8192,
    headerTimeoutMs: 10_000,
    idleTimeoutMs: 60_000,
    bodyStallTimeoutMs: 30_000,
    maxRequestsPerConnection: 0,
    maxConnections: 10_000,
  },
  path: { normalization: 'MergeSlashes', encodedSlash: 'reject' },
  ...facts,
});

export const upstream = (id: string, facts: Partial<Upstream> = {}): Upstream => {
  const [service = id, version = ''] = id.split('@');
  return {
    id,
    service,
    version,
    protocol: 'http',
    endpoints: [{ address: '127.0.0.1', port: 9001, weight: 1 }],
    loadBalancing: { policy: 'LeastRequest', slowStartMs: 0 },
    pool: {
      maxConnections: 1024,
      connectTimeoutMs: 1000,
      maxPendingRequests: 1024,
      maxRequests: 1024,
      maxRequestsPerConnection: 0,
      idleTimeoutMs: 60_000,
    },
    panicThreshold: 50,
    ...facts,
  };
};

/** `split('bibby/catalog-service', { 'v1.0': 9000, 'v1.1': 1000 })` */
export const split = (
  service: string,
  weights: Readonly<Record<string, number>>,
  facts: Partial<Split> = {},
): Split => ({
  service,
  choices: Object.entries(weights).map(([version, weight]) => ({
    version,
    upstream: `${service}@${version}`,
    weight,
  })),
  ...facts,
});

export const match = (facts: Partial<Match> = {}): Match => ({
  path: { type: 'segmentPrefix', value: '/' },
  methods: [],
  headers: [],
  query: [],
  cookies: [],
  ...facts,
});

/** Forwards to `bibby/library-service` unless told otherwise. */
export const forwardTo = (
  upstreamId = 'bibby/library-service',
  facts: Partial<Extract<Action, { type: 'forward' }>> = {},
): Action => ({
  type: 'forward',
  backends: [{ weight: 1, upstream: upstreamId }],
  timeoutMs: 15_000,
  ...facts,
});

export const rule = (
  facts: Partial<Omit<Rule, 'match'>> & { match?: Partial<Match> } = {},
): Rule => ({
  id: 'bibby/route/rule',
  origin: { resource: 'Route/bibby/route' },
  action: forwardTo(),
  authentications: [],
  authorizations: [],
  quotas: [],
  ...facts,
  match: match(facts.match),
});

/** Without `hosts`, all rules belong to every host. Upstreams that rules and splits name are made up. */
export const snapshot = (facts: Partial<Snapshot> = {}): Snapshot => {
  const rules = facts.rules ?? [rule()];
  const splits = facts.splits ?? {};
  return {
    listeners: [listener()],
    hosts: [anyHost(rules.map((_, index) => index))],
    authentications: {},
    authorizations: {},
    quotas: {},
    consumers: [],
    standing: [],
    ...facts,
    rules,
    splits,
    upstreams: { ...namedUpstreams(rules, Object.values(splits)), ...facts.upstreams },
  };
};

const anyHost = (rules: readonly number[]): HostEntry => ({
  type: 'any',
  host: '',
  listeners: [],
  rules,
});

export const planeView = (
  of: Snapshot,
  facts: { revision?: number; scope?: Scope; decisions?: readonly DecisionBody[] } = {},
): PlaneView => ({
  scope: facts.scope ?? 'edge.public',
  revision: facts.revision ?? 1,
  position: 1,
  snapshot: of,
  overlay: new Map((facts.decisions ?? []).map((body) => [decisionId(body), body])),
});

const namedUpstreams = (
  rules: readonly Rule[],
  splits: readonly Split[],
): Record<string, Upstream> => {
  const named: Record<string, Upstream> = {};
  for (const { action } of rules)
    if (action.type === 'forward')
      for (const backend of action.backends)
        if ('upstream' in backend) named[backend.upstream] = upstream(backend.upstream);
  for (const each of splits)
    for (const choice of each.choices) named[choice.upstream] = upstream(choice.upstream);
  return named;
};
