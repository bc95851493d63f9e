// All breakers of the fleet: splits samples into reports, tells each breaker how the rest of its upstream is, and never
// lets all endpoints of an upstream go. Pure.
import { upstreamOf } from '../model/endpoint.ts';
import type { EndpointSeries, Sample } from '../model/telemetry.ts';
import { advanceBreaker, closedBreaker, readBreakerState } from './breaker.ts';
import { counted, isIll, spanOf, tallies } from './breaker-quorum.ts';
import {
  type BreakerContext,
  type BreakerEffect,
  type BreakerEvent,
  type BreakerPlan,
  type BreakerState,
  defaultBreakerPlan,
  type Peers,
} from './breaker-types.ts';

/** Persisted as JSON. By endpoint: `namespace/service@version/address:port`. */
export interface Breakers {
  readonly v: 1;
  readonly breakers: Readonly<Record<string, BreakerState>>;
}

/** What is known of one upstream at this moment. */
export interface UpstreamFacts {
  readonly endpoints: readonly string[];
  /** Live agents that send there. */
  readonly agents: readonly string[];
  readonly plan?: BreakerPlan;
}

/** By `namespace/service@version`; only upstreams whose breakers are on. */
export type Fleet = ReadonlyMap<string, UpstreamFacts>;

export type BreakersEvent =
  | { readonly type: 'sample'; readonly sample: Sample; readonly nowMs: number }
  | { readonly type: 'tick'; readonly nowMs: number }
  | {
      readonly type: 'forceOpen' | 'forceClose';
      readonly endpoint: string;
      readonly nowMs: number;
      readonly by: string;
      readonly why: string;
    };

export interface BreakersAdvanced {
  readonly state: Breakers;
  readonly effects: readonly BreakerEffect[];
  /** Why a command was not carried out. */
  readonly refused?: string;
}

export const noBreakers: Breakers = { v: 1, breakers: {} };

export const advanceBreakers = (
  state: Breakers,
  event: BreakersEvent,
  fleet: Fleet,
): BreakersAdvanced => {
  const round = new Round(state.breakers, fleet, event.nowMs);
  if (event.type === 'sample') round.hear(event.sample);
  else if (event.type === 'tick') round.tick();
  else {
    const refused = round.refusal(event);
    if (refused !== undefined) return { state, effects: [], refused };
    round.advance(event.endpoint, event);
  }
  return { state: { v: 1, breakers: Object.fromEntries(round.breakers) }, effects: round.effects };
};

/** Said again after a restart. */
export const standingBreakers = ({ breakers }: Breakers): readonly BreakerEffect[] =>
  Object.values(breakers).flatMap(({ phase, context: { target, prober, reason } }) =>
    phase === 'closed'
      ? []
      : [
          {
            type: 'breaker' as const,
            body: {
              type: 'breaker' as const,
              target,
              state: phase,
              ...(phase === 'halfOpen' && prober !== undefined ? { prober } : {}),
            },
            reason,
          },
        ],
  );

/** What has to survive: who is not closed, and who was open lately. Counts are measured anew. */
export const lastingBreakers = ({ breakers }: Breakers): Breakers['breakers'] =>
  Object.fromEntries(
    Object.entries(breakers)
      .filter(([, { phase, context }]) => phase !== 'closed' || context.openings > 0)
      .map(([endpoint, state]) => [
        endpoint,
        { ...state, context: { ...state.context, counts: {} } },
      ]),
  );

/** Those that can be read go on; the names of the others are handed to `onUnreadable`. */
export const readBreakers = (
  value: unknown,
  onUnreadable: (endpoint: string) => void = () => {},
): Breakers => {
  const stored = (value as Partial<Breakers> | null | undefined)?.breakers;
  if (typeof stored !== 'object' || stored === null) return noBreakers;
  const read = Object.entries(stored).flatMap(([endpoint, one]) => {
    const state = readBreakerState(one);
    if (!state) onUnreadable(endpoint);
    return state ? [[endpoint, state] as const] : [];
  });
  return { v: 1, breakers: Object.fromEntries(read) };
};

/** One event being worked through all breakers that it concerns. */
class Round {
  readonly breakers: Map<string, BreakerState>;
  readonly effects: BreakerEffect[] = [];
  private readonly fleet: Fleet;
  private readonly nowMs: number;
  /** Of single endpoints in some span: worked out once. */
  private readonly states = new Map<string, 'well' | 'ill' | 'unknown'>();

  constructor(breakers: Breakers['breakers'], fleet: Fleet, nowMs: number) {
    this.breakers = new Map(Object.entries(breakers));
    this.fleet = fleet;
    this.nowMs = nowMs;
  }

  hear({ agent, endpoints = [] }: Sample): void {
    const { nowMs } = this;
    const judged: EndpointSeries[] = [];
    const brownouts = this.brownoutsIn(endpoints);
    // All endpoints of a sample are noted before any is judged: what has just failed everywhere is nobody's own fault.
    for (const series of endpoints) {
      if (!this.isKnown(series.endpoint) || series.requests === 0) continue;
      const state = this.of(series.endpoint);
      const { phase, context } = state;
      // Of an open one nothing is asked, of a half-open one only its prober.
      if (phase === 'open' || (phase === 'halfOpen' && agent !== context.prober)) continue;
      const isBad = series.failures > 0 && !brownouts.has(upstreamOf(series.endpoint));
      if (phase !== 'closed' || isBad) judged.push(series);
      else this.note(state, agent, series);
    }
    for (const [at, { endpoint, requests, failures }] of judged.entries()) {
      const peers = this.peersOf(endpoint, agent, judged.slice(at));
      this.advance(endpoint, { type: 'report', agent, requests, failures, nowMs, peers });
    }
  }

  /** Upstreams of which the agent finds more of the other endpoints ill than well: it has nothing to say against single ones. */
  private brownoutsIn(endpoints: readonly EndpointSeries[]): ReadonlySet<string> {
    const ill = new Map<string, number>();
    for (const series of endpoints) {
      if (series.requests === 0) continue;
      const upstream = upstreamOf(series.endpoint);
      const isBad = isIll(this.plan(series.endpoint), [series]);
      ill.set(upstream, (ill.get(upstream) ?? 0) + (isBad ? 1 : -1));
    }
    return new Set([...ill].flatMap(([upstream, more]) => (more > 1 ? [upstream] : [])));
  }

  tick(): void {
    const { nowMs } = this;
    for (const [endpoint, state] of [...this.breakers].sort(([a], [b]) => (a < b ? -1 : 1))) {
      if (!this.isKnown(endpoint)) this.breakers.delete(endpoint);
      else if (state.phase === 'closed' && state.context.openings === 0) this.age(state);
      else this.advance(endpoint, { type: 'tick', nowMs, peers: this.peersOf(endpoint) });
    }
  }

  advance(endpoint: string, event: BreakerEvent): void {
    const next = advanceBreaker(this.breakers.get(endpoint), endpoint, event, this.plan(endpoint));
    this.breakers.set(endpoint, next.state);
    this.effects.push(...next.effects);
  }

  refusal({ type, endpoint }: Extract<BreakersEvent, { endpoint: string }>): string | undefined {
    if (!this.isKnown(endpoint)) return `there is no endpoint ${endpoint} with a shared breaker`;
    const { endpoints, open } = this.peersOf(endpoint);
    return type === 'forceOpen' && open + 1 >= endpoints
      ? `${endpoint} is the last endpoint of ${upstreamOf(endpoint)} that is not open`
      : undefined;
  }

  /** Nothing to decide. */
  private note(state: BreakerState, agent: string, { requests, failures }: EndpointSeries): void {
    const { nowMs } = this;
    const peers = nobody;
    const event = { type: 'report', agent, requests, failures, nowMs, peers } as const;
    this.keep(state, event);
  }

  private age(state: BreakerState): void {
    if (Object.keys(state.context.counts).length === 0) this.breakers.delete(state.context.target);
    else this.keep(state, { type: 'tick', nowMs: this.nowMs, peers: nobody });
  }

  private keep(state: BreakerState, event: BreakerEvent): void {
    const { context } = state;
    const counts = counted({ ...context, plan: this.plan(context.target) }, event);
    this.breakers.set(context.target, { ...state, context: { ...context, counts } });
  }

  private of(endpoint: string): BreakerState {
    return this.breakers.get(endpoint) ?? closedBreaker(endpoint);
  }

  private plan(endpoint: string): BreakerPlan {
    return this.fleet.get(upstreamOf(endpoint))?.plan ?? defaultBreakerPlan;
  }

  private isKnown(endpoint: string): boolean {
    return this.fleet.get(upstreamOf(endpoint))?.endpoints.includes(endpoint) ?? false;
  }

  /** `news` is what `agent` has just said and nobody has noted yet. */
  private peersOf(endpoint: string, agent = '', news: readonly EndpointSeries[] = []): Peers {
    const facts = this.fleet.get(upstreamOf(endpoint));
    const endpoints = facts?.endpoints ?? [];
    const countsOf = (one: string): BreakerContext['counts'] => {
      const counts = this.breakers.get(one)?.context.counts ?? {};
      const said = news.find((series) => series.endpoint === one);
      if (said === undefined) return counts;
      const { requests, failures } = said;
      return {
        ...counts,
        [agent]: [...(counts[agent] ?? []), { atMs: this.nowMs, requests, failures }],
      };
    };
    const plan = this.plan(endpoint);
    const spanMs = spanOf(countsOf(endpoint), plan, this.nowMs);
    const others = endpoints.filter((other) => other !== endpoint);
    const closed = others.filter((other) => this.of(other).phase === 'closed');
    const states = closed.map((other) => this.stateIn(other, spanMs, countsOf, plan));
    return {
      endpoints: endpoints.length,
      open: others.length - closed.length,
      well: states.filter((state) => state === 'well').length,
      ill: states.filter((state) => state === 'ill').length,
      agents: this.of(endpoint).phase === 'closed' ? [] : this.proberCandidates(endpoint),
      bystanders: facts?.agents.filter((other) => other !== agent).length ?? 0,
    };
  }

  private stateIn(
    endpoint: string,
    spanMs: number,
    countsOf: (endpoint: string) => BreakerContext['counts'],
    plan: BreakerPlan,
  ): 'well' | 'ill' | 'unknown' {
    const key = `${spanMs} ${endpoint}`;
    const known = this.states.get(key);
    if (known !== undefined) return known;
    const seen = tallies(countsOf(endpoint), this.nowMs - spanMs);
    const state = seen.length === 0 ? 'unknown' : isIll(plan, seen) ? 'ill' : 'well';
    this.states.set(key, state);
    return state;
  }

  /** Who has sent requests to the upstream lately; if nobody, who might. */
  private proberCandidates(endpoint: string): readonly string[] {
    const { endpoints = [], agents = [] } = this.fleet.get(upstreamOf(endpoint)) ?? {};
    const users = new Set(this.of(endpoint).context.witnesses);
    for (const one of endpoints)
      for (const agent of Object.keys(this.of(one).context.counts)) users.add(agent);
    const seen = agents.filter((agent) => users.has(agent));
    return seen.length > 0 ? seen : agents;
  }
}

const nobody: Peers = { endpoints: 0, open: 0, well: 0, ill: 0, agents: [], bystanders: 0 };
