// One endpoint's breaker for the whole fleet: what one agent suffers, the others need not. Closed, open, half-open with
// one elected prober. The data plane's own outlier reflex acts beside it and sooner.
import { assign, emit, setup, transition } from 'xstate';
import type { EventType } from '../model/event.ts';
import {
  counted,
  elect,
  isOneOfFew,
  judgeEndpoint,
  mayOpenOneMore,
  wordsOf,
} from './breaker-quorum.ts';
import {
  type BreakerContext,
  type BreakerEffect,
  type BreakerEvent,
  type BreakerPhase,
  type BreakerPlan,
  type BreakerState,
  breakerPhases,
  defaultBreakerPlan,
} from './breaker-types.ts';

interface Asked {
  readonly context: BreakerContext;
  readonly event: BreakerEvent;
}
type Change = Partial<BreakerContext>;

const peersOf = (event: BreakerEvent) => ('peers' in event ? event.peers : undefined);
const proberReport = ({ context, event }: Asked) =>
  event.type === 'report' && event.agent === context.prober && event.requests > 0
    ? event
    : undefined;

const isCondemned = ({ context, event }: Asked): boolean => {
  const peers = peersOf(event);
  return (
    peers !== undefined &&
    mayOpenOneMore(context, peers) &&
    isOneOfFew(peers) &&
    judgeEndpoint(context, event).condemned
  );
};
const isServed = ({ context, event }: Asked): boolean => event.nowMs >= context.dueMs;
const hasFailedProbe = (asked: Asked): boolean => (proberReport(asked)?.failures ?? 0) > 0;
const isWell = (asked: Asked): boolean => {
  const report = proberReport(asked);
  return (
    report !== undefined &&
    report.failures === 0 &&
    asked.context.successes + report.requests >= asked.context.plan.probes
  );
};
const needsProber = ({ context, event }: Asked): boolean => {
  const agents = peersOf(event)?.agents ?? [];
  if (context.prober === undefined || !agents.includes(context.prober)) return agents.length > 0;
  return event.nowMs - context.electedMs >= context.plan.probePatienceMs && agents.length > 1;
};
const isForgotten = ({ context, event }: Asked): boolean =>
  context.openings > 0 && event.nowMs - context.changedMs >= context.plan.maxOpenMs;

/** `openings` are those before. */
const openFor = ({ plan, openings }: BreakerContext): number =>
  Math.min(plan.maxOpenMs, plan.baseOpenMs * 2 ** openings);

const count = ({ context, event }: Asked): Change => ({ counts: counted(context, event) });
const open = ({ context, event }: Asked): Change => {
  const evidence = 'by' in event ? undefined : judgeEndpoint(context, event).evidence;
  return {
    openings: context.openings + 1,
    evidence,
    witnesses: Object.keys(counted(context, event)).sort().slice(0, MAX_WITNESSES),
    changedMs: event.nowMs,
    dueMs: event.nowMs + openFor(context),
    prober: undefined,
    counts: {},
    reason: 'by' in event ? byHand(event) : wordsOf(evidence ?? nothingSeen),
  };
};
const reopen = ({ context, event }: Asked): Change => ({
  openings: context.openings + 1,
  evidence: undefined,
  changedMs: event.nowMs,
  dueMs: event.nowMs + openFor(context),
  prober: undefined,
  reason: `the probe by ${context.prober ?? 'nobody'} failed`,
});
/** Every opening begins with another agent, so that one that is badly placed itself does not keep it open. */
const startProbing = ({ context, event }: Asked): Change => ({
  changedMs: event.nowMs,
  elections: Math.max(0, context.openings - 1),
  successes: 0,
  prober: undefined,
  reason: 'time is up',
});
const electProber = ({ context, event }: Asked): Change => {
  const prober = elect(peersOf(event)?.agents ?? [], context.target, context.elections);
  return {
    prober,
    elections: context.elections + 1,
    electedMs: event.nowMs,
    successes: 0,
    reason: prober === undefined ? 'nobody can probe' : `${prober} probes`,
  };
};
const countProbe = (asked: Asked): Change => {
  const report = proberReport(asked);
  return report
    ? { successes: asked.context.successes + report.requests, electedMs: report.nowMs }
    : {};
};
const close = ({ context, event }: Asked): Change => ({
  changedMs: event.nowMs,
  prober: undefined,
  counts: {},
  reason: 'by' in event ? byHand(event) : `probes by ${context.prober ?? 'nobody'} succeeded`,
});
const forgive = (): Change => ({ openings: 0 });

/** Enough to elect a prober from. */
const MAX_WITNESSES = 32;
const nothingSeen = { requests: 0, failures: 0, agents: 0, accusers: 0, spanMs: 0 };

const byHand = (event: Extract<BreakerEvent, { by: string }>): string =>
  `${event.type === 'forceOpen' ? 'opened' : 'closed'} by ${event.by}: ${event.why}`;

const decisionEffect = (
  { context }: Asked,
  { state }: { readonly state: BreakerPhase },
): BreakerEffect => ({
  type: 'breaker',
  body: {
    type: 'breaker',
    target: context.target,
    state,
    ...(state === 'halfOpen' && context.prober !== undefined ? { prober: context.prober } : {}),
  },
  reason: context.reason,
});
const eventEffect = (
  { context }: Asked,
  { event }: { readonly event: EventType },
): BreakerEffect => ({
  type: 'event',
  event,
  data: {
    endpoint: context.target,
    reason: context.reason,
    openings: context.openings,
    ...(event === 'breaker.opened' && {
      openMs: context.dueMs - context.changedMs,
      ...context.evidence,
    }),
    ...(event === 'breaker.halfOpened' && { prober: context.prober ?? '' }),
  },
});

const breaker = setup({
  types: {
    context: {} as BreakerContext,
    events: {} as BreakerEvent,
    emitted: {} as BreakerEffect,
  },
  guards: { isCondemned, isServed, hasFailedProbe, isWell, needsProber, isForgotten },
  actions: {
    count: assign(count),
    open: assign(open),
    reopen: assign(reopen),
    startProbing: assign(startProbing),
    electProber: assign(electProber),
    countProbe: assign(countProbe),
    close: assign(close),
    forgive: assign(forgive),
    publish: emit(decisionEffect),
    announce: emit(eventEffect),
  },
});

const publish = (state: BreakerPhase) => ({ type: 'publish', params: { state } }) as const;
const announce = (event: EventType) => ({ type: 'announce', params: { event } }) as const;
const opened = [publish('open'), announce('breaker.opened')] as const;
const closed = {
  target: 'closed',
  actions: ['close', publish('closed'), announce('breaker.closed')],
} as const;
const elects = { guard: 'needsProber', actions: ['electProber', publish('halfOpen')] } as const;

export const breakerMachine = breaker.createMachine({
  id: 'breaker',
  initial: 'closed',
  context: {} as BreakerContext,
  states: {
    closed: {
      on: {
        report: [
          { guard: 'isCondemned', target: 'open', actions: ['open', ...opened] },
          { actions: 'count' },
        ],
        tick: [{ guard: 'isForgotten', actions: ['count', 'forgive'] }, { actions: 'count' }],
        forceOpen: { target: 'open', actions: ['open', ...opened] },
      },
    },
    open: {
      on: {
        tick: {
          guard: 'isServed',
          target: 'halfOpen',
          actions: [
            'startProbing',
            'electProber',
            publish('halfOpen'),
            announce('breaker.halfOpened'),
          ],
        },
        forceClose: closed,
      },
    },
    // Only the prober sends, so only the prober counts.
    halfOpen: {
      on: {
        report: [
          { guard: 'hasFailedProbe', target: 'open', actions: ['reopen', ...opened] },
          { guard: 'isWell', ...closed },
          { actions: 'countProbe' },
        ],
        tick: elects,
        forceOpen: { target: 'open', actions: ['open', ...opened] },
        forceClose: closed,
      },
    },
  },
});

export interface BreakerAdvanced {
  readonly state: BreakerState;
  readonly effects: readonly BreakerEffect[];
}

/** Pure; `persisted` is what it returned before, undefined for an endpoint not heard of yet. */
export const advanceBreaker = (
  persisted: BreakerState | undefined,
  target: string,
  event: BreakerEvent,
  plan: BreakerPlan = defaultBreakerPlan,
): BreakerAdvanced => {
  const state = persisted ?? closedBreaker(target);
  const before = breakerMachine.resolveState({
    value: state.phase,
    context: { ...state.context, plan },
  });
  const [after, actions] = transition(breakerMachine, before, event);
  const { plan: _, ...context } = after.context;
  const effects = actions
    .filter((action: { readonly type: string }) => action.type === 'xstate.emit')
    .map(({ params }) => (params as unknown as { readonly event: BreakerEffect }).event);
  return { state: { v: 1, phase: after.value, context }, effects };
};

export const closedBreaker = (target: string): BreakerState => ({
  v: 1,
  phase: 'closed',
  context: {
    target,
    counts: {},
    openings: 0,
    evidence: undefined,
    witnesses: [],
    changedMs: 0,
    dueMs: 0,
    prober: undefined,
    elections: 0,
    electedMs: 0,
    successes: 0,
    reason: 'nothing wrong',
  },
});

/** One of which only is known that it was decided to be open: it is for another while, and then probed. */
export const heldBreaker = (target: string, nowMs: number): BreakerState => {
  const { context } = closedBreaker(target);
  const dueMs = nowMs + defaultBreakerPlan.baseOpenMs;
  const reason = 'it was open, and what was known of it is lost';
  return {
    v: 1,
    phase: 'open',
    context: { ...context, openings: 1, changedMs: nowMs, dueMs, reason },
  };
};

/** What was stored, if a release that this one knows stored it. A breaker that cannot be read begins closed. */
export const readBreakerState = (value: unknown): BreakerState | undefined => {
  if (typeof value !== 'object' || value === null) return undefined;
  const state = value as Partial<BreakerState>;
  const isWhole =
    state.v === 1 &&
    breakerPhases.includes(state.phase as BreakerPhase) &&
    typeof state.context?.target === 'string' &&
    typeof state.context.counts === 'object' &&
    typeof state.context.openings === 'number' &&
    typeof state.context.changedMs === 'number' &&
    typeof state.context.dueMs === 'number';
  return isWhole ? (state as BreakerState) : undefined;
};
