// What stands between sufficient evidence and the next move: schedules, people, peers, and hooks, which are asked last. A
// gate holds traffic back; none of them ever holds back a rollback.
import type { HookPlan, RolloutPlan } from '../model/rollout-plan.ts';
import { closedReason } from './rollout-schedule.ts';
import type { RolloutContext, RolloutEffect, RolloutPhase, Wait } from './rollout-types.ts';

export type Move = 'start' | 'step' | 'promotion';
type Ask = Extract<RolloutEffect, { type: 'ask' }>;

export const approvalGate = 'approval:';
export const hookGate = 'hook:';

/** Empty when the move may be made now. */
export const waitsBefore = (
  move: Move,
  context: RolloutContext,
  nowMs: number,
): readonly Wait[] => {
  const { plan, approvals, step } = context;
  const waits: Wait[] = [];
  const closed = plan.schedule && closedReason(plan.schedule, nowMs);
  if (closed !== undefined) waits.push({ gate: 'schedule', reason: closed });
  const missing = move === 'promotion' ? missingRequests(context) : undefined;
  if (missing !== undefined) waits.push({ gate: 'requests', reason: missing });
  const key = approvalKey(move, step);
  if (plan.approvals?.includes(move) && !Object.hasOwn(approvals, key))
    waits.push({ gate: `${approvalGate}${key}`, reason: `a person to approve ${words[move]}` });
  if (move === 'promotion' && plan.group !== undefined && !context.released)
    waits.push({ gate: 'group', reason: `the other rollouts of the group ${plan.group}` });
  return waits.length > 0 ? waits : hookWaits(hooksBefore(move, context), context);
};

const words: Readonly<Record<Move, string>> = {
  start: 'the start',
  step: 'the next step',
  promotion: 'the promotion',
};

export const approvalKey = (move: Move, step: number): string =>
  move === 'step' ? `step:${step + 1}` : move;

const missingRequests = ({ plan, verdict }: RolloutContext): string | undefined => {
  const { minRequests = 0 } = plan;
  const seen = verdict?.evidence.canary.requests ?? 0;
  if (seen >= minRequests) return undefined;
  return `not enough requests: ${minRequests - seen} more requests needed (${seen} of ${minRequests})`;
};

interface Question {
  readonly hook: HookPlan;
  /** What the answer is valid for. */
  readonly for: string;
}

/** The first kind that has not agreed; the kinds after it are not asked yet. */
const hooksBefore = (move: Move, context: RolloutContext): readonly Question[] => {
  const { plan, step } = context;
  const { strategy = 'canary' } = plan;
  const increasesAt = { canary: 'start', ab: 'start', mirror: 'step', blueGreen: 'promotion' };
  const increase = increasesAt[strategy];
  const kinds: Readonly<Record<Move, readonly (readonly [HookPlan['type'], string])[]>> = {
    start: [
      ['confirm-rollout', 'start'],
      ['pre-rollout', 'start'],
      ...(increase === 'start' ? ([['confirm-traffic-increase', 'step:1']] as const) : []),
    ],
    step: [
      ['rollout', 'analysis'],
      ['confirm-traffic-increase', `step:${step + 1}`],
    ],
    promotion: [
      ['rollout', 'analysis'],
      ...(increase === 'promotion' ? ([['confirm-traffic-increase', 'promotion']] as const) : []),
      ['confirm-promotion', 'promotion'],
    ],
  };
  for (const [type, about] of kinds[move]) {
    const open = questions(plan, type, about).filter((one) => !hasAgreed(one, context));
    if (open.length > 0) return open;
  }
  return [];
};

const questions = (plan: RolloutPlan, type: HookPlan['type'], about: string): Question[] =>
  (plan.hooks ?? []).filter((hook) => hook.type === type).map((hook) => ({ hook, for: about }));

const hasAgreed = ({ hook, for: about }: Question, { hooks }: RolloutContext): boolean => {
  const known = hooks[hook.name];
  return known?.for === about && known.ok === true;
};

const hookWaits = (open: readonly Question[], { hooks }: RolloutContext): readonly Wait[] =>
  open.map(({ hook: { name, type }, for: about }) => {
    const known = hooks[name];
    const said = known?.for === about && known.ok === false ? ` said no: ${known.detail}` : '';
    return { gate: `${hookGate}${name}`, reason: `the ${type} hook ${name}${said}` };
  });

const onTrial: ReadonlySet<RolloutPhase> = new Set([
  'initializing',
  'progressing',
  'holding',
  'paused',
  'inconclusive',
]);
const inAnalysis: ReadonlySet<RolloutPhase> = new Set(['progressing', 'holding']);
const atEnd: ReadonlySet<RolloutPhase> = new Set(['succeeded', 'failed']);

/** An answer that is this late will not come. */
const answerPatienceMs = 5000;

/** Hooks to call now, given the move that only they hold back. */
export const dueAsks = (
  phase: RolloutPhase,
  context: RolloutContext,
  nowMs: number,
  held: Move | undefined,
): readonly Ask[] => {
  const { plan, hooks } = context;
  if (plan.hooks === undefined || plan.hooks.length === 0) return [];
  const wanted = [
    ...(held === undefined ? [] : hooksBefore(held, context)),
    ...(inAnalysis.has(phase) ? questions(plan, 'rollout', 'analysis') : []),
    ...(onTrial.has(phase) ? questions(plan, 'rollback', 'trial') : []),
    ...(atEnd.has(phase) ? questions(plan, 'post-rollout', 'end').filter(isUnanswered(hooks)) : []),
  ];
  const due = wanted.filter(({ hook, for: about }) => {
    const known = hooks[hook.name];
    if (known?.for !== about) return true;
    const patienceMs =
      known.answeredMs === undefined ? hook.timeoutMs + answerPatienceMs : hook.intervalMs;
    return nowMs - known.askedMs >= patienceMs;
  });
  return [...new Map(due.map((one) => [one.hook.name, one])).values()].map(
    ({ hook, for: about }) => ({
      type: 'ask',
      hook,
      for: about,
      phase: flaggerPhase(phase, context),
      askedMs: nowMs,
      question: hooks[hook.name]?.for === about ? (hooks[hook.name]?.answers ?? 0) : 0,
    }),
  );
};

const isUnanswered =
  (hooks: RolloutContext['hooks']) =>
  ({ hook, for: about }: Question): boolean =>
    hooks[hook.name]?.for !== about || hooks[hook.name]?.answeredMs === undefined;

/** As hooks written for Flagger know them. */
export const flaggerPhase = (
  phase: RolloutPhase,
  { waiting }: Pick<RolloutContext, 'waiting'>,
): string => {
  switch (phase) {
    case 'idle':
      return 'Initialized';
    case 'initializing':
      return waiting.length > 0 ? 'Waiting' : 'Initializing';
    case 'progressing':
    case 'holding':
      return waiting.some(({ gate }) => gate === `${approvalGate}promotion`)
        ? 'WaitingPromotion'
        : 'Progressing';
    case 'paused':
    case 'inconclusive':
      return 'Waiting';
    case 'promoting':
      return 'Promoting';
    case 'succeeded':
      return 'Succeeded';
    case 'rollingBack':
    case 'failed':
      return 'Failed';
    default:
      return phase satisfies never;
  }
};
