// What goes into a breaker, what comes out, and what it remembers. One breaker is about one endpoint, for the whole fleet.
import type { DecisionOf } from '../model/control-message.ts';
import type { EventType } from '../model/event.ts';

export const breakerPhases = ['closed', 'open', 'halfOpen'] as const;
export type BreakerPhase = (typeof breakerPhases)[number];

export interface BreakerPlan {
  /** Share of an agent's requests that must fail for it to accuse the endpoint. Default 0.5. */
  readonly failureShare: number;
  /** The accusers together must have seen so many failures. Default 5. */
  readonly minFailures: number;
  /** Nothing older counts. The newest part of it that has enough failures is judged. Default 10 s. */
  readonly windowMs: number;
  /** First time; doubles with every failed probe. Default 30 s. */
  readonly baseOpenMs: number;
  /** Default 300 s. */
  readonly maxOpenMs: number;
  /** Requests of the prober that must succeed in a row. Default 3. */
  readonly probes: number;
  /** A prober that measures nothing for so long is replaced. Default 10 s. */
  readonly probePatienceMs: number;
  /** Never more than this share of an upstream's endpoints is open, but one may be. Default 0.5. */
  readonly maxOpenShare: number;
}

export const defaultBreakerPlan: BreakerPlan = {
  failureShare: 0.5,
  minFailures: 5,
  windowMs: 10_000,
  baseOpenMs: 30_000,
  maxOpenMs: 300_000,
  probes: 3,
  probePatienceMs: 10_000,
  maxOpenShare: 0.5,
};

/** One agent's count of one window. */
export interface Count {
  readonly atMs: number;
  readonly requests: number;
  readonly failures: number;
}

/** What an endpoint was condemned by. */
export interface Evidence {
  readonly requests: number;
  readonly failures: number;
  /** Agents that measured, and those of them that accuse. */
  readonly agents: number;
  readonly accusers: number;
  readonly spanMs: number;
}

/** The rest of the upstream at this moment. */
export interface Peers {
  readonly endpoints: number;
  /** Open or half-open, this one not counted. */
  readonly open: number;
  /** Closed ones with requests in the span that is judged: those that mostly answer, and those that do not. */
  readonly well: number;
  readonly ill: number;
  /** Live agents that use the upstream: one of them may probe. */
  readonly agents: readonly string[];
  /** Live agents, but for the one that reports, that may send there, whether they have measured anything or not. */
  readonly bystanders: number;
}

export type BreakerEvent =
  | {
      readonly type: 'report';
      readonly agent: string;
      readonly requests: number;
      readonly failures: number;
      readonly nowMs: number;
      readonly peers: Peers;
    }
  | { readonly type: 'tick'; readonly nowMs: number; readonly peers: Peers }
  | {
      readonly type: 'forceOpen' | 'forceClose';
      readonly nowMs: number;
      readonly by: string;
      readonly why: string;
    };

export type BreakerEffect =
  | { readonly type: 'breaker'; readonly body: DecisionOf<'breaker'>; readonly reason: string }
  | {
      readonly type: 'event';
      readonly event: EventType;
      readonly data: Readonly<Record<string, unknown>>;
    };

export interface BreakerContext {
  readonly plan: BreakerPlan;
  /** `namespace/service@version/address:port` */
  readonly target: string;
  /** By agent, newest last. */
  readonly counts: Readonly<Record<string, readonly Count[]>>;
  /** Openings in a row without a quiet time between. */
  readonly openings: number;
  readonly evidence: Evidence | undefined;
  /** Some of those who sent requests when it opened. */
  readonly witnesses: readonly string[];
  readonly changedMs: number;
  /** Open: when it is tried again. */
  readonly dueMs: number;
  readonly prober: string | undefined;
  /** Elections since it became half-open; moves the election on. */
  readonly elections: number;
  readonly electedMs: number;
  /** Successes of the prober in a row. */
  readonly successes: number;
  readonly reason: string;
}

/** Persisted as JSON. */
export interface BreakerState {
  readonly v: 1;
  readonly phase: BreakerPhase;
  readonly context: Omit<BreakerContext, 'plan'>;
}
