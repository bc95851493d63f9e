// What policies refused, or would have refused, told every few seconds and per scope: never one message per request.
import type { Sample } from '#engine/model/telemetry.ts';

const TELL_EVERY_MS = 10_000;
/** The most frequent ones; the rest is one number. */
const MAX_TOLD = 20;
const MAX_KNOWN = 1000;

interface Told {
  readonly type: 'access.denied' | 'access.audited';
  readonly subject: string;
  readonly data: Readonly<Record<string, unknown>>;
}

interface Counts {
  readonly byKey: Map<string, number>;
  other: number;
}

interface Tally {
  readonly sinceMs: number;
  readonly denials: Counts;
  readonly audits: Counts;
  revision: number;
}

export class Denials {
  readonly #tallies = new Map<string, Tally>();

  add({ scope, revision, denials = [], audits = [] }: Sample, nowMs: number): void {
    if (denials.length + audits.length === 0) return;
    const tally = this.#tallies.get(scope) ?? fresh(nowMs);
    this.#tallies.set(scope, tally);
    tally.revision = Math.max(tally.revision, revision);
    for (const { policy, rule, requests } of denials)
      count(tally.denials, JSON.stringify([policy, rule]), requests);
    for (const { says, requests } of audits) count(tally.audits, says, requests);
  }

  /** What has been waiting long enough. */
  take(nowMs: number): readonly Told[] {
    const told: Told[] = [];
    for (const [scope, tally] of this.#tallies) {
      if (nowMs - tally.sinceMs < TELL_EVERY_MS) continue;
      this.#tallies.delete(scope);
      told.push(...eventsOf(scope, tally, nowMs));
    }
    return told;
  }

  clear(): void {
    this.#tallies.clear();
  }
}

const fresh = (nowMs: number): Tally => ({
  sinceMs: nowMs,
  denials: { byKey: new Map(), other: 0 },
  audits: { byKey: new Map(), other: 0 },
  revision: 0,
});

const count = (counts: Counts, key: string, requests: number): void => {
  const before = counts.byKey.get(key);
  if (before === undefined && counts.byKey.size >= MAX_KNOWN) counts.other += requests;
  else counts.byKey.set(key, (before ?? 0) + requests);
};

const eventsOf = (scope: string, tally: Tally, nowMs: number): readonly Told[] => {
  const { sinceMs, revision, denials, audits } = tally;
  const facts = { scope, revision, spanMs: Math.round(nowMs - sinceMs) };
  const events: Told[] = [];
  if (denials.byKey.size > 0) {
    const { most, others } = ranked(denials);
    const data = { ...facts, denials: most.map(denialOf), ...others };
    events.push({ type: 'access.denied', subject: scope, data });
  }
  if (audits.byKey.size > 0) {
    const { most, others } = ranked(audits);
    const data = { ...facts, audits: most.map(auditOf), ...others };
    events.push({ type: 'access.audited', subject: scope, data });
  }
  return events;
};

const ranked = ({ byKey, other }: Counts) => {
  const all = [...byKey].sort(([, a], [, b]) => b - a);
  const rest = all.slice(MAX_TOLD).reduce((sum, [, requests]) => sum + requests, other);
  return { most: all.slice(0, MAX_TOLD), others: rest > 0 ? { others: rest } : {} };
};

const denialOf = ([key, requests]: readonly [string, number]) => {
  const [policy, rule] = JSON.parse(key) as [string, string];
  return { policy, ...(rule !== '' && { rule: Number(rule) }), requests };
};

const auditOf = ([says, requests]: readonly [string, number]) => ({ says, requests });
