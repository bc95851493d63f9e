// Decisions: absolute instructions by a machine or an operator. A standing one is input of every later compile.

/** What is decided. `target` is the thing it is about; together with `type` it is unique in a scope. */
export type DecisionBody =
  /** Weights of a Service's versions, in basis points that add up to 10000. */
  | {
      readonly type: 'split';
      readonly target: string;
      readonly weights: Readonly<Record<string, number>>;
      /** The version that the split's cohort is sent to; absent: the cohort is treated like everybody. */
      readonly cohort?: string;
      /** The version that gets copies of requests; nobody sees its answers. */
      readonly mirror?: { readonly version: string; readonly percent: number };
    }
  /** Fleet-wide breaker of one upstream endpoint (`namespace/service@version/address:port`). */
  | {
      readonly type: 'breaker';
      readonly target: string;
      readonly state: 'closed' | 'open' | 'halfOpen';
      /** Half-open: the one agent that may send requests there. */
      readonly prober?: string;
    }
  /**
   * Retries of one edge of the call graph (`<scope>/namespace/service`) are at most so many percent of its requests,
   * whatever the routes allow.
   */
  | { readonly type: 'retry-budget'; readonly target: string; readonly percent: number }
  /**
   * Nobody gets in with this any more. `target` is `jti:x`, `sub:x`, `key:x`, `consumer:x`, `kid:x`, or `before:x` for tokens
   * issued before so many milliseconds since 1970.
   */
  | { readonly type: 'revocation'; readonly target: string; readonly expiresMs: number };

/** Recorded before it is published, and valid until policy itself says the same or an operator withdraws it. */
export interface StandingDecision {
  /** `split:bibby/catalog-service` */
  readonly id: string;
  /** Grows with every decision about the same target; a smaller number never replaces a larger one. */
  readonly serial: number;
  readonly body: DecisionBody;
  /** `rollout:bibby/catalog`, `operator:alice`, ... */
  readonly by: string;
  readonly reason: string;
}

export const decisionId = (body: Pick<DecisionBody, 'type' | 'target'>): string =>
  `${body.type}:${body.target}`;
