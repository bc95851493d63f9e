// What the machine knows of a rollout, as the admin API tells it; control adds the standing decisions.
import type { RolloutStatus } from '../model/api.ts';
import type { RolloutPlan } from '../model/rollout-plan.ts';
import { idleRollout } from './rollout.ts';
import type { RolloutState } from './rollout-types.ts';

export const rolloutStatus = (
  state: RolloutState | undefined,
  plan: RolloutPlan,
): Omit<RolloutStatus, 'standing'> => {
  const { phase, context } = state ?? idleRollout(plan);
  const evidence = context.verdict?.evidence;
  return {
    id: plan.id,
    service: plan.service,
    state: phase,
    baseline: context.baseline,
    canary: context.canary,
    strategy: plan.strategy ?? 'canary',
    weight: context.weight,
    exposure: context.exposure,
    step: context.step,
    steps: context.steps,
    startedMs: context.startedMs,
    stepStartedMs: context.stepStartedMs,
    outcome: context.verdict?.outcome,
    reason: context.reason,
    waiting: context.waiting,
    approvals: context.approvals,
    watchUntilMs: context.watchUntilMs,
    evidence,
    arms: evidence && { canary: evidence.canary, baseline: evidence.baseline },
    history: context.history,
  };
};
