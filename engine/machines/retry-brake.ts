// Retries of one edge of the call graph, seen over all agents. Each agent bounds its own; together, with few requests each,
// they can still bury a service that is failing. When they pass their bound, they get a share of all requests that shrinks
// while they press against it, and grows back when they no longer do.
import { assign, emit, setup, transition } from 'xstate';
import type { DecisionOf } from '../model/control-message.ts';
import type { EventType } from '../model/event.ts';

export const brakePhases = ['free', 'braked'] as const;
export type BrakePhase = (typeof brakePhases)[number];

/** What all agents together did since the last second. */
export interface BrakeEvent {
  readonly type: 'second';
  readonly nowMs: number;
  readonly requests: number;
  readonly retries: number;
  /** Percent that policy allows. */
  readonly bound: number;
}

export type BrakeEffect =
  | { readonly type: 'limit'; readonly body: DecisionOf<'retry-budget'>; readonly reason: string }
  | { readonly type: 'release'; readonly target: string; readonly reason: string }
  | {
      readonly type: 'event';
      readonly event: EventType;
      readonly data: Readonly<Record<string, unknown>>;
    };

interface Second {
  readonly atMs: number;
  readonly requests: number;
  readonly retries: number;
}

export interface BrakeContext {
  /** `<scope>/namespace/service` */
  readonly target: string;
  /** Newest last; begun anew with every change of the limit. */
  readonly seconds: readonly Second[];
  /** In force; 0 while there is none. */
  readonly percent: number;
  readonly changedMs: number;
  readonly reason: string;
}

/** Persisted as JSON. */
export interface BrakeState {
  readonly v: 1;
  readonly phase: BrakePhase;
  readonly context: BrakeContext;
}

/** A storm is judged by so much of the past. */
const WINDOW_MS = 10_000;
/** Fewer retries than this bury nobody. */
const MIN_RETRIES = 20;
/** A limit holds at least so long. */
const STEP_MS = 5_000;
/** Nobody has sent anything for so long: there is nothing to limit. */
const SILENCE_MS = 60_000;
const FLOOR_PERCENT = 1;
/** Of the limit: used to so much, it presses; used to less than this, there is room. */
const PRESSING = 0.8;
const EASY = 0.5;

interface Asked {
  readonly context: BrakeContext;
  readonly event: BrakeEvent;
}
type Change = Partial<BrakeContext>;

const noted = ({ context, event }: Asked): readonly Second[] => {
  const { nowMs, requests, retries } = event;
  const kept = context.seconds.filter(({ atMs }) => atMs > nowMs - WINDOW_MS);
  return requests === 0 ? kept : [...kept, { atMs: nowMs, requests, retries }];
};
const totals = (asked: Asked) => {
  const seconds = noted(asked);
  const requests = seconds.reduce((sum, one) => sum + one.requests, 0);
  const retries = seconds.reduce((sum, one) => sum + one.retries, 0);
  return { requests, retries, percent: requests === 0 ? 0 : (100 * retries) / requests };
};
const words = (asked: Asked): string => {
  const { requests, retries } = totals(asked);
  return `${retries} retries of ${requests} requests`;
};

const isStorm = (asked: Asked): boolean => {
  const { retries, percent } = totals(asked);
  return retries >= MIN_RETRIES && percent > asked.event.bound;
};
const isTested = ({ context, event }: Asked): boolean => event.nowMs - context.changedMs >= STEP_MS;
const isPressed = (asked: Asked): boolean =>
  isTested(asked) &&
  asked.context.percent > FLOOR_PERCENT &&
  totals(asked).percent >= asked.context.percent * PRESSING;
const isEasy = (asked: Asked): boolean => {
  const { requests, percent } = totals(asked);
  return isTested(asked) && requests > 0 && percent <= asked.context.percent * EASY;
};
const isOver = (asked: Asked): boolean =>
  isEasy(asked) && asked.context.percent * 2 >= asked.event.bound;
const isSilent = (asked: Asked): boolean =>
  totals(asked).requests === 0 && asked.event.nowMs - asked.context.changedMs >= SILENCE_MS;

const limitTo = (asked: Asked, percent: number): Change => ({
  percent: Math.max(FLOOR_PERCENT, percent),
  changedMs: asked.event.nowMs,
  seconds: [],
  reason: words(asked),
});
const note = (asked: Asked): Change => ({ seconds: noted(asked) });
const brake = (asked: Asked): Change => limitTo(asked, asked.event.bound / 2);
const shrink = (asked: Asked): Change => limitTo(asked, asked.context.percent / 2);
const grow = (asked: Asked): Change => limitTo(asked, asked.context.percent * 2);
const release = (asked: Asked): Change => ({ ...limitTo(asked, 0), percent: 0 });

const limitEffect = ({ context }: Asked): BrakeEffect => ({
  type: 'limit',
  body: { type: 'retry-budget', target: context.target, percent: context.percent },
  reason: context.reason,
});
const releaseEffect = ({ context: { target, reason } }: Asked): BrakeEffect => ({
  type: 'release',
  target,
  reason,
});
const eventEffect = (
  { context: { target, percent, reason } }: Asked,
  { event }: { readonly event: EventType },
): BrakeEffect => ({ type: 'event', event, data: { edge: target, percent, reason } });

const machine = setup({
  types: {
    context: {} as BrakeContext,
    events: {} as BrakeEvent,
    emitted: {} as BrakeEffect,
  },
  guards: { isStorm, isPressed, isEasy, isOver, isSilent },
  actions: {
    note: assign(note),
    brake: assign(brake),
    shrink: assign(shrink),
    grow: assign(grow),
    release: assign(release),
    publish: emit(limitEffect),
    withdraw: emit(releaseEffect),
    announce: emit(eventEffect),
  },
});

const announce = (event: EventType) => ({ type: 'announce', params: { event } }) as const;
const limited = ['publish', announce('retries.limited')] as const;
const freed = {
  target: 'free',
  actions: ['release', 'withdraw', announce('retries.released')],
} as const;

export const retryBrakeMachine = machine.createMachine({
  id: 'retryBrake',
  initial: 'free',
  context: {} as BrakeContext,
  states: {
    free: {
      on: {
        second: [
          { guard: 'isStorm', target: 'braked', actions: ['brake', ...limited] },
          { actions: 'note' },
        ],
      },
    },
    braked: {
      on: {
        second: [
          { guard: 'isPressed', actions: ['shrink', ...limited] },
          { guard: 'isOver', ...freed },
          { guard: 'isEasy', actions: ['grow', ...limited] },
          { guard: 'isSilent', ...freed },
          { actions: 'note' },
        ],
      },
    },
  },
});

export interface BrakeAdvanced {
  readonly state: BrakeState;
  readonly effects: readonly BrakeEffect[];
}

export const freeBrake = (target: string): BrakeState => ({
  v: 1,
  phase: 'free',
  context: { target, seconds: [], percent: 0, changedMs: 0, reason: 'nothing wrong' },
});

/** Pure. */
export const advanceRetryBrake = (state: BrakeState, event: BrakeEvent): BrakeAdvanced => {
  const { phase: value, context } = state;
  const before = retryBrakeMachine.resolveState({ value, context });
  const [after, actions] = transition(retryBrakeMachine, before, event);
  const effects = actions
    .filter((action: { readonly type: string }) => action.type === 'xstate.emit')
    .map(({ params }) => (params as unknown as { readonly event: BrakeEffect }).event);
  return { state: { v: 1, phase: after.value, context: after.context }, effects };
};

/** One of which only is known what was decided. */
export const heldBrake = (target: string, percent: number, nowMs: number): BrakeState => ({
  v: 1,
  phase: 'braked',
  context: { ...freeBrake(target).context, percent, changedMs: nowMs, reason: 'as it was' },
});

/** What was stored, if a release that this one knows stored it. */
export const readBrakeState = (value: unknown): BrakeState | undefined => {
  const state = value as Partial<BrakeState> | null | undefined;
  const isWhole =
    state?.v === 1 &&
    brakePhases.includes(state.phase as BrakePhase) &&
    typeof state.context?.target === 'string' &&
    Array.isArray(state.context.seconds) &&
    typeof state.context.percent === 'number' &&
    typeof state.context.changedMs === 'number';
  return isWhole ? (state as BrakeState) : undefined;
};
