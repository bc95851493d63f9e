// The questions the rollout machine asks. A verdict about other versions than those on trial answers none of them.
import type { RolloutPlan } from '../model/rollout-plan.ts';
import type { Verdict } from '../model/verdict.ts';
import { approvalGate, type Move, waitsBefore } from './rollout-gates.ts';
import {
  type RolloutContext,
  type RolloutEvent,
  type RolloutPhase,
  timeOf,
} from './rollout-types.ts';

export interface Asked {
  readonly context: RolloutContext;
  readonly event: RolloutEvent;
}

/** Without an ack or without known latencies the first step is taken after these all the same. */
const ackPatienceMs = 10_000;
const learningPatienceMs = 30_000;
/** A decision stands whether or not every agent says so in time. */
const settlePatienceMs = 30_000;
const suspicionAt = 10;

export const verdictOf = ({ context, event }: Asked): Verdict | undefined =>
  event.type === 'verdict' &&
  event.verdict.canary === context.canary &&
  event.verdict.baseline === context.baseline
    ? event.verdict
    : undefined;

export const isWorse = (asked: Asked): boolean => verdictOf(asked)?.outcome === 'fail';

export const isUnmeasured = (asked: Asked): boolean => verdictOf(asked)?.outcome === 'error';

/** Nothing but time runs out for a version that waits beside the traffic. */
const isFutile = (asked: Asked): boolean => {
  const { plan, trafficMs } = asked.context;
  const verdict = verdictOf(asked);
  if (plan.strategy !== 'blueGreen') return verdict?.futile === true;
  return verdict !== undefined && verdict.atMs - trafficMs >= plan.deadlineMs;
};
export const isFutileForHuman = (asked: Asked): boolean =>
  isFutile(asked) && asked.context.plan.onInconclusive === 'hold';
export const isFutileForRollback = (asked: Asked): boolean =>
  isFutile(asked) && asked.context.plan.onInconclusive === 'rollback';

/** Nobody should gain traffic now, though nothing is proven. */
export const isDoubtful = (asked: Asked): boolean => {
  const verdict = verdictOf(asked);
  return (
    verdict !== undefined && (verdict.baselineUnhealthy || verdict.evidence.rollback >= suspicionAt)
  );
};

export const isSound = (asked: Asked): boolean =>
  verdictOf(asked) !== undefined && !isWorse(asked) && !isUnmeasured(asked) && !isDoubtful(asked);

/** Telemetry flows, the agents enforce weight 0, latencies are known; or it has been waited for them long enough. */
const canBegin = (asked: Asked): boolean => {
  const { context, event } = asked;
  const waitedMs = timeOf(event) - context.enteredMs;
  return (
    isSound(asked) &&
    (context.acked || waitedMs >= ackPatienceMs) &&
    (verdictOf(asked)?.learning === false || waitedMs >= learningPatienceMs)
  );
};

const isStepOver = ({ context, event }: Asked): boolean => {
  const { plan, exposure, stepStartedMs, verdict } = context;
  const spentMs = timeOf(event) - stepStartedMs;
  if (exposure !== 'mirror' || !plan.mirror) return spentMs >= plan.minStepMs;
  const seen = event.type === 'verdict' ? event.verdict : verdict;
  return (
    spentMs >= plan.mirror.durationMs &&
    (seen?.evidence.canary.requests ?? 0) >= plan.mirror.minRequests
  );
};

export const hasNextStep = ({ context }: Asked): boolean => context.step < context.steps.length;

const canStepUp = (asked: Asked): boolean => {
  const verdict = verdictOf(asked);
  if (!verdict || !hasNextStep(asked) || !isStepOver(asked)) return false;
  if (isMirrored(asked)) return true;
  const { plan, step, steps } = asked.context;
  const before = plan.strategy === 'mirror' ? 1 : 0;
  return (
    verdict.progress >= (step - before) / (steps.length - before) ||
    (verdict.futile && plan.onInconclusive === 'advance')
  );
};

const canPromote = (asked: Asked): boolean => {
  const verdict = verdictOf(asked);
  if (!verdict || hasNextStep(asked) || !isStepOver(asked)) return false;
  const { plan, trafficMs } = asked.context;
  // Beside the traffic there is little to prove: time, gates, and nothing that speaks against it.
  if (plan.strategy === 'blueGreen') return verdict.atMs - trafficMs >= plan.minSoakMs;
  return verdict.outcome === 'pass' || (verdict.futile && plan.onInconclusive === 'advance');
};

/** What the evidence allows next, whether or not something else holds it back. */
export const allowedMove = (phase: RolloutPhase, asked: Asked): Move | undefined => {
  if (phase === 'initializing') return canBegin(asked) ? 'start' : undefined;
  if (phase !== 'progressing') return undefined;
  if (canPromote(asked)) return 'promotion';
  return canStepUp(asked) ? 'step' : undefined;
};

const isOpen = (move: Move, asked: Asked): boolean =>
  waitsBefore(move, { ...asked.context, verdict: verdictOf(asked) }, timeOf(asked.event)).length ===
  0;
export const mayBegin = (asked: Asked): boolean => canBegin(asked) && isOpen('start', asked);
export const mayStepUp = (asked: Asked): boolean => canStepUp(asked) && isOpen('step', asked);
export const isMirrored = ({ context }: Asked): boolean => context.exposure === 'mirror';
export const mayLeaveMirror = (asked: Asked): boolean => isMirrored(asked) && mayStepUp(asked);
export const mayPromote = (asked: Asked): boolean =>
  canPromote(asked) && isOpen('promotion', asked);

/** What a person is asked to approve at this moment. */
export const approvalAsked = ({ waiting }: Pick<RolloutContext, 'waiting'>): string | undefined =>
  waiting.find(({ gate }) => gate.startsWith(approvalGate))?.gate.slice(approvalGate.length);
export const isApprovalAsked = ({ context }: Asked): boolean =>
  approvalAsked(context) !== undefined;

const hookAnswered = ({ context, event }: Asked) => {
  if (event.type !== 'answered') return undefined;
  const state = context.hooks[event.hook];
  const hook = context.plan.hooks?.find(({ name }) => name === event.hook);
  return hook && state?.for === event.for ? { hook, state, ok: event.ok } : undefined;
};

export const isOrderedBack = (asked: Asked): boolean => {
  const answer = hookAnswered(asked);
  return answer?.hook.type === 'rollback' && answer.ok;
};

export const hasFailedTooOften = (asked: Asked): boolean => {
  const answer = hookAnswered(asked);
  if (!answer || answer.ok) return false;
  const { type, failureThreshold } = answer.hook;
  const counts = type === 'pre-rollout' || type === 'rollout';
  return counts && answer.state.failures + 1 >= failureThreshold;
};

export const isWatched = ({ context, event }: Asked): boolean =>
  timeOf(event) < context.watchUntilMs;

export const hasNoTrafficYet = ({ context }: Asked): boolean => context.step === 0;

export const isWeightEnforced = ({ context, event }: Asked): boolean =>
  event.type === 'weightAcked' && event.weight === context.weight;

export const isSettlingLong = ({ context, event }: Asked): boolean =>
  timeOf(event) - context.enteredMs >= settlePatienceMs;

const known = ({ context, event }: Asked): string | undefined =>
  event.type === 'newRevision' &&
  context.plan.versions.includes(event.canary) &&
  (context.plan.start === 'automatic' || event.by !== undefined)
    ? event.canary
    : undefined;

/** A version that is neither on trial nor serving already. */
export const isAnother = (asked: Asked): boolean => {
  const canary = known(asked);
  return (
    canary !== undefined &&
    canary !== asked.context.canary &&
    canary !== currentBaseline(asked.context)
  );
};

/** The version that failed is not tried again by itself; an operator may name it. */
export const isAnotherOrNamed = (asked: Asked): boolean =>
  isAnother(asked) ||
  (known(asked) !== undefined &&
    asked.event.type === 'newRevision' &&
    asked.event.by !== undefined &&
    known(asked) !== currentBaseline(asked.context));

/** The same where a version has just been promoted: the former one may be named again. */
export const isAnotherThanPromoted = (asked: Asked): boolean => {
  const canary = known(asked);
  const { event, context } = asked;
  if (canary === undefined || canary === context.canary) return false;
  return canary !== context.baseline || (event.type === 'newRevision' && event.by !== undefined);
};

/** A promotion that policy has confirmed can still be undone. */
export const hasFormer = ({ context: { former, baseline, plan } }: Asked): boolean =>
  former !== undefined &&
  former !== baseline &&
  baseline === plan.baseline &&
  plan.versions.includes(former);

/** What serves now: a promoted version, until policy names another baseline. */
export const currentBaseline = (context: RolloutContext): string =>
  context.plan.baseline === context.planBaseline ? context.baseline : context.plan.baseline;

/** The policy itself now gives all traffic to the version that was on trial. */
export const policyAgrees = ({ context }: Asked): boolean =>
  context.canary !== undefined &&
  context.plan.baseline === context.canary &&
  context.undone !== context.canary;

/** The policy names a third version, or another way to try this one: what was compared is void. */
export const policyMoved = (asked: Asked): boolean => {
  const { plan, planBaseline, strategy } = asked.context;
  if (policyAgrees(asked)) return false;
  return plan.baseline !== planBaseline || strategyOf(plan) !== strategy;
};

export const strategyOf = ({ strategy = 'canary' }: RolloutPlan): RolloutContext['strategy'] =>
  strategy;
