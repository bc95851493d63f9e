// The admin API, spoken over HTTP and over the bus alike: `POST /v1/policy` is `weir.<mesh>.api.policy.apply`.
// Requests are schemas (validated, and the source of the OpenAPI document); answers are plain types.
import Type, { type Static } from 'typebox';
import type { Commit } from './commit.ts';
import type { Diagnostic } from './diagnostic.ts';
import { canaryOptions, type PolicyCanaryStatus, policyCanaryRequest } from './policy-canary.ts';
import type { RolloutStatus } from './rollout-status.ts';
import type { Ack, Heartbeat } from './telemetry.ts';

export type { RolloutStatus } from './rollout-status.ts';

/** viewer reads, operator changes policy and rollouts, admin also manages access. */
export const roles = ['viewer', 'operator', 'admin'] as const;
export type Role = (typeof roles)[number];

export interface Caller {
  readonly name: string;
  readonly role: Role;
}

const closed = { additionalProperties: false } as const;
const waitFor = Type.Object(
  {
    /** Share of the live agents of every scope touched that must have applied it. */
    percent: Type.Number({ minimum: 1, maximum: 100, default: 100 }),
    timeoutMs: Type.Integer({ minimum: 1, maximum: 300_000, default: 30_000 }),
  },
  closed,
);

export const applyRequest = Type.Object(
  {
    documents: Type.Array(Type.Object({ file: Type.String(), text: Type.String() }, closed), {
      minItems: 1,
    }),
    message: Type.Optional(Type.String({ maxLength: 4096 })),
    dryRun: Type.Optional(Type.Boolean()),
    /** Refuse everything when any document has an error, instead of applying the rest. */
    allOrNothing: Type.Optional(Type.Boolean()),
    wait: Type.Optional(waitFor),
    /** Some agents try it first; committed once they are proven no worse than the rest, taken back otherwise. */
    canary: Type.Optional(canaryOptions),
    /** Fail with ERR_POLICY_CONFLICT unless the policy set is at this revision. */
    expectRevision: Type.Optional(Type.Integer({ minimum: 0 })),
  },
  closed,
);
export const deleteRequest = Type.Object(
  {
    /** `Route/bibby/catalog` */
    ids: Type.Array(Type.String({ pattern: '^[A-Za-z]+/[^/]+/[^/]+$' }), { minItems: 1 }),
    message: Type.Optional(Type.String({ maxLength: 4096 })),
    wait: Type.Optional(waitFor),
  },
  closed,
);
export const getRequest = Type.Object(
  {
    kind: Type.Optional(Type.String()),
    namespace: Type.Optional(Type.String()),
    name: Type.Optional(Type.String()),
    revision: Type.Optional(Type.Integer({ minimum: 0 })),
  },
  closed,
);
export const historyRequest = Type.Object(
  { limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, default: 20 })) },
  closed,
);
export const rollbackRequest = Type.Object(
  {
    revision: Type.Integer({ minimum: 0 }),
    message: Type.Optional(Type.String()),
    wait: Type.Optional(waitFor),
  },
  closed,
);
export const explainRequest = Type.Object(
  {
    method: Type.String({ default: 'GET' }),
    url: Type.String(),
    headers: Type.Optional(Type.Array(Type.Tuple([Type.String(), Type.String()]))),
    clientAddress: Type.Optional(Type.String()),
    /** Identity in the caller's certificate, with or without `spiffe://`. */
    peer: Type.Optional(Type.String()),
    /** Default: the only gateway. */
    scope: Type.Optional(Type.String()),
  },
  closed,
);
export const rolloutRequest = Type.Object(
  {
    namespace: Type.Optional(Type.String({ default: 'default' })),
    /** Absent only for status: all of them. */
    name: Type.Optional(Type.String()),
    version: Type.Optional(Type.String()),
    reason: Type.Optional(Type.String({ maxLength: 4096 })),
  },
  closed,
);
/** `jti:x`, `sub:x`, `key:x`, `consumer:x`, `kid:x`, or `before:x` for tokens issued before x (milliseconds since 1970). */
const revocationTarget = Type.String({
  pattern: '^((jti|sub|key|consumer|kid):.+|before:[0-9]+)$',
  maxLength: 512,
});
export const revokeRequest = Type.Object(
  {
    target: revocationTarget,
    /** How long it is kept: at least what is left of the life of what is revoked. Default 24 hours. */
    ttlMs: Type.Optional(Type.Integer({ minimum: 1000, maximum: 31_622_400_000 })),
    reason: Type.Optional(Type.String({ maxLength: 4096 })),
  },
  closed,
);
export const restoreRequest = Type.Object(
  { target: revocationTarget, reason: Type.Optional(Type.String({ maxLength: 4096 })) },
  closed,
);
export const breakerRequest = Type.Object(
  {
    /** `namespace/service@version/address:port` */
    endpoint: Type.String({ minLength: 1, maxLength: 512 }),
    reason: Type.Optional(Type.String({ maxLength: 4096 })),
  },
  closed,
);
export const emptyRequest = Type.Object({}, closed);

export type ApplyRequest = Static<typeof applyRequest>;
export type DeleteRequest = Static<typeof deleteRequest>;
export type GetRequest = Static<typeof getRequest>;
export type HistoryRequest = Static<typeof historyRequest>;
export type RollbackRequest = Static<typeof rollbackRequest>;
export type ExplainRequest = Static<typeof explainRequest>;
export type RolloutRequest = Static<typeof rolloutRequest>;
export type RevokeRequest = Static<typeof revokeRequest>;
export type RestoreRequest = Static<typeof restoreRequest>;
export type BreakerRequest = Static<typeof breakerRequest>;
export type WaitFor = Static<typeof waitFor>;

export interface ApplyAnswer {
  /** The new revision, or the present one if nothing changed or `dryRun`. */
  readonly revision: number;
  readonly dryRun: boolean;
  readonly changes: readonly {
    readonly id: string;
    readonly change: 'created' | 'updated' | 'deleted' | 'unchanged';
    readonly diff?: string;
  }[];
  /** Resources refused; the rest was applied. */
  readonly quarantined: readonly string[];
  readonly diagnostics: readonly Diagnostic[];
  readonly wait?: WaitAnswer;
  /** What was begun; the revision is the present one as long as it is not decided. */
  readonly canary?: PolicyCanaryStatus;
}

export interface WaitAnswer {
  readonly reached: boolean;
  readonly applied: number;
  readonly agents: number;
  readonly slowestMs: number;
  readonly missing: readonly string[];
}

export interface GetAnswer {
  readonly revision: number;
  readonly resources: readonly {
    readonly id: string;
    readonly text: string;
    readonly file: string;
    readonly line: number;
    readonly quarantined: boolean;
  }[];
}

export interface HistoryAnswer {
  readonly revision: number;
  readonly commits: readonly Commit[];
}

export interface FleetAnswer {
  readonly revision: number;
  readonly leader: { readonly instance: string; readonly epoch: number };
  readonly agents: readonly AgentStatus[];
  /** What stands still or began anew because its state on record cannot be used: a sentence each. */
  readonly troubles?: readonly string[];
}

export interface AgentStatus
  extends Pick<Heartbeat, 'agent' | 'scope' | 'revision' | 'position' | 'version'> {
  readonly state: Heartbeat['state'] | 'lost';
  readonly ageMs: number;
  /** How far the agent's clock is ahead of control's, and what its last heartbeat was under way. */
  readonly clockAheadMs?: number;
  /** Same position as control's last message of the scope. */
  readonly current: boolean;
  readonly lastRejection?: Pick<Ack, 'outcome' | 'reason' | 'atMs'>;
}

export interface RolloutAnswer {
  readonly rollouts: readonly RolloutStatus[];
}

export interface RevocationAnswer {
  readonly revocations: readonly {
    readonly target: string;
    readonly expiresMs: number;
    readonly by: string;
    readonly reason: string;
  }[];
}

export interface BreakerAnswer {
  /** Of endpoints that are not closed, or lately were not. */
  readonly breakers: readonly BreakerStatus[];
}

export interface BreakerStatus {
  /** `namespace/service@version/address:port` */
  readonly endpoint: string;
  readonly state: 'closed' | 'open' | 'halfOpen';
  readonly reason: string;
  /** In a row, without a quiet time between. */
  readonly openings: number;
  readonly changedMs: number;
  /** When it will be tried again. */
  readonly openUntilMs?: number;
  /** The agent that tries it. */
  readonly prober?: string;
}

/** Every answer that is not a success. */
export interface ErrorAnswer {
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly hint?: string;
    readonly details?: unknown;
  };
}

/** Operation table: bus noun and verb, HTTP method and path, the least role that may call it. */
export const operations = {
  'policy.apply': { method: 'POST', path: '/v1/policy', role: 'operator', request: applyRequest },
  'policy.diff': { method: 'POST', path: '/v1/policy/diff', role: 'viewer', request: applyRequest },
  'policy.get': { method: 'GET', path: '/v1/policy', role: 'viewer', request: getRequest },
  'policy.delete': {
    method: 'POST',
    path: '/v1/policy/delete',
    role: 'operator',
    request: deleteRequest,
  },
  'policy.history': {
    method: 'GET',
    path: '/v1/policy/history',
    role: 'viewer',
    request: historyRequest,
  },
  'policy.rollback': {
    method: 'POST',
    path: '/v1/policy/rollback',
    role: 'operator',
    request: rollbackRequest,
  },
  'policy-canary.status': {
    method: 'GET',
    path: '/v1/policy/canary',
    role: 'viewer',
    request: emptyRequest,
  },
  'policy-canary.promote': {
    method: 'POST',
    path: '/v1/policy/canary/promote',
    role: 'operator',
    request: policyCanaryRequest,
  },
  'policy-canary.abort': {
    method: 'POST',
    path: '/v1/policy/canary/abort',
    role: 'operator',
    request: policyCanaryRequest,
  },
  'policy.explain': {
    method: 'POST',
    path: '/v1/explain',
    role: 'viewer',
    request: explainRequest,
  },
  'fleet.status': { method: 'GET', path: '/v1/fleet', role: 'viewer', request: emptyRequest },
  'access.revoke': {
    method: 'POST',
    path: '/v1/revocations',
    role: 'admin',
    request: revokeRequest,
  },
  'access.restore': {
    method: 'POST',
    path: '/v1/revocations/restore',
    role: 'admin',
    request: restoreRequest,
  },
  'access.revocations': {
    method: 'GET',
    path: '/v1/revocations',
    role: 'viewer',
    request: emptyRequest,
  },
  'breaker.status': { method: 'GET', path: '/v1/breakers', role: 'viewer', request: emptyRequest },
  'breaker.open': {
    method: 'POST',
    path: '/v1/breakers/open',
    role: 'operator',
    request: breakerRequest,
  },
  'breaker.close': {
    method: 'POST',
    path: '/v1/breakers/close',
    role: 'operator',
    request: breakerRequest,
  },
  'rollout.status': {
    method: 'GET',
    path: '/v1/rollouts',
    role: 'viewer',
    request: rolloutRequest,
  },
  'rollout.start': {
    method: 'POST',
    path: '/v1/rollouts/start',
    role: 'operator',
    request: rolloutRequest,
  },
  'rollout.promote': {
    method: 'POST',
    path: '/v1/rollouts/promote',
    role: 'operator',
    request: rolloutRequest,
  },
  'rollout.abort': {
    method: 'POST',
    path: '/v1/rollouts/abort',
    role: 'operator',
    request: rolloutRequest,
  },
  'rollout.pause': {
    method: 'POST',
    path: '/v1/rollouts/pause',
    role: 'operator',
    request: rolloutRequest,
  },
  'rollout.resume': {
    method: 'POST',
    path: '/v1/rollouts/resume',
    role: 'operator',
    request: rolloutRequest,
  },
  'rollout.retry': {
    method: 'POST',
    path: '/v1/rollouts/retry',
    role: 'operator',
    request: rolloutRequest,
  },
  'rollout.skip': {
    method: 'POST',
    path: '/v1/rollouts/skip',
    role: 'operator',
    request: rolloutRequest,
  },
  'rollout.undo': {
    method: 'POST',
    path: '/v1/rollouts/undo',
    role: 'operator',
    request: rolloutRequest,
  },
  'rollout.approve': {
    method: 'POST',
    path: '/v1/rollouts/approve',
    role: 'operator',
    request: rolloutRequest,
  },
  'rollout.reject': {
    method: 'POST',
    path: '/v1/rollouts/reject',
    role: 'operator',
    request: rolloutRequest,
  },
} as const satisfies Record<
  string,
  { method: 'GET' | 'POST'; path: string; role: Role; request: unknown }
>;

export type Operation = keyof typeof operations;
