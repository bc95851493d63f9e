// A policy canary: a revision that some agents of each scope try before all get it.
import Type, { type Static } from 'typebox';
import type { VerdictOutcome } from './verdict.ts';

export const policyCanaryPhases = [
  'spreading',
  'watching',
  'promoting',
  'promoted',
  'reverted',
  'inconclusive',
  'aborted',
] as const;
export type PolicyCanaryPhase = (typeof policyCanaryPhases)[number];

/** What analysis thinks of the revision, over all its scopes. */
export interface CohortVerdict {
  /** `error` means could not measure, never measured badly. */
  readonly outcome: VerdictOutcome;
  /** In words, with numbers. */
  readonly reason: string;
  /** `edge.public 4xx`, `edge.public latency-p99`, ... */
  readonly culprits: readonly string[];
  readonly scopes: readonly CohortFigures[];
}

export interface CohortFigures {
  readonly scope: string;
  readonly cohort: CohortArm;
  readonly rest: CohortArm;
  /** Largest e-value that the cohort is worse, against `revertAt`. */
  readonly revert: number;
  readonly revertAt: number;
  /** Smallest e-value that it is not, against `promoteAt`. */
  readonly promote: number;
  readonly promoteAt: number;
  /** Of the cohort; absent while unknown. */
  readonly requestsNeeded?: number;
}

export interface CohortArm {
  readonly requests: number;
  /** Answered with 4xx. */
  readonly refused: number;
  /** Answered with 5xx, or not at all. */
  readonly failed: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export interface PolicyCanaryStatus {
  readonly id: string;
  /** That the policy set has, or would have had, with it. */
  readonly revision: number;
  /** That the rest of the agents stays at. */
  readonly base: number;
  readonly state: PolicyCanaryPhase;
  readonly author: string;
  readonly message: string;
  /** Resources. */
  readonly changed: readonly string[];
  readonly cohorts: readonly {
    readonly scope: string;
    readonly agents: readonly string[];
    /** Agents of the scope, when it began. */
    readonly of: number;
  }[];
  readonly startedMs: number;
  readonly deadlineMs: number;
  readonly reason: string;
  readonly culprits: readonly string[];
  readonly verdict: CohortVerdict | undefined;
  readonly history: readonly {
    readonly atMs: number;
    readonly state: PolicyCanaryPhase;
    readonly reason: string;
  }[];
}

const closed = { additionalProperties: false } as const;
export const canaryOptions = Type.Object(
  {
    /** Of each scope's agents; default 10. At least one agent tries it, and one does not. */
    percent: Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: 100 })),
    /** So many of each scope's agents instead. */
    count: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000 })),
    /** Not decided by then: taken back. */
    maxDurationMs: Type.Integer({ minimum: 30_000, maximum: 86_400_000, default: 600_000 }),
  },
  closed,
);
export const policyCanaryRequest = Type.Object(
  { reason: Type.Optional(Type.String({ maxLength: 4096 })) },
  closed,
);

export type CanaryOptions = Static<typeof canaryOptions>;
export type PolicyCanaryRequest = Static<typeof policyCanaryRequest>;

export interface PolicyCanaryAnswer {
  /** The last one, under way or over. */
  readonly canary?: PolicyCanaryStatus;
}
