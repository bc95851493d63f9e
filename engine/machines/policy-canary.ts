// How a policy revision earns the whole fleet: some agents try it, and what they answer is held against the rest's.
import { assign, emit, setup, transition } from 'xstate';
import type { EventType } from '../model/event.ts';
import {
  type CohortVerdict,
  type PolicyCanaryPhase,
  policyCanaryPhases,
} from '../model/policy-canary.ts';
import { ranked } from './ranked.ts';

interface At {
  readonly nowMs: number;
}
interface Command extends At {
  readonly by: string;
  readonly why: string;
}

export type PolicyCanaryEvent =
  | (At & { readonly type: 'tick' })
  /** Every agent of the cohort has it in force. */
  | (At & { readonly type: 'enforced' })
  | (At & { readonly type: 'verdict'; readonly verdict: CohortVerdict })
  /** An agent of the cohort cannot enforce it, or is gone. */
  | (At & { readonly type: 'rejected' | 'lost'; readonly agent: string; readonly why: string })
  /** It cannot be committed, or means nothing any more. */
  | (At & { readonly type: 'unfit'; readonly why: string })
  /** Somebody else has committed. */
  | (At & { readonly type: 'superseded'; readonly revision: number; readonly author: string })
  | (At & { readonly type: 'committed' })
  | (Command & { readonly type: 'promote' | 'abort' });

export type PolicyCanaryEffect =
  | { readonly type: 'watch' }
  /** Safe to repeat: carried out only if the revision is not there yet. */
  | { readonly type: 'commit' }
  | {
      readonly type: 'event';
      readonly event: EventType;
      readonly data: Readonly<Record<string, unknown>>;
    };

export interface PolicyCanaryPlan {
  readonly id: string;
  readonly revision: number;
  readonly author: string;
  /** Agents by scope. */
  readonly cohorts: Readonly<Record<string, readonly string[]>>;
  /** Agents of each scope when it began. */
  readonly sizes: Readonly<Record<string, number>>;
  readonly startedMs: number;
  readonly deadlineMs: number;
}

interface Context extends PolicyCanaryPlan {
  readonly enteredMs: number;
  readonly reason: string;
  readonly culprits: readonly string[];
  readonly verdict: CohortVerdict | undefined;
  readonly history: readonly {
    readonly atMs: number;
    readonly state: PolicyCanaryPhase;
    readonly reason: string;
  }[];
}

/** Persisted as JSON. */
export interface PolicyCanaryState {
  readonly v: 1;
  readonly phase: PolicyCanaryPhase;
  readonly context: Context;
}

/** An agent that has not taken it after so long will not. */
const SPREAD_MS = 30_000;

interface Asked {
  readonly context: Context;
  readonly event: PolicyCanaryEvent;
}
type Change = Partial<Context>;

const outcomeOf = ({ event }: Asked) =>
  event.type === 'verdict' ? event.verdict.outcome : undefined;
const isWorse = (asked: Asked): boolean => outcomeOf(asked) === 'fail';
const isGood = (asked: Asked): boolean => outcomeOf(asked) === 'pass';
const isLate = ({ context, event }: Asked): boolean => event.nowMs - context.startedMs >= SPREAD_MS;
const isOver = ({ context, event }: Asked): boolean => event.nowMs >= context.deadlineMs;

const reasonOf = ({ context, event }: Asked): string => {
  switch (event.type) {
    case 'verdict':
      return event.verdict.reason;
    case 'rejected':
    case 'lost':
      return `${event.agent} ${event.why}`;
    case 'unfit':
      return event.why;
    case 'superseded':
      return `${event.author} has committed r${event.revision} meanwhile`;
    case 'promote':
    case 'abort':
      return `${event.type} by ${event.by}: ${event.why}`;
    case 'enforced':
      return 'its agents have it, and are watched';
    case 'committed':
      return context.reason;
    case 'tick':
      return context.reason;
    default:
      return event satisfies never;
  }
};
const note = (asked: Asked): Change => ({
  reason: reasonOf(asked),
  ...(asked.event.type === 'verdict' && {
    verdict: asked.event.verdict,
    culprits: asked.event.verdict.outcome === 'fail' ? asked.event.verdict.culprits : [],
  }),
});
const noteLate = ({ context: { cohorts } }: Asked): Change => ({
  reason: `not every agent of the cohort (${Object.values(cohorts).flat().join(', ')}) has it after ${SPREAD_MS / 1000} s`,
});
const noteOver = ({ context }: Asked): Change => ({
  reason: `not decided in ${Math.round((context.deadlineMs - context.startedMs) / 1000)} s: ${context.reason}`,
});
const remember = ({ context, event }: Asked, state: PolicyCanaryPhase): Change => ({
  enteredMs: event.nowMs,
  history: [...context.history, { atMs: event.nowMs, state, reason: context.reason }],
});

const eventEffect = ({ context, event: cause }: Asked, event: EventType): PolicyCanaryEffect => {
  const { id, revision, author, cohorts, reason, culprits, verdict } = context;
  const figures = verdict ? { figures: verdict.scopes } : {};
  const who = 'by' in cause ? { by: cause.by, why: cause.why } : {};
  const data = { canary: id, revision, author, cohorts, reason, culprits, ...figures, ...who };
  return { type: 'event', event, data };
};

const canary = setup({
  types: {
    context: {} as Context,
    events: {} as PolicyCanaryEvent,
    emitted: {} as PolicyCanaryEffect,
  },
  guards: { isWorse, isGood, isLate, isOver },
  actions: {
    note: assign(note),
    noteLate: assign(noteLate),
    noteOver: assign(noteOver),
    remember: assign((asked, { phase }: { phase: PolicyCanaryPhase }) => remember(asked, phase)),
    watch: emit({ type: 'watch' }),
    commit: emit({ type: 'commit' }),
    announce: emit((asked, { event }: { event: EventType }) => eventEffect(asked, event)),
  },
});

const into = <P extends Exclude<PolicyCanaryPhase, 'spreading'>>(phase: P) =>
  ({
    target: phase,
    actions: [
      'note',
      { type: 'remember', params: { phase } },
      { type: 'announce', params: { event: `policyCanary.${phase}` } },
    ],
  }) as const;
const reverts = into('reverted');
const promotes = {
  target: 'promoting',
  actions: [...into('promoting').actions, 'commit'],
} as const;
const instead = (noted: 'noteLate' | 'noteOver', phase: 'reverted' | 'inconclusive') =>
  ({ target: phase, actions: [noted, ...into(phase).actions.slice(1)] }) as const;
const trying = {
  rejected: reverts,
  lost: reverts,
  unfit: reverts,
  superseded: reverts,
  committed: into('promoted'),
  promote: promotes,
  abort: into('aborted'),
} as const;

export const policyCanaryMachine = canary.createMachine({
  id: 'policyCanary',
  initial: 'spreading',
  context: {} as Context,
  states: {
    spreading: {
      on: {
        ...trying,
        enforced: { target: 'watching', actions: [...into('watching').actions, 'watch'] },
        tick: { guard: 'isLate', ...instead('noteLate', 'reverted') },
      },
    },
    watching: {
      on: {
        ...trying,
        verdict: [
          { guard: 'isWorse', ...reverts },
          { guard: 'isGood', ...promotes },
          { actions: 'note' },
        ],
        tick: { guard: 'isOver', ...instead('noteOver', 'inconclusive') },
      },
    },
    promoting: {
      on: {
        tick: { actions: 'commit' },
        committed: into('promoted'),
        superseded: reverts,
        unfit: reverts,
      },
    },
    promoted: {},
    reverted: {},
    inconclusive: {},
    aborted: {},
  },
});

/** Some agents try it: neither committed nor taken back. */
export const isUnderWay = ({ phase }: PolicyCanaryState): boolean =>
  phase === 'spreading' || phase === 'watching' || phase === 'promoting';

export interface PolicyCanaryAdvanced {
  readonly state: PolicyCanaryState;
  /** To be carried out in order; all of them may be carried out again. */
  readonly effects: readonly PolicyCanaryEffect[];
  /** Why a command was not possible in this phase; the state is unchanged then. */
  readonly refused?: string;
}

export const startPolicyCanary = (plan: PolicyCanaryPlan): PolicyCanaryAdvanced => {
  const { startedMs: nowMs, cohorts } = plan;
  const reason = `sent to ${Object.values(cohorts).flat().join(', ')}`;
  const context: Context = {
    ...plan,
    enteredMs: nowMs,
    reason,
    culprits: [],
    verdict: undefined,
    history: [{ atMs: nowMs, state: 'spreading', reason }],
  };
  const announced = eventEffect(
    { context, event: { type: 'tick', nowMs } },
    'policyCanary.started',
  );
  return { state: { v: 1, phase: 'spreading', context }, effects: [announced] };
};

/** Pure. */
export const advancePolicyCanary = (
  state: PolicyCanaryState,
  event: PolicyCanaryEvent,
): PolicyCanaryAdvanced => {
  const { phase: value, context } = state;
  const before = policyCanaryMachine.resolveState({ value, context });
  if ((event.type === 'promote' || event.type === 'abort') && !before.can(event))
    return {
      state,
      effects: [],
      refused: `cannot ${event.type}: r${context.revision} is ${value}`,
    };
  const [after, actions] = transition(policyCanaryMachine, before, event);
  const effects = actions
    .filter((action: { readonly type: string }) => action.type === 'xstate.emit')
    .map(({ params }) => (params as unknown as { readonly event: PolicyCanaryEffect }).event);
  return { state: { v: 1, phase: after.value, context: after.context }, effects };
};

/** What was stored, if a release that this one knows stored it. */
export const readPolicyCanaryState = (value: unknown): PolicyCanaryState | undefined => {
  const state = value as Partial<PolicyCanaryState> | null | undefined;
  const context = state?.context as Partial<Context> | undefined;
  const isWhole =
    state?.v === 1 &&
    policyCanaryPhases.includes(state.phase as PolicyCanaryPhase) &&
    typeof context?.id === 'string' &&
    typeof context.revision === 'number' &&
    typeof context.cohorts === 'object' &&
    typeof context.sizes === 'object' &&
    typeof context.startedMs === 'number' &&
    typeof context.deadlineMs === 'number' &&
    Array.isArray(context.history);
  return isWhole ? (state as PolicyCanaryState) : undefined;
};

/**
 * Whom to try it on: so many percent of the agents, or so many, but at least one, and one at least is left to compare
 * with. Undefined where there is nobody to compare with.
 */
export const chooseCohort = (
  agents: readonly string[],
  { id, percent = 10, count }: { id: string; percent?: number; count?: number },
): readonly string[] | undefined => {
  if (agents.length < 2) return undefined;
  const wanted = count ?? Math.floor((agents.length * percent) / 100);
  const size = Math.min(Math.max(1, wanted), agents.length - 1);
  return ranked(agents, id).slice(0, size).toSorted();
};
