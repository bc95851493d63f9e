// How a new version earns its traffic: verdicts, acks, answers and operators' commands in; weights, questions and events
// out. The machine states, it does not reach out: control records and publishes what it is handed.
import { transition } from 'xstate';
import type { RolloutPlan } from '../model/rollout-plan.ts';
import { eventEffect } from './rollout-changes.ts';
import { dueAsks, hookGate, type Move, waitsBefore } from './rollout-gates.ts';
import { allowedMove, approvalAsked } from './rollout-guards.ts';
import { rolloutMachine } from './rollout-machine.ts';
import {
  type HookState,
  type RolloutContext,
  type RolloutEffect,
  type RolloutEvent,
  type RolloutPhase,
  type RolloutState,
  rolloutCommands,
  timeOf,
} from './rollout-types.ts';

export { rolloutMachine } from './rollout-machine.ts';
export type { RolloutEffect, RolloutEvent, RolloutState } from './rollout-types.ts';

export interface Advanced {
  readonly state: RolloutState;
  /** To be carried out in order; all of them may be carried out again. */
  readonly effects: readonly RolloutEffect[];
  /** Why a command was not possible in this phase; the state is unchanged then. */
  readonly refused?: string;
}

const commands: ReadonlySet<string> = new Set(rolloutCommands);

/** `persisted` is what this function returned before, or what `readRolloutState` made of stored JSON. Pure. */
export const advanceRollout = (
  persisted: RolloutState | undefined,
  plan: RolloutPlan,
  event: RolloutEvent,
): Advanced => {
  const state = persisted ?? idleRollout(plan);
  const before = rolloutMachine.resolveState({
    value: state.phase,
    context: { ...state.context, plan },
  });
  if (commands.has(event.type) && !before.can(event))
    return { state, effects: [], refused: refusal(state, event) };
  const [after, actions] = transition(rolloutMachine, before, event);
  const effects = actions
    .filter((action: { readonly type: string }) => action.type === 'xstate.emit')
    .map(({ params }) => (params as unknown as { readonly event: RolloutEffect }).event);
  const gated = atTheGates(state.phase, after.value, after.context, event);
  const { plan: _, ...context } = gated.context;
  // Policy has named another baseline since: from now on its word counts again.
  const undone = context.undone === plan.baseline ? context.undone : undefined;
  return {
    state: { v: 2, rollout: plan.id, phase: after.value, context: { ...context, undone } },
    effects: [...effects, ...gated.effects],
  };
};

/** What holds back the move that the evidence allows, told once, and the hooks that are to be asked now. */
const atTheGates = (
  before: RolloutPhase,
  phase: RolloutPhase,
  context: RolloutContext,
  event: RolloutEvent,
): { readonly context: RolloutContext; readonly effects: readonly RolloutEffect[] } => {
  const isBeat = event.type === 'verdict' || event.type === 'tick';
  const held = event.type === 'verdict' ? allowedMove(phase, { context, event }) : undefined;
  const waiting = waitingAfter(before, phase, context, { event, held });
  const reason =
    held !== undefined && waiting.length > 0
      ? `waiting: ${waiting.map((wait) => wait.reason).join('; ')}; ${context.reason}`
      : context.reason;
  const isUpToHooks = waiting.every(({ gate }) => gate.startsWith(hookGate));
  const asks = isBeat ? dueAsks(phase, context, timeOf(event), isUpToHooks ? held : undefined) : [];
  const hooks = { ...context.hooks };
  for (const { hook, for: about, askedMs } of asks) {
    const { answeredMs: _, ...known } = hooks[hook.name] ?? unasked;
    const kept = known.for === about ? known : unasked;
    hooks[hook.name] = { ...kept, for: about, askedMs };
  }
  const next = { ...context, waiting, reason, hooks };
  const isNews = waiting.length > 0 && gatesOf(waiting) !== gatesOf(context.waiting);
  return {
    context: next,
    effects: [
      ...(isNews ? [eventEffect({ context: next, event }, 'rollout.waiting')] : []),
      ...asks,
    ],
  };
};

const unasked: HookState = { for: '', askedMs: 0, failures: 0, answers: 0 };

const gatesOf = (waiting: RolloutContext['waiting']): string =>
  waiting.map(({ gate }) => gate).join(' ');

const waitingAfter = (
  before: RolloutPhase,
  phase: RolloutPhase,
  context: RolloutContext,
  { event, held }: { readonly event: RolloutEvent; readonly held: Move | undefined },
): RolloutContext['waiting'] => {
  if (held !== undefined) return waitsBefore(held, context, timeOf(event));
  return event.type === 'verdict' || phase !== before ? [] : context.waiting;
};

const refusal = ({ phase, context }: RolloutState, { type }: RolloutEvent): string => {
  if (type === 'skip' && context.step > 0 && context.step === context.steps.length)
    return 'there is no step left to skip to; promote instead';
  if (type === 'undo' && phase === 'idle') return 'there is no promotion to undo';
  if ((type === 'approve' || type === 'reject') && approvalAsked(context) === undefined)
    return 'nothing waits for an approval';
  return `cannot ${type} while the rollout is ${phase}`;
};

export const idleRollout = (plan: RolloutPlan): RolloutState => ({
  v: 2,
  rollout: plan.id,
  phase: 'idle',
  context: {
    baseline: plan.baseline,
    planBaseline: plan.baseline,
    canary: undefined,
    former: undefined,
    undone: undefined,
    strategy: plan.strategy ?? 'canary',
    steps: plan.steps,
    step: 0,
    weight: 0,
    exposure: undefined,
    acked: false,
    startedMs: 0,
    trafficMs: 0,
    stepStartedMs: 0,
    enteredMs: 0,
    verdict: undefined,
    reason: 'no new version',
    waiting: [],
    approvals: {},
    hooks: {},
    released: false,
    watchUntilMs: 0,
    history: [],
  },
});
