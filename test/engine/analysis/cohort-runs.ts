// Seeded policy canaries: agents with callers of their own, two seconds at a time.
import {
  type CohortState,
  judgeCohort,
  observeCohort,
  startCohort,
} from '#engine/analysis/cohort.ts';
import { type Lately, noteUsual, usualRatios } from '#engine/analysis/usual.ts';
import type { CohortVerdict } from '#engine/model/policy-canary.ts';
import type { Sample } from '#engine/model/telemetry.ts';

export interface Behaviour {
  /** Requests per second of each agent. */
  readonly rate: number;
  readonly refused: number;
  readonly failed: number;
  /** Median in milliseconds; log-normal. */
  readonly medianMs: number;
}

export interface CohortRun {
  readonly seed: number;
  readonly agents: number;
  readonly cohort: number;
  /** Of agent `at`, on trial or not. */
  readonly behaviour: (at: number, isOnTrial: boolean) => Behaviour;
  readonly seconds: number;
  /** Watched before it begins. */
  readonly leadSeconds?: number;
}

const SCOPE = 'edge.public';

/** mulberry32 */
const seededRandom = (seed: number) => {
  let state = seed;
  return (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let value = Math.imul(state ^ (state >>> 15), 1 | state);
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
    return ((value ^ (value >>> 14)) >>> 0) / 4_294_967_296;
  };
};

/** The first verdict that decides, and when it came; the last one otherwise. */
export const runCohort = (run: CohortRun): { verdict: CohortVerdict; atSecond: number } => {
  const random = seededRandom(run.seed);
  const names = Array.from({ length: run.agents }, (_, at) => `edge-${at}`);
  const cohort = names.slice(0, run.cohort);
  const lead = run.leadSeconds ?? 0;
  const usual = new Map<string, Lately>();
  let state: CohortState | undefined;
  let verdict: CohortVerdict | undefined;
  for (let second = -lead; second < run.seconds; second += 1) {
    const nowMs = 1_800_000_000_000 + second * 1000;
    if (second === 0)
      state = startCohort(
        {
          id: 'r2',
          revision: 2,
          cohorts: { [SCOPE]: cohort },
          shares: { [SCOPE]: (100 * run.cohort) / run.agents },
          usual: { [SCOPE]: usualRatios(usual, cohort, names.slice(run.cohort)) },
        },
        nowMs,
      );
    for (const [at, agent] of names.entries()) {
      const isOnTrial = second >= 0 && at < run.cohort;
      const sample = sampleOf(random, {
        agent,
        second: second + lead,
        nowMs,
        revision: isOnTrial ? 2 : 1,
        behaviour: run.behaviour(at, isOnTrial),
      });
      if (state) state = observeCohort(state, sample);
      else usual.set(agent, noteUsual(usual.get(agent), sample, nowMs));
    }
    if (!state) continue;
    [state, verdict] = judgeCohort(state, nowMs + 1000);
    if (verdict.outcome === 'fail' || verdict.outcome === 'pass')
      return { verdict, atSecond: second + 1 };
  }
  if (!verdict) throw new Error('no second');
  return { verdict, atSecond: run.seconds };
};

const sampleOf = (
  random: () => number,
  of: {
    readonly agent: string;
    readonly second: number;
    readonly nowMs: number;
    readonly revision: number;
    readonly behaviour: Behaviour;
  },
): Sample => {
  const { rate, refused, failed, medianMs } = of.behaviour;
  const requests = Math.round(rate * (0.8 + 0.4 * random()));
  const statuses: Record<string, number> = {};
  const buckets = new Map<number, number>();
  for (let request = 0; request < requests; request += 1) {
    const fate = random();
    const status = fate < refused ? 403 : fate < refused + failed ? 503 : 200;
    statuses[status] = (statuses[status] ?? 0) + 1;
    const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
    const bucket = Math.ceil(Math.log2(medianMs * Math.exp(0.5 * normal)) * 8) - 1;
    buckets.set(bucket, (buckets.get(bucket) ?? 0) + 1);
  }
  return {
    v: 1,
    type: 'sample',
    agent: of.agent,
    scope: SCOPE,
    incarnation: 'one',
    sequence: of.second + 1,
    startMs: of.nowMs,
    spanMs: 1000,
    reporter: 'source',
    revision: of.revision,
    series: [
      {
        rule: 'bibby/catalog/0',
        service: 'bibby/catalog-service',
        version: 'v1.0',
        source: 'unknown',
        requests,
        errors: statuses[503] ?? 0,
        statuses,
        flags: {},
        latency: {
          zero: 0,
          buckets: [...buckets].sort(([a], [b]) => a - b).flat(),
          sum: requests * medianMs,
        },
        requestBytes: 0,
        responseBytes: 0,
        retries: 0,
      },
    ],
  };
};
