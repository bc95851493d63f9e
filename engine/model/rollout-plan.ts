// A Rollout resource compiled: what analysis and the rollout machine need to know, in numbers.
import type { MetricPlan } from './metric-plan.ts';

export interface RolloutPlan {
  /** `namespace/name` */
  readonly id: string;
  /** `namespace/service` */
  readonly service: string;
  /** The version that has all traffic when nothing is decided. */
  readonly baseline: string;
  readonly versions: readonly string[];
  /** Percent, ascending. */
  readonly steps: readonly number[];
  /** automatic (default): where traffic is heavy, begin below the first step, at about 50 requests per second. */
  readonly ramp?: 'automatic' | 'steps';
  readonly minStepMs: number;
  readonly minSoakMs: number;
  readonly deadlineMs: number;
  readonly onInconclusive: 'hold' | 'rollback' | 'advance';
  readonly start: 'automatic' | 'manual';
  readonly analysis: AnalysisPlan;
  /** How the new version meets traffic. Default canary. */
  readonly strategy?: 'canary' | 'blueGreen' | 'ab' | 'mirror';
  /** No promotion before the new version has answered so many. Default 0. */
  readonly minRequests?: number;
  /** After the promotion a regression takes it back for so long. Default 0: not at all. */
  readonly watchMs?: number;
  readonly hooks?: readonly HookPlan[];
  /** Where a person must agree. */
  readonly approvals?: readonly ('start' | 'step' | 'promotion')[];
  readonly schedule?: SchedulePlan;
  /** `namespace/group`: promoted together, rolled back together. */
  readonly group?: string;
  /** First of all the new version gets copies of so many requests; nobody sees its answers. */
  readonly mirror?: {
    readonly percent: number;
    readonly durationMs: number;
    readonly minRequests: number;
  };
}

/** Flagger's kinds, with their meaning. */
export interface HookPlan {
  readonly name: string;
  readonly type:
    | 'confirm-rollout'
    | 'pre-rollout'
    | 'rollout'
    | 'confirm-traffic-increase'
    | 'confirm-promotion'
    | 'post-rollout'
    | 'rollback'
    | 'event';
  readonly url: string;
  readonly timeoutMs: number;
  /** Between two calls. */
  readonly intervalMs: number;
  /** pre-rollout and rollout: after so many refusals in a row the version is rolled back. */
  readonly failureThreshold: number;
  readonly metadata: Readonly<Record<string, string>>;
}

export interface SchedulePlan {
  readonly timezone: string;
  /** Local time, `09:00`; without any there is always one. */
  readonly windows: readonly {
    readonly days: readonly string[];
    readonly from: string;
    readonly to: string;
  }[];
  readonly freezes: readonly {
    readonly fromMs: number;
    readonly toMs: number;
    readonly reason?: string;
  }[];
}

/** Symbols as in docs/canary.md. */
export interface AnalysisPlan {
  readonly alpha: number;
  readonly beta: number;
  /** rho0 */
  readonly maxErrorRatio: number;
  /** d0 */
  readonly maxErrorRate: number;
  /** rho1 */
  readonly promoteErrorRatio: number;
  /** d1 */
  readonly promoteErrorRate: number;
  readonly latency: 'on' | 'off';
  /** From the first traffic on, latency is no evidence for so long. Default 0. */
  readonly warmUpMs?: number;
  readonly maxLatencyRatio: number;
  readonly promoteLatencyRatio: { readonly p90: number; readonly p99: number };
  /** Measured by others. */
  readonly metrics?: readonly MetricPlan[];
}
