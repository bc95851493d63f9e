// What analysis thinks of a new version, with the numbers that made it think so.

/** `error` means could not measure, never measured badly. */
export type VerdictOutcome = 'pass' | 'fail' | 'inconclusive' | 'error';

export interface Verdict {
  readonly type: 'verdict';
  /** `namespace/rollout` */
  readonly rollout: string;
  readonly service: string;
  readonly baseline: string;
  readonly canary: string;
  readonly outcome: VerdictOutcome;
  /** In words, with numbers: what an operator reads. */
  readonly reason: string;
  readonly evidence: Evidence;
  readonly atMs: number;
  /** Share of the evidence that promotion needs, 0 to 1: with S steps, step s + 1 is permitted from s / S on. */
  readonly progress: number;
  /** Requests per second of the service, all versions; 0 while unknown. */
  readonly requestRate: number;
  /** Even identical versions could not be told good before the deadline, or it has passed. */
  readonly futile: boolean;
  /** The baseline itself is failing: nobody should gain traffic now. */
  readonly baselineUnhealthy: boolean;
  /** Still finding out what normal is (latency thresholds); the new version needs no traffic for it. */
  readonly learning: boolean;
}

export interface Evidence {
  /** e-value that the canary is worse than the margin, against `rollbackAt` = 1/alpha. */
  readonly rollback: number;
  readonly rollbackAt: number;
  /** Smallest non-inferiority e-value over metrics, against `promoteAt` = 1/beta. */
  readonly promote: number;
  readonly promoteAt: number;
  /** By metric: `errors`, `errors:<rule>`, `latency-p99`, ...; `promote` where promotion asks for it. */
  readonly metrics: Readonly<
    Record<string, { readonly rollback: number; readonly promote?: number }>
  >;
  /** Metrics that by themselves justify the rollback. */
  readonly culprits: readonly string[];
  /** What was asked of others; absent where policy names none. */
  readonly readings?: readonly MetricFigure[];
  readonly canary: ArmFigures;
  readonly baseline: ArmFigures;
  /** Overdispersion correction in force; 1 means none. */
  readonly dispersion: number;
  /** How many more canary requests promotion needs at the present rates; absent when unknown. */
  readonly requestsNeeded?: number;
}

/** A metric that others measure. `unknown`: it could not be measured, which is neither good nor bad. */
export interface MetricFigure {
  readonly metric: string;
  readonly value?: number;
  /** The old version's, where it is asked for. */
  readonly baseline?: number;
  /** fail: bad too often in a row. */
  readonly outcome: 'good' | 'bad' | 'unknown' | 'fail';
  readonly reason: string;
}

export interface ArmFigures {
  readonly requests: number;
  readonly errors: number;
  /** Milliseconds; 0 while there are no requests. */
  readonly p50Ms: number;
  readonly p99Ms: number;
}
