// All breakers of the fleet: splits samples into reports, tells each breaker how the rest of its upstream is, and never
// lets all endpoints of an upstream go. Pure.
import type { EndpointSeries, Sample } from '../model/telemetry.ts';
import { advanceBreaker, readBreakerState } from './breaker.ts';
import { isIll, tallies } from './breaker-quorum.ts';
import {
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

/** What is known of the fleet at this moment. */
export interface Fleet {
  /** Endpoints of each upstream, by `namespace/service@version`. */
  readonly endpoints: Readonly<Record<string, readonly string[]>>;
  /** Live agents. */
  readonly agents: readonly string[];
  /** Absent or undefined: the default. */
  readonly planOf?: (upstream: string) => BreakerPlan | undefined;
}

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

/** `namespace/service@version` of an endpoint. */
export const upstreamOf = (endpoint: string): string =>
  endpoint.slice(0, endpoint.lastIndexOf('/'));

export const advanceBreakers = (
  state: Breakers,
  event: BreakersEvent,
  fleet: Fleet,
): BreakersAdvanced => {
  let breakers = event.type === 'tick' ? pruned(state.breakers, fleet) : state.breakers;
  const effects: BreakerEffect[] = [];
  // All endpoints of a sample are looked at together: what has just failed everywhere is nobody's own fault.
  const incoming = event.type === 'sample' ? (event.sample.endpoints ?? []) : [];
  const advance = (endpoint: string, make: (peers: Peers) => BreakerEvent): void => {
    const plan = fleet.planOf?.(upstreamOf(endpoint)) ?? defaultBreakerPlan;
    const peers = peersOf(breakers, endpoint, fleet, incoming);
    const next = advanceBreaker(own(breakers, endpoint), endpoint, make(peers), plan);
    breakers = { ...breakers, [endpoint]: next.state };
    effects.push(...next.effects);
  };
  const { nowMs } = event;
  if (event.type === 'sample') {
    const { agent } = event.sample;
    for (const { endpoint, requests, failures } of incoming)
      if (isKnown(endpoint, fleet))
        advance(endpoint, (peers) => ({ type: 'report', agent, requests, failures, nowMs, peers }));
  } else if (event.type === 'tick') {
    for (const endpoint of Object.keys(breakers).sort())
      advance(endpoint, (peers) => ({ type: 'tick', nowMs, peers }));
  } else {
    const refused = refusal(breakers, event, fleet);
    if (refused !== undefined) return { state, effects, refused };
    advance(event.endpoint, () => event);
  }
  return { state: { v: 1, breakers }, effects };
};

const refusal = (
  breakers: Breakers['breakers'],
  { type, endpoint }: Extract<BreakersEvent, { endpoint: string }>,
  fleet: Fleet,
): string | undefined => {
  if (!isKnown(endpoint, fleet)) return `there is no endpoint ${endpoint}`;
  const { endpoints, open } = peersOf(breakers, endpoint, fleet, []);
  return type === 'forceOpen' && open + 1 >= endpoints
    ? `${endpoint} is the last endpoint of ${upstreamOf(endpoint)} that is not open`
    : undefined;
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

/** Breakers that cannot be read begin closed; the others go on. */
export const readBreakers = (value: unknown): Breakers => {
  const stored = (value as Partial<Breakers> | null | undefined)?.breakers;
  if (typeof stored !== 'object' || stored === null) return noBreakers;
  const read = Object.entries(stored).flatMap(([endpoint, one]) => {
    const state = readBreakerState(one);
    return state ? [[endpoint, state] as const] : [];
  });
  return { v: 1, breakers: Object.fromEntries(read) };
};

const own = (breakers: Breakers['breakers'], endpoint: string): BreakerState | undefined =>
  Object.hasOwn(breakers, endpoint) ? breakers[endpoint] : undefined;

const isKnown = (endpoint: string, { endpoints }: Fleet): boolean => {
  const upstream = upstreamOf(endpoint);
  return Object.hasOwn(endpoints, upstream) && (endpoints[upstream] ?? []).includes(endpoint);
};

const pruned = (breakers: Breakers['breakers'], fleet: Fleet): Breakers['breakers'] =>
  Object.fromEntries(Object.entries(breakers).filter(([endpoint]) => isKnown(endpoint, fleet)));

const peersOf = (
  breakers: Breakers['breakers'],
  endpoint: string,
  fleet: Fleet,
  incoming: readonly EndpointSeries[],
): Peers => {
  const upstream = upstreamOf(endpoint);
  const plan = fleet.planOf?.(upstream) ?? defaultBreakerPlan;
  const all = fleet.endpoints[upstream] ?? [];
  const users = new Set(own(breakers, endpoint)?.context.witnesses);
  let open = 0;
  let well = 0;
  let ill = 0;
  for (const other of all) {
    const state = own(breakers, other);
    const known = tallies(state?.context.counts ?? {});
    for (const { agent } of known) users.add(agent);
    if (other === endpoint) continue;
    const seen = [...known, ...incoming.filter((one) => one.endpoint === other)];
    if (state && state.phase !== 'closed') open += 1;
    else if (seen.some(({ requests }) => requests > 0)) {
      if (isIll(plan, seen)) ill += 1;
      else well += 1;
    }
  }
  const agents = fleet.agents.filter((agent) => users.has(agent));
  return {
    endpoints: all.length,
    open,
    well,
    ill,
    agents: agents.length > 0 ? agents : fleet.agents,
  };
};
