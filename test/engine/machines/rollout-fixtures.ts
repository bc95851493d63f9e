// A rollout of v1.1 beside v1.0 in any phase, and the verdicts it may be told.
import { advanceRollout, idleRollout, type RolloutState } from '#engine/machines/rollout.ts';
import type { RolloutEvent, RolloutPhase } from '#engine/machines/rollout-types.ts';
import type { RolloutPlan } from '#engine/model/rollout-plan.ts';
import type { Verdict } from '#engine/model/verdict.ts';

export const plan: RolloutPlan = {
  id: 'bibby/catalog',
  service: 'bibby/catalog-service',
  baseline: 'v1.0',
  versions: ['v1.0', 'v1.1', 'v1.2'],
  steps: [10, 30, 50],
  ramp: 'steps',
  minStepMs: 10_000,
  minSoakMs: 60_000,
  deadlineMs: 600_000,
  onInconclusive: 'hold',
  start: 'automatic',
  analysis: {
    alpha: 0.01,
    beta: 0.05,
    maxErrorRatio: 1.25,
    maxErrorRate: 0.001,
    promoteErrorRatio: 2,
    promoteErrorRate: 0.003,
    latency: 'on',
    maxLatencyRatio: 1.25,
    promoteLatencyRatio: { p90: 1.5, p99: 2 },
  },
};

/** Sound and undecided unless told otherwise. */
const verdict = (changes: Partial<Verdict> = {}, rollback = 1): Verdict => ({
  type: 'verdict',
  rollout: plan.id,
  service: plan.service,
  baseline: 'v1.0',
  canary: 'v1.1',
  outcome: 'inconclusive',
  reason: 'because of the numbers',
  evidence: {
    rollback,
    rollbackAt: 100,
    promote: 1,
    promoteAt: 20,
    metrics: {},
    culprits: [],
    canary: { requests: 100, errors: 0, p50Ms: 50, p99Ms: 200 },
    baseline: { requests: 900, errors: 0, p50Ms: 50, p99Ms: 200 },
    dispersion: 1,
  },
  atMs: 0,
  progress: 0,
  requestRate: 100,
  futile: false,
  baselineUnhealthy: false,
  learning: false,
  ...changes,
});

export const told = (atMs: number, changes: Partial<Verdict> = {}, rollback = 1): RolloutEvent => ({
  type: 'verdict',
  verdict: verdict({ atMs, ...changes }, rollback),
});

export const run = (
  events: readonly RolloutEvent[],
  start: RolloutState = idleRollout(plan),
  of: RolloutPlan = plan,
): RolloutState => events.reduce((state, event) => advanceRollout(state, of, event).state, start);

const who = { by: 'alice', why: 'to see' };
const started: readonly RolloutEvent[] = [
  { type: 'newRevision', canary: 'v1.1', nowMs: 0 },
  { type: 'weightAcked', weight: 0, nowMs: 500 },
];
const stepped: readonly RolloutEvent[] = [
  ...started,
  told(1000),
  { type: 'weightAcked', weight: 10, nowMs: 2000 },
];

/** How each phase is reached; step 1 of 3 where there is one. */
export const ways: Readonly<Record<RolloutPhase, readonly RolloutEvent[]>> = {
  idle: [],
  initializing: started,
  progressing: stepped,
  holding: [...stepped, told(3000, {}, 20)],
  paused: [...stepped, { type: 'pause', nowMs: 3000, ...who }],
  promoting: [...stepped, { type: 'promote', nowMs: 3000, ...who }],
  succeeded: [
    ...stepped,
    { type: 'promote', nowMs: 3000, ...who },
    { type: 'weightAcked', weight: 100, nowMs: 3500 },
  ],
  rollingBack: [...stepped, told(3000, { outcome: 'fail' }, 200)],
  failed: [
    ...stepped,
    told(3000, { outcome: 'fail' }, 200),
    { type: 'weightAcked', weight: 0, nowMs: 3500 },
  ],
  inconclusive: [...stepped, told(3000, { futile: true })],
};

export const inPhase = (phase: RolloutPhase): RolloutState => run(ways[phase]);
