// What the rollout machine's actions do: each returns the part of its memory that changes, or the effect to hand out.
import type { EventType } from '../model/event.ts';
import { approvalGate } from './rollout-gates.ts';
import type { Asked } from './rollout-guards.ts';
import { approvalAsked, currentBaseline, strategyOf, verdictOf } from './rollout-guards.ts';
import {
  type RolloutContext,
  type RolloutEffect,
  type RolloutEvent,
  type RolloutPhase,
  timeOf,
} from './rollout-types.ts';

type Change = Partial<RolloutContext>;

const historyKept = 100;

/** A new trial from nothing: weight 0 and, by the effect that goes with it, fresh evidence. */
export const begin = ({ context, event }: Asked): Change => {
  const nowMs = timeOf(event);
  const canary = event.type === 'newRevision' ? event.canary : context.canary;
  return {
    baseline: currentBaseline(context),
    planBaseline: context.plan.baseline,
    canary,
    strategy: strategyOf(context.plan),
    steps: context.plan.steps,
    step: 0,
    weight: 0,
    exposure: undefined,
    acked: false,
    startedMs: nowMs,
    trafficMs: nowMs,
    stepStartedMs: nowMs,
    verdict: undefined,
    waiting: [],
    approvals: {},
    hooks: {},
    released: false,
    watchUntilMs: 0,
    reason:
      event.type === 'tick'
        ? movedBy(context)
        : (because(event) ?? `version ${canary ?? ''} is new`),
  };
};

const movedBy = ({ plan, strategy }: RolloutContext): string =>
  strategy === strategyOf(plan)
    ? `the policy names ${plan.baseline} as the baseline`
    : `the policy asks for the strategy ${strategyOf(plan)}`;

/** The promoted version is what the next one is compared with. */
export const adopt = ({ context }: Asked): Change =>
  context.canary === undefined ? {} : { baseline: context.canary };

/** What policy has taken over is on trial again, and has lost. */
export const revive = ({ context }: Asked): Change =>
  context.former === undefined
    ? {}
    : {
        baseline: context.former,
        planBaseline: context.plan.baseline,
        canary: context.plan.baseline,
        undone: context.plan.baseline,
      };

/** The policy has taken over: nothing is on trial. */
export const settle = ({ context }: Asked): Change => ({
  baseline: context.plan.baseline,
  planBaseline: context.plan.baseline,
  canary: undefined,
  step: 0,
  weight: 0,
  exposure: undefined,
  reason: `the policy names ${context.plan.baseline} as the baseline`,
});

export const noteVerdict = (asked: Asked): Change => {
  const verdict = verdictOf(asked);
  return verdict ? { verdict, reason: verdict.reason } : {};
};

export const noteReason = ({ event }: Asked): Change => {
  const reason = because(event);
  return reason === undefined ? {} : { reason };
};

/** A step begins when the agents enforce it. */
export const noteAck = ({ context, event }: Asked): Change => ({
  acked: true,
  stepStartedMs: context.acked ? context.stepStartedMs : timeOf(event),
});

export const stepUp = (asked: Asked): Change => {
  const { context, event } = asked;
  const nowMs = timeOf(event);
  const steps = context.step === 0 ? stepsFor(context) : context.steps;
  const step = Math.min(context.step + 1, steps.length);
  return {
    steps,
    step,
    weight: steps[step - 1] ?? 0,
    exposure: exposureOf(context, step),
    acked: false,
    stepStartedMs: nowMs,
    // What the copies of requests have proven is not about the requests that follow.
    ...(context.step === 0 || context.exposure === 'mirror' ? { trafficMs: nowMs } : {}),
    ...(verdictOf(asked) ? { reason: earned(context) } : {}),
  };
};

const exposureOf = ({ plan }: RolloutContext, step: number): RolloutContext['exposure'] => {
  if (step !== 1) return undefined;
  if (plan.strategy === 'ab') return 'cohort';
  return plan.strategy === 'mirror' ? 'mirror' : undefined;
};

/** Why now; what the verdict says is about promotion. */
const earned = ({ step, reason }: RolloutContext): string =>
  `${step === 0 ? 'the trial begins' : 'the evidence allows the next step'}; for promotion: ${reason}`;

/** Canary requests per second that are plenty to see a regression in seconds. */
const startRate = 50;
const smallSteps = [1, 5, 10];

const stepsFor = ({ plan, verdict }: RolloutContext): readonly number[] => {
  const first = plan.steps[0] ?? 100;
  const rate = verdict?.requestRate ?? 0;
  if (plan.ramp === 'steps' || rate <= 0) return plan.steps;
  const start = Math.max(1, Math.min(10, (100 * startRate) / rate));
  if (start >= first) return plan.steps;
  const begin = Number(start.toFixed(2));
  return [begin, ...smallSteps.filter((step) => step >= 2 * begin && step < first), ...plan.steps];
};

export const allTraffic = ({ context }: Asked): Change => ({
  weight: 100,
  exposure: undefined,
  acked: false,
  former: context.baseline,
  undone: undefined,
});
export const noTraffic = (): Change => ({ weight: 0, exposure: undefined, acked: false });

/** The clocks of step, soak and deadline do not run in a pause. */
export const skipPause = ({ context, event }: Asked): Change => {
  const pausedMs = timeOf(event) - context.enteredMs;
  return {
    trafficMs: context.trafficMs + pausedMs,
    stepStartedMs: context.stepStartedMs + pausedMs,
  };
};

/** A whole new deadline; evidence and steps stay. */
export const extend = ({ event }: Asked): Change => ({ trafficMs: timeOf(event) });

export const remember = ({ context, event }: Asked, phase: RolloutPhase): Change => {
  const atMs = timeOf(event);
  const entry = { atMs, state: phase, weight: context.weight, reason: context.reason };
  return { enteredMs: atMs, history: [...context.history, entry].slice(-historyKept) };
};

/** The answer counts only for what it was asked for. */
export const noteAnswer = ({ context, event }: Asked): Change => {
  if (event.type !== 'answered') return {};
  const asked = context.hooks[event.hook];
  if (asked?.for !== event.for) return {};
  const { ok, nowMs } = event;
  const answer = {
    ...asked,
    answeredMs: nowMs,
    ok,
    detail: event.detail.slice(0, detailKept),
    failures: ok ? 0 : asked.failures + 1,
    answers: (asked.answers ?? 0) + 1,
  };
  return { hooks: { ...context.hooks, [event.hook]: answer } };
};

const detailKept = 300;

export const noteApproval = ({ context, event }: Asked): Change => {
  const gate = approvalAsked(context);
  if (event.type !== 'approve' || gate === undefined) return {};
  const { by, why, nowMs } = event;
  return {
    approvals: { ...context.approvals, [gate]: { by, why, atMs: nowMs } },
    waiting: context.waiting.filter((wait) => wait.gate !== `${approvalGate}${gate}`),
  };
};

export const release = (): Change => ({ released: true });

export const startWatch = ({ context, event }: Asked): Change => ({
  watchUntilMs: timeOf(event) + (context.plan.watchMs ?? 0),
});

export const splitEffect = ({ context }: Asked): RolloutEffect => splitOf(context);

export const splitOf = (context: RolloutContext): RolloutEffect => {
  const canary = Math.round(context.weight * 100);
  const weights: Record<string, number> = {};
  for (const version of context.plan.versions) weights[version] = 0;
  weights[context.baseline] = 10_000 - (context.canary === undefined ? 0 : canary);
  if (context.canary !== undefined && context.canary !== context.baseline)
    weights[context.canary] = canary;
  return {
    type: 'split',
    body: { type: 'split', target: context.plan.service, weights, ...exposed(context) },
    reason: context.reason,
  };
};

const exposed = ({ exposure, canary, plan }: RolloutContext) => {
  if (canary === undefined) return {};
  if (exposure === 'cohort') return { cohort: canary };
  if (exposure !== 'mirror') return {};
  return { mirror: { version: canary, percent: plan.mirror?.percent ?? 100 } };
};

export const analysisEffect = ({ context }: Asked): RolloutEffect => ({
  type: 'startAnalysis',
  baseline: context.baseline,
  canary: context.canary ?? '',
});

export const eventEffect = ({ context, event }: Asked, type: EventType): RolloutEffect => ({
  type: 'event',
  event: type,
  data: {
    rollout: context.plan.id,
    service: context.plan.service,
    baseline: context.baseline,
    canary: context.canary,
    weight: context.weight,
    step: context.step,
    steps: context.steps,
    reason: context.reason,
    ...(context.verdict ? { evidence: context.verdict.evidence } : {}),
    ...(context.waiting.length > 0 ? { waiting: context.waiting } : {}),
    ...('by' in event && event.by !== undefined ? { by: event.by, why: event.why ?? '' } : {}),
  },
});

const because = (event: RolloutEvent): string | undefined => {
  if (event.type === 'telemetryStale') return 'no telemetry';
  if (event.type === 'peerFailed') return `${event.peer} was rolled back: ${event.why}`;
  if (event.type === 'regressed') return `worse after the promotion: ${event.why}`;
  if (event.type === 'answered')
    return `the hook ${event.hook} ${event.ok ? 'orders it' : 'has failed too often'}: ${event.detail}`;
  if (!('by' in event) || event.by === undefined) return undefined;
  const act = event.type === 'newRevision' ? `start ${event.canary}` : event.type;
  return `${act} by ${event.by}${event.why ? `: ${event.why}` : ''}`;
};
