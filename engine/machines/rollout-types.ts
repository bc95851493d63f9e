// What goes into the rollout machine, what comes out of it, and what it remembers.
import type { DecisionOf } from '../model/control-message.ts';
import type { EventType } from '../model/event.ts';
import type { HookPlan, RolloutPlan } from '../model/rollout-plan.ts';
import type { Verdict } from '../model/verdict.ts';

export const rolloutPhases = [
  'idle',
  'initializing',
  'progressing',
  'holding',
  'paused',
  'promoting',
  'succeeded',
  'rollingBack',
  'failed',
  'inconclusive',
] as const;
export type RolloutPhase = (typeof rolloutPhases)[number];

interface At {
  readonly nowMs: number;
}

/** Who asks, and why; both go into events and history. */
interface Command extends At {
  readonly by: string;
  readonly why: string;
}

/** What an operator may order. */
export const rolloutCommands = [
  'promote',
  'abort',
  'pause',
  'resume',
  'retry',
  'skip',
  'undo',
  'approve',
  'reject',
] as const;
export type RolloutCommand = (typeof rolloutCommands)[number];

export type RolloutEvent =
  /** A version was noticed; with `by`, an operator names it. */
  | (At & { readonly type: 'newRevision'; readonly canary: string } & Partial<Command>)
  | { readonly type: 'verdict'; readonly verdict: Verdict }
  | (At & { readonly type: 'tick' })
  | (At & { readonly type: 'telemetryStale' })
  /** Every live agent enforces this weight (percent of the new version). */
  | (At & { readonly type: 'weightAcked'; readonly weight: number })
  | (Command & { readonly type: RolloutCommand })
  /** What became of a question; `for` as it was asked. */
  | (At & {
      readonly type: 'answered';
      readonly hook: string;
      readonly for: string;
      readonly ok: boolean;
      readonly detail: string;
    })
  /** Every rollout of the group waits for this. */
  | (At & { readonly type: 'released' })
  /** Another rollout of the group was rolled back. */
  | (At & { readonly type: 'peerFailed'; readonly peer: string; readonly why: string })
  /** The promoted version got worse than the one before had been. */
  | (At & { readonly type: 'regressed'; readonly why: string });

export type RolloutEffect =
  | {
      readonly type: 'split';
      /** Absolute, so publishing it again is harmless. */
      readonly body: DecisionOf<'split'>;
      readonly reason: string;
    }
  | {
      readonly type: 'event';
      readonly event: EventType;
      readonly data: Readonly<Record<string, unknown>>;
    }
  /** To be called, by nobody but the leader; the answer comes back as `answered`. May be lost: it is asked again. */
  | {
      readonly type: 'ask';
      readonly hook: HookPlan;
      readonly for: string;
      /** As Flagger would call it. */
      readonly phase: string;
      readonly askedMs: number;
      /** The same when it is asked again for want of an answer. */
      readonly question: number;
    }
  /** Fresh e-processes for these two versions; evidence about any other pair is void. */
  | { readonly type: 'startAnalysis'; readonly baseline: string; readonly canary: string };

export interface RolloutContext {
  readonly plan: RolloutPlan;
  /** The version that has the rest of the traffic. */
  readonly baseline: string;
  /** The plan's baseline when `baseline` was set: tells a promoted version from a policy change. */
  readonly planBaseline: string;
  /** The version on trial, or the last one that was. */
  readonly canary: string | undefined;
  /** What served before the last promotion. */
  readonly former: string | undefined;
  /** Named by policy as the baseline, and taken back by an operator all the same. */
  readonly undone: string | undefined;
  /** As the trial began. */
  readonly strategy: NonNullable<RolloutPlan['strategy']>;
  /** Percent; the plan's, and smaller ones before them where traffic is heavy. */
  readonly steps: readonly number[];
  /** From 1; 0 while the new version has no traffic yet. */
  readonly step: number;
  /** Percent of the new version as decided last. */
  readonly weight: number;
  /** How else the new version meets requests in this step. */
  readonly exposure: 'cohort' | 'mirror' | undefined;
  /** The agents enforce `weight`. */
  readonly acked: boolean;
  readonly startedMs: number;
  /** First traffic, moved on by pauses and by what an operator granted. */
  readonly trafficMs: number;
  readonly stepStartedMs: number;
  /** When the present phase was entered. */
  readonly enteredMs: number;
  readonly verdict: Verdict | undefined;
  readonly reason: string;
  /** What holds back a move that the evidence allows. */
  readonly waiting: readonly Wait[];
  /** By gate: `start`, `step:2`, `promotion`. */
  readonly approvals: Readonly<Record<string, Approval>>;
  /** By name, what was asked last. */
  readonly hooks: Readonly<Record<string, HookState>>;
  /** The group has agreed to the promotion. */
  readonly released: boolean;
  /** Until then a promotion is taken back when the version gets worse; 0 for none. */
  readonly watchUntilMs: number;
  readonly history: readonly HistoryEntry[];
}

export interface Wait {
  /** `schedule`, `requests`, `approval:promotion`, `group`, `hook:smoke-test` */
  readonly gate: string;
  readonly reason: string;
}

interface Approval {
  readonly by: string;
  readonly why: string;
  readonly atMs: number;
}

export interface HookState {
  /** What the answer is valid for. */
  readonly for: string;
  readonly askedMs: number;
  /** Absent while the answer is awaited. */
  readonly answeredMs?: number;
  /** The last answer; absent before the first. */
  readonly ok?: boolean;
  readonly detail?: string;
  /** In a row. */
  readonly failures: number;
  /** All of them; what is asked after each is a new question. */
  readonly answers: number;
}

interface HistoryEntry {
  readonly atMs: number;
  readonly state: RolloutPhase;
  readonly weight: number;
  readonly reason: string;
}

/** Persisted as JSON. */
export interface RolloutState {
  readonly v: 2;
  readonly rollout: string;
  readonly phase: RolloutPhase;
  readonly context: Omit<RolloutContext, 'plan'>;
}

export const timeOf = (event: RolloutEvent): number =>
  event.type === 'verdict' ? event.verdict.atMs : event.nowMs;
