// The compile result for one scope: complete, flat and ready to walk. Durations are milliseconds, weights are basis
// points of 10000, every reference inside it resolves, and lists are already in their final order.

import type {
  AuthenticationPlan,
  AuthorizationPlan,
  ConsumerPlan,
  QuotaPlan,
} from './access-plans.ts';
import type { StandingDecision } from './decision.ts';
import type { Measure } from './metric-plan.ts';
import type { Origin } from './origin.ts';

export type {
  AuthenticationMethod,
  AuthenticationPlan,
  AuthorizationOperation,
  AuthorizationPlan,
  AuthorizationRule,
  AuthorizationSource,
  CallOutPlan,
  ConsumerPlan,
  IntrospectionPlan,
  IssuerEndpoints,
  IssuerPlan,
  LoginPlan,
  QuotaPlan,
} from './access-plans.ts';
export type { Origin } from './origin.ts';

export interface Snapshot {
  readonly listeners: readonly Listener[];
  /** Most specific first. A request belongs to the first entry whose pattern covers its host. */
  readonly hosts: readonly HostEntry[];
  readonly rules: readonly Rule[];
  /** By `namespace/service`. */
  readonly splits: Readonly<Record<string, Split>>;
  /** By `namespace/service` or `namespace/service@version`. */
  readonly upstreams: Readonly<Record<string, Upstream>>;
  readonly authentications: Readonly<Record<string, AuthenticationPlan>>;
  readonly authorizations: Readonly<Record<string, AuthorizationPlan>>;
  readonly quotas: Readonly<Record<string, QuotaPlan>>;
  readonly consumers: readonly ConsumerPlan[];
  /** Decisions that this snapshot already contains. */
  readonly standing: readonly StandingDecision[];
}

export interface Listener {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly protocol: 'HTTP' | 'HTTPS' | 'TLS' | 'TCP';
  readonly hostname?: string;
  readonly redirectToHttps?: boolean;
  readonly proxyProtocol?: boolean;
  readonly tls?: ListenerTls;
  /** TCP and TLS pass-through. */
  readonly upstream?: string;
  /** Of a listener with `upstream`: the policies that judge its connections. */
  readonly authorizations?: readonly string[];
  readonly trustedProxies: readonly string[];
  /** Who may read `x-policy-decision`. */
  readonly decisionHeader?: {
    readonly ipBlocks: readonly string[];
    readonly groups: readonly string[];
  };
  readonly limits: ListenerLimits;
  readonly path: {
    readonly normalization: 'None' | 'Base' | 'MergeSlashes' | 'DecodeAndMergeSlashes';
    readonly encodedSlash: 'reject' | 'keep' | 'decode';
  };
}

export interface ListenerTls {
  readonly mode: 'Terminate' | 'Passthrough';
  readonly certificates: readonly {
    readonly certificate?: string;
    readonly certificateFile?: string;
    readonly key?: string;
    readonly keyFile?: string;
    readonly serverNames?: readonly string[];
  }[];
  readonly minVersion: '1.2' | '1.3';
  readonly alpn: readonly ('h2' | 'http/1.1')[];
  readonly clientCertificate?: {
    readonly mode: 'none' | 'optional' | 'required';
    readonly ca?: string;
    readonly caFile?: string;
  };
}

export interface ListenerLimits {
  readonly maxHeaderBytes: number;
  readonly maxHeaders: number;
  readonly maxTargetBytes: number;
  readonly headerTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly bodyStallTimeoutMs: number;
  /** 0 means no limit. */
  readonly maxRequestsPerConnection: number;
  readonly maxConnections: number;
}

export interface HostEntry {
  /** `exact` `api.bibby.com`; `oneLabel`/`manyLabels` `bibby.com` for `*.bibby.com`; `any` ``. Lower case. */
  readonly type: 'exact' | 'oneLabel' | 'manyLabels' | 'any';
  readonly host: string;
  /** Listener names; empty means all. */
  readonly listeners: readonly string[];
  /** Indexes into `rules`, first match wins. */
  readonly rules: readonly number[];
}

export type ValueMatch =
  | { readonly type: 'exact'; readonly value: string }
  | { readonly type: 'prefix'; readonly value: string }
  | { readonly type: 'regex'; readonly value: string }
  | { readonly type: 'present' };

export interface NamedMatch {
  /** Lower case for headers. */
  readonly name: string;
  readonly match: ValueMatch;
  readonly not: boolean;
}

export interface Match {
  readonly path: {
    readonly type: 'exact' | 'segmentPrefix' | 'stringPrefix' | 'regexStart' | 'regexFull';
    readonly value: string;
  };
  /** Empty: every method. */
  readonly methods: readonly string[];
  readonly headers: readonly NamedMatch[];
  readonly query: readonly NamedMatch[];
  readonly cookies: readonly NamedMatch[];
}

export interface HeaderEdits {
  readonly set: readonly (readonly [string, string])[];
  readonly add: readonly (readonly [string, string])[];
  readonly remove: readonly string[];
}

/** One match of one rule of one Route. */
export interface Rule {
  /** `namespace/route/rule`, as metrics and logs name it. Several matches of one rule share it. */
  readonly id: string;
  readonly origin: Origin;
  readonly match: Match;
  readonly action: Action;
  readonly cors?: CorsPlan;
  /** Keys of `authentications`, `authorizations`, `quotas`, in the order to ask. */
  readonly authentications: readonly string[];
  readonly authorizations: readonly string[];
  readonly quotas: readonly string[];
  readonly requestHeaders?: HeaderEdits;
  readonly responseHeaders?: HeaderEdits;
  readonly envelope?: { readonly version: string; readonly maxBytes: number };
  readonly sticky?: { readonly by: 'cookie' | 'header' | 'caller'; readonly name: string };
  readonly fault?: {
    readonly delayMs: number;
    readonly delayPercent: number;
    readonly abortStatus: number;
    readonly abortPercent: number;
  };
}

export type Action =
  | ForwardAction
  | {
      readonly type: 'redirect';
      readonly status: number;
      readonly scheme?: 'http' | 'https';
      readonly host?: string;
      readonly port?: number;
      readonly path?: string;
    }
  | {
      readonly type: 'respond';
      readonly status: number;
      readonly body: string;
      readonly contentType: string;
    };

export interface ForwardAction {
  readonly type: 'forward';
  /** Weights as written; a backend names either a split (the Service decides) or one upstream. */
  readonly backends: readonly Backend[];
  readonly rewrite?: {
    readonly stripPrefix?: string;
    readonly prefix?: string;
    readonly path?: string;
    readonly host?: string;
  };
  /** 0 turns it off. */
  readonly timeoutMs: number;
  readonly retry?: RetryPlan;
  /** A second try beside one that has no answer after so long. */
  readonly hedge?: { readonly afterMs: number };
  readonly mirror?: {
    readonly split?: string;
    readonly upstream?: string;
    readonly percent: number;
  };
}

export type Backend =
  | { readonly weight: number; readonly split: string }
  | { readonly weight: number; readonly upstream: string };

export interface RetryPlan {
  readonly attempts: number;
  readonly on: readonly string[];
  /** 0 means the route's timeout only. */
  readonly perTryTimeoutMs: number;
  readonly backoffMs: number;
  readonly budgetPercent: number;
  readonly minRetries: number;
}

/** How a Service's traffic is shared among its versions. Standing decisions are already applied. */
export interface Split {
  readonly service: string;
  readonly choices: readonly SplitChoice[];
  /** A request with this header goes to this version, whatever the weights. */
  readonly override?: { readonly header: string; readonly value: string; readonly version: string };
  /** A request to this host goes to this version, whatever the weights. */
  readonly preview?: { readonly host: string; readonly version: string };
  /** Requests with this header or cookie; `version` only while a decision sends them to one. */
  readonly cohort?: {
    readonly by: 'header' | 'cookie';
    readonly name: string;
    readonly value: string;
    readonly version?: string;
  };
  /** Decided: copies for a version. */
  readonly mirror?: { readonly version: string; readonly percent: number };
}

export interface SplitChoice {
  readonly version: string;
  readonly upstream: string;
  /** Basis points; all choices add up to 10000. */
  readonly weight: number;
}

export interface Upstream {
  readonly id: string;
  readonly service: string;
  /** Empty for a service without versions. */
  readonly version: string;
  readonly protocol: 'http' | 'http2' | 'grpc' | 'tcp';
  readonly endpoints: readonly UpstreamEndpoint[];
  readonly loadBalancing: {
    readonly policy:
      | 'LeastLatency'
      | 'RoundRobin'
      | 'LeastRequest'
      | 'Random'
      | 'RingHash'
      | 'Maglev';
    readonly hash?: { readonly by: 'header' | 'cookie' | 'address'; readonly name: string };
    readonly slowStartMs: number;
  };
  readonly pool: {
    readonly maxConnections: number;
    readonly connectTimeoutMs: number;
    readonly maxPendingRequests: number;
    readonly maxRequests: number;
    readonly maxRequestsPerConnection: number;
    readonly idleTimeoutMs: number;
  };
  readonly outlierDetection?: OutlierPlan;
  readonly panicThreshold: number;
  readonly healthCheck?: {
    readonly type: 'HTTP' | 'TCP' | 'GRPC';
    readonly path: string;
    readonly intervalMs: number;
    readonly timeoutMs: number;
    readonly unhealthyThreshold: number;
    readonly healthyThreshold: number;
    readonly expectedStatuses: readonly number[];
  };
  readonly tls?: {
    readonly serverName?: string;
    readonly ca?: string;
    readonly caFile?: string;
    readonly insecureSkipVerify: boolean;
  };
  /** Says who the caller is at the start of every connection; `tcp` only. */
  readonly proxyProtocol?: 'v1' | 'v2';
  /** What to read from its answers; absent if nothing. */
  readonly measures?: readonly Measure[];
}

export interface UpstreamEndpoint {
  readonly address: string;
  readonly port: number;
  readonly weight: number;
  readonly locality?: string;
}

/** Endpoint of a sidecar's own application; the rim puts the real address in its place. */
export const localApp: UpstreamEndpoint = { address: 'local-app', port: 1, weight: 1 };

export interface OutlierPlan {
  readonly consecutive5xxErrors: number;
  readonly consecutiveGatewayErrors: number;
  readonly intervalMs: number;
  readonly baseEjectionTimeMs: number;
  readonly maxEjectionTimeMs: number;
  readonly maxEjectionPercent: number;
  readonly minHealthPercent: number;
  /** What each agent finds is told to the fleet, and the fleet's breakers are obeyed. */
  readonly shared: boolean;
  readonly successRate?: {
    readonly minimumHosts: number;
    readonly requestVolume: number;
    readonly stdevFactor: number;
  };
  readonly failurePercentage?: {
    readonly threshold: number;
    readonly minimumHosts: number;
    readonly requestVolume: number;
  };
}

export interface CorsPlan {
  readonly origins: readonly string[];
  readonly methods: readonly string[];
  readonly headers: readonly string[];
  readonly exposedHeaders: readonly string[];
  readonly maxAgeSeconds: number;
  readonly credentials: boolean;
}
