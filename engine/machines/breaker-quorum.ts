// When is an endpoint bad for everybody? Each agent has a say by what it measured, but none a larger one than a typical
// one, and no word stands alone against others: neither a liar nor an agent behind a broken cable can take a healthy
// endpoint from all.
import type { BreakerContext, BreakerEvent, BreakerPlan, Count, Peers } from './breaker-types.ts';
import { ranked } from './ranked.ts';

export interface Tally {
  readonly agent: string;
  readonly requests: number;
  readonly failures: number;
}

export interface Judged {
  readonly condemned: boolean;
  readonly evidence: NonNullable<BreakerContext['evidence']>;
}

type Counts = BreakerContext['counts'];

/** Parts of the window that are looked at, the newest first: what has just turned bad was well a moment ago. */
const SPANS = [0.05, 0.15, 0.3, 0.6, 1] as const;

/** Counts with those of the event. Old ones of the agent that reports are gone; with a tick, those of all. */
export const counted = ({ counts, plan }: BreakerContext, event: BreakerEvent): Counts => {
  const sinceMs = event.nowMs - plan.windowMs;
  if (event.type !== 'report') return youngerThan(counts, sinceMs);
  const { agent, requests, failures, nowMs } = event;
  if (requests === 0) return counts;
  const own = (counts[agent] ?? []).filter(({ atMs }) => atMs > sinceMs);
  return { ...counts, [agent]: [...own, { atMs: nowMs, requests, failures }] };
};

const youngerThan = (counts: Counts, sinceMs: number): Record<string, readonly Count[]> => {
  const fresh: Record<string, readonly Count[]> = {};
  for (const [agent, list] of Object.entries(counts)) {
    const kept = list.filter(({ atMs }) => atMs > sinceMs);
    if (kept.length > 0) fresh[agent] = kept;
  }
  return fresh;
};

export const tallies = (counts: Counts, sinceMs = Number.NEGATIVE_INFINITY): readonly Tally[] =>
  Object.entries(youngerThan(counts, sinceMs)).map(([agent, list]) => ({
    agent,
    requests: list.reduce((sum, one) => sum + one.requests, 0),
    failures: list.reduce((sum, one) => sum + one.failures, 0),
  }));

/** How far back to look: as short as shows enough failures, so that better days do not excuse. */
export const spanOf = (counts: Counts, plan: BreakerPlan, nowMs: number): number => {
  for (const share of SPANS) {
    const spanMs = plan.windowMs * share;
    const failures = tallies(counts, nowMs - spanMs).reduce((sum, one) => sum + one.failures, 0);
    if (failures >= plan.minFailures) return spanMs;
  }
  return plan.windowMs;
};

export const judgeEndpoint = (context: BreakerContext, event: BreakerEvent): Judged => {
  const { plan } = context;
  const counts = counted(context, event);
  const spanMs = spanOf(counts, plan, event.nowMs);
  const witnesses = tallies(counts, event.nowMs - spanMs);
  const accusers = witnesses.filter((one) => isAccuser(one, plan));
  const failures = sumOf(accusers.map((one) => one.failures));
  const loudest = accusers.toSorted((a, b) => b.failures - a.failures)[0];
  // What one agent says alone holds if there is nobody else, or the others found the same some time in the window. Where
  // others just have not measured it waits for the first of them: until then its own reflex protects the one that suffers.
  const others = tallies(counts, event.nowMs - plan.windowMs).filter(
    ({ agent }) => agent !== loudest?.agent,
  );
  const isAgreed =
    failures - (loudest?.failures ?? 0) >= plan.minFailures - 1 ||
    (others.length === 0 ? isWithoutOthers(event) : isMajority(others, plan));
  return {
    condemned: failures >= plan.minFailures && isMajority(witnesses, plan) && isAgreed,
    evidence: {
      requests: sumOf(accusers.map(({ requests }) => requests)),
      failures,
      agents: witnesses.length,
      accusers: accusers.length,
      spanMs,
    },
  };
};

const isWithoutOthers = (event: BreakerEvent): boolean =>
  'peers' in event && event.peers.bystanders === 0;

const isAccuser = ({ requests, failures }: Tally, { failureShare }: BreakerPlan): boolean =>
  failures >= requests * failureShare;

/** No say is larger than a typical one: the lower median, so that of two neither outvotes the other. */
const isMajority = (witnesses: readonly Tally[], plan: BreakerPlan): boolean => {
  const cap = lowerMedian(witnesses.map(({ requests }) => requests));
  const weigh = (list: readonly Tally[]): number =>
    sumOf(list.map(({ requests }) => Math.min(requests, cap)));
  return 2 * weigh(witnesses.filter((one) => isAccuser(one, plan))) > weigh(witnesses);
};

export const wordsOf = (evidence: Judged['evidence']): string =>
  `${evidence.failures} of ${evidence.requests} requests failed, seen by ${evidence.accusers} of ${evidence.agents} agents`;

/** It is this endpoint, not what stands behind all of them. */
export const isOneOfFew = ({ well, ill }: Peers): boolean => well >= ill;

/** Half as bad as would be bad enough to accuse is not well. */
export const isIll = (
  { failureShare }: BreakerPlan,
  all: readonly { readonly requests: number; readonly failures: number }[],
): boolean =>
  sumOf(all.map(({ failures }) => failures)) >=
  (sumOf(all.map(({ requests }) => requests)) * failureShare) / 2;

/** Room for one more to be open. One always may be, but never the last one. */
export const mayOpenOneMore = ({ plan }: BreakerContext, { endpoints, open }: Peers): boolean =>
  open + 1 <= Math.max(1, Math.floor(endpoints * plan.maxOpenShare)) && open + 1 < endpoints;

/** The same agent for everyone who asks, another one at every election, spread over endpoints. */
export const elect = (
  agents: readonly string[],
  target: string,
  election: number,
): string | undefined => {
  const order = ranked(agents, target);
  return order[election % Math.max(1, order.length)];
};

const sumOf = (values: readonly number[]): number => values.reduce((sum, one) => sum + one, 0);

const lowerMedian = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? 0;
};
