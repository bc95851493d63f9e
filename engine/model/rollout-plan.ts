// A Rollout resource compiled: what analysis and the rollout machine need to know, in numbers.
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
}
