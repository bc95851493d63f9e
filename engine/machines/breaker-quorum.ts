// When is an endpoint bad for everybody? Each agent that measured enough has a say; none has more than a typical one, so
// that neither a liar nor an agent behind a broken cable can take a healthy endpoint from all.
import type { BreakerContext, BreakerEvent, BreakerPlan, Count, Peers } from './breaker-types.ts';

export interface Tally {
  readonly agent: string;
  readonly requests: number;
  readonly failures: number;
}

export interface Judged {
  readonly condemned: boolean;
  readonly reason: string;
}

/** Counts with those of the event, the old ones gone. */
export const counted = (
  { counts, plan }: BreakerContext,
  event: BreakerEvent,
): BreakerContext['counts'] => {
  const since = event.nowMs - plan.windowMs;
  const fresh: Record<string, readonly Count[]> = {};
  const add = (agent: string, list: readonly Count[]): void => {
    const kept = list.filter(({ atMs }) => atMs > since);
    if (kept.length > 0) fresh[agent] = kept;
  };
  for (const [agent, list] of Object.entries(counts)) add(agent, list);
  if (event.type === 'report' && event.requests > 0) {
    const { agent, requests, failures, nowMs } = event;
    fresh[agent] = [...(fresh[agent] ?? []), { atMs: nowMs, requests, failures }];
  }
  return fresh;
};

export const tallies = (counts: BreakerContext['counts']): readonly Tally[] =>
  Object.entries(counts).map(([agent, list]) => ({
    agent,
    requests: list.reduce((sum, one) => sum + one.requests, 0),
    failures: list.reduce((sum, one) => sum + one.failures, 0),
  }));

export const judgeEndpoint = (context: BreakerContext, event: BreakerEvent): Judged => {
  const { plan } = context;
  const witnesses = tallies(counted(context, event)).filter(
    ({ requests }) => requests >= plan.minRequests,
  );
  // No say is larger than a typical one: the lower median, so that of two neither outvotes the other.
  const cap = lowerMedian(witnesses.map(({ requests }) => requests));
  let all = 0;
  let against = 0;
  for (const { requests, failures } of witnesses) {
    const weight = Math.min(requests, cap);
    all += weight;
    if (failures / requests >= plan.failureShare) against += weight;
  }
  const accusers = witnesses.filter(
    ({ requests, failures }) => failures / requests >= plan.failureShare,
  );
  const failures = accusers.reduce((sum, one) => sum + one.failures, 0);
  const requests = accusers.reduce((sum, one) => sum + one.requests, 0);
  const reason = `${failures} of ${requests} requests failed, seen by ${accusers.length} of ${witnesses.length} agents`;
  return { condemned: against > all / 2, reason };
};

/** It is this endpoint, not what stands behind all of them. */
export const isOneOfFew = ({ well, ill }: Peers): boolean => well >= ill;

/** Half as bad as would be bad enough to accuse is not well. */
export const isIll = (
  { failureShare }: BreakerPlan,
  all: readonly { readonly requests: number; readonly failures: number }[],
): boolean => {
  const requests = all.reduce((sum, one) => sum + one.requests, 0);
  const failures = all.reduce((sum, one) => sum + one.failures, 0);
  return failures >= (requests * failureShare) / 2;
};

/** Room for one more to be open; the last one never goes. */
export const mayOpenOneMore = ({ plan }: BreakerContext, { endpoints, open }: Peers): boolean =>
  open + 1 <= Math.floor(endpoints * plan.maxOpenShare) && open + 1 < endpoints;

/** The same agent for everyone who asks, another one at every election, spread over endpoints. */
export const elect = (
  agents: readonly string[],
  target: string,
  election: number,
): string | undefined => {
  const ranked = agents
    .map((agent) => ({ agent, rank: hash(`${target}|${agent}`) }))
    .sort((a, b) => a.rank - b.rank || (a.agent < b.agent ? -1 : 1));
  return ranked[election % Math.max(1, ranked.length)]?.agent;
};

const hash = (text: string): number => {
  let value = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1)
    value = Math.imul(value ^ text.charCodeAt(at), 0x01000193);
  return value >>> 0;
};

const lowerMedian = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? 0;
};
