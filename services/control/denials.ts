// What policies refused, told every few seconds and per scope: never one message per request.
import type { Denial, Sample } from '#engine/model/telemetry.ts';

const TELL_EVERY_MS = 10_000;
/** The most frequent ones; the rest is one number. */
const MAX_TOLD = 20;
const MAX_KNOWN = 1000;

interface Told {
  readonly type: 'access.denied';
  readonly subject: string;
  readonly data: Readonly<Record<string, unknown>>;
}

interface Tally {
  readonly sinceMs: number;
  readonly counts: Map<string, number>;
  revision: number;
  other: number;
}

export class Denials {
  readonly #tallies = new Map<string, Tally>();

  add({ scope, revision, denials }: Sample, nowMs: number): void {
    if (denials === undefined || denials.length === 0) return;
    const tally = this.#tallies.get(scope) ?? fresh(nowMs);
    this.#tallies.set(scope, tally);
    tally.revision = Math.max(tally.revision, revision);
    for (const denial of denials) count(tally, denial);
  }

  /** What has been waiting long enough. */
  take(nowMs: number): readonly Told[] {
    const told: Told[] = [];
    for (const [scope, tally] of this.#tallies) {
      if (nowMs - tally.sinceMs < TELL_EVERY_MS) continue;
      this.#tallies.delete(scope);
      told.push({ type: 'access.denied', subject: scope, data: dataOf(scope, tally, nowMs) });
    }
    return told;
  }

  clear(): void {
    this.#tallies.clear();
  }
}

const fresh = (nowMs: number): Tally => ({
  sinceMs: nowMs,
  counts: new Map(),
  revision: 0,
  other: 0,
});

const count = (tally: Tally, { policy, rule, requests }: Denial): void => {
  const key = JSON.stringify([policy, rule]);
  const before = tally.counts.get(key);
  if (before === undefined && tally.counts.size >= MAX_KNOWN) tally.other += requests;
  else tally.counts.set(key, (before ?? 0) + requests);
};

const dataOf = (scope: string, tally: Tally, nowMs: number): Told['data'] => {
  const all = [...tally.counts].sort(([, a], [, b]) => b - a);
  const rest = all.slice(MAX_TOLD).reduce((sum, [, requests]) => sum + requests, tally.other);
  return {
    scope,
    revision: tally.revision,
    spanMs: Math.round(nowMs - tally.sinceMs),
    denials: all.slice(0, MAX_TOLD).map(([key, requests]) => {
      const [policy, rule] = JSON.parse(key) as [string, string];
      return { policy, ...(rule !== '' && { rule: Number(rule) }), requests };
    }),
    ...(rest > 0 && { others: rest }),
  };
};
