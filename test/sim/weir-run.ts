// One rollout through the real analysis and the real machine. A decision takes one second more than the rivals' to be
// in force: the second is telemetry on its way.
import {
  type AnalysisState,
  type BaselineState,
  judge,
  learnBaseline,
  observe,
  startAnalysis,
} from '#engine/analysis/analysis.ts';
import { advanceRollout, type RolloutEvent, type RolloutState } from '#engine/machines/rollout.ts';
import { isActive, judgeFacts } from '#engine/machines/rollout-state.ts';
import type { RolloutPlan } from '#engine/model/rollout-plan.ts';
import type { Sample } from '#engine/model/telemetry.ts';
import type { Chance } from './random.ts';
import type { Run } from './run.ts';
import { createWorld, service, versions, type World } from './world.ts';

export const learnSeconds = 600;
const lagSeconds = 1;

export const planOf = (changes: Partial<RolloutPlan> = {}): RolloutPlan => ({
  id: 'sim/rollout',
  service,
  baseline: versions.baseline,
  versions: [versions.baseline, versions.canary],
  steps: [10, 20, 30, 40, 50],
  ramp: 'automatic',
  minStepMs: 10_000,
  minSoakMs: 60_000,
  deadlineMs: 3_600_000,
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
    warmUpMs: 3000,
    maxLatencyRatio: 1.25,
    promoteLatencyRatio: { p90: 1.5, p99: 2 },
  },
  ...changes,
});

export const runWeir = (
  world: World,
  plan: RolloutPlan,
  learnt: BaselineState | undefined,
  chance: Chance,
): Run => {
  const { second } = createWorld(world, chance);
  const loop = createLoop(plan, learnt);
  const underWay: number[] = [];
  let weight = 0;
  let exposed = 0;
  let failed = 0;
  let first: number | undefined;
  for (let t = 0; t < plan.deadlineMs / 1000 + 60; t += 1) {
    if (weight > 0) first ??= t;
    const { samples, arms } = second(t, weight, t * 1000);
    exposed += arms.canary.requests;
    failed += arms.canary.errors;
    const nowMs = (t + 1) * 1000;
    loop.hear(samples, nowMs);
    underWay.push(loop.decided());
    if (underWay.length > lagSeconds) weight = underWay.shift() ?? weight;
    const outcome = loop.enforced(weight, nowMs);
    // The last decision is in force from the next second on.
    if (outcome) return { outcome, exposed, failed, seconds: t + 1 - (first ?? t) };
  }
  return { outcome: 'undecided', exposed, failed, seconds: plan.deadlineMs / 1000 };
};

/** What control does with samples and acks, without the bus. */
const createLoop = (plan: RolloutPlan, learnt: BaselineState | undefined) => {
  let analysis: AnalysisState | undefined;
  let rollout: RolloutState | undefined;
  const send = (event: RolloutEvent): void => {
    const { state, effects } = advanceRollout(rollout, plan, event);
    rollout = state;
    for (const effect of effects)
      if (effect.type === 'startAnalysis') analysis = startAnalysis(plan, effect, 0, learnt);
  };
  send({ type: 'newRevision', canary: versions.canary, nowMs: 0 });
  send({ type: 'weightAcked', weight: 0, nowMs: 0 });
  return {
    decided: (): number => rollout?.context.weight ?? 0,
    hear: (samples: readonly Sample[], nowMs: number): void => {
      if (!analysis || !rollout || !isActive(rollout)) return;
      for (const sample of samples) analysis = observe(analysis, sample);
      const [judged, verdict] = judge(analysis, judgeFacts(rollout, nowMs));
      analysis = judged;
      send({ type: 'verdict', verdict });
    },
    /** The outcome, once its weight is in force. */
    enforced: (weight: number, nowMs: number): Run['outcome'] | undefined => {
      if (rollout?.context.weight !== weight) return undefined;
      if (!rollout.context.acked) send({ type: 'weightAcked', weight, nowMs });
      return outcomeOf(rollout);
    },
  };
};

/** What Weir knows of the old version after ten minutes without a rollout. */
export const learn = (world: World, chance: Chance): BaselineState | undefined => {
  const { second } = createWorld(world, chance);
  let learnt: BaselineState | undefined;
  const of = { service, version: versions.baseline };
  for (let t = -learnSeconds; t < 0; t += 1)
    for (const sample of second(t, 0, 3_600_000 + t * 1000).samples)
      learnt = learnBaseline(learnt, sample, of);
  return learnt;
};

const outcomeOf = ({ phase }: RolloutState): Run['outcome'] | undefined => {
  if (phase === 'succeeded') return 'promoted';
  if (phase === 'failed') return 'rolledBack';
  return phase === 'inconclusive' ? 'undecided' : undefined;
};
