// A rollout as the admin API tells it.
import type { StandingDecision } from './decision.ts';
import type { ArmFigures, Evidence, VerdictOutcome } from './verdict.ts';

export interface RolloutStatus {
  /** `namespace/name` */
  readonly id: string;
  readonly service: string;
  readonly state: string;
  readonly baseline: string;
  readonly canary: string | undefined;
  readonly strategy: 'canary' | 'blueGreen' | 'ab' | 'mirror';
  /** Percent of traffic the new version gets. */
  readonly weight: number;
  /** How else the new version meets requests in this step. */
  readonly exposure: 'cohort' | 'mirror' | undefined;
  /** From 1; 0 while the new version has no traffic yet. */
  readonly step: number;
  /** Percent. */
  readonly steps: readonly number[];
  readonly startedMs: number;
  readonly stepStartedMs: number;
  readonly outcome: VerdictOutcome | undefined;
  readonly reason: string;
  /** What holds back a move that the evidence allows: `schedule`, `approval:promotion`, `hook:smoke`, ... */
  readonly waiting: readonly { readonly gate: string; readonly reason: string }[];
  /** By gate. */
  readonly approvals: Readonly<
    Record<string, { readonly by: string; readonly why: string; readonly atMs: number }>
  >;
  /** A promotion is watched until then; 0 for not at all. */
  readonly watchUntilMs: number;
  readonly evidence: Evidence | undefined;
  readonly arms: { readonly canary: ArmFigures; readonly baseline: ArmFigures } | undefined;
  readonly history: readonly {
    readonly atMs: number;
    readonly state: string;
    readonly weight: number;
    readonly reason: string;
  }[];
  readonly standing: readonly StandingDecision[];
}
