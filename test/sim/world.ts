// The simulated service: what each version answers in each second, as the samples that agents would send.

import { stickyGroupOf } from '#engine/model/sticky.ts';
import type { Histogram, Sample, Series } from '#engine/model/telemetry.ts';
import { buckets, type LatencyModel, usual } from './latency.ts';
import { aliasTable, type Chance } from './random.ts';

export type Arm = 'baseline' | 'canary';
export const versions: Readonly<Record<Arm, string>> = { baseline: 'v1.0', canary: 'v1.1' };
export const service = 'sim/service';
export const endpoints = 20;

/** `t` is in seconds since the rollout began; negative while the baseline is learnt. */
export interface World {
  /** Requests per second. */
  readonly rate: (t: number) => number;
  /** Share of failing requests. */
  readonly errors: (arm: Arm, endpoint: number, t: number) => number;
  /** Default: the usual distribution. */
  readonly latency?: (arm: Arm, t: number) => LatencyModel;
  /** Mean number of errors that come together; default 1. */
  readonly clusterSize?: number;
  /** Default one; skew in seconds of each agent's clock. */
  readonly agents?: readonly { readonly skew: number }[];
  /** Share of samples that never arrive. */
  readonly loss?: number;
  /** Fixed users, each always with the same version and with its own rate and error share. */
  readonly users?: readonly User[];
}

export interface User {
  readonly rate: number;
  readonly errors: number;
  /** The user sees the new version when this is below its share of the traffic. */
  readonly bucket: number;
  readonly endpoint: number;
}

/** What really happened in one second, whatever telemetry says of it. */
export interface Second {
  readonly samples: readonly Sample[];
  readonly arms: Readonly<Record<Arm, Tally>>;
}

export interface Tally {
  requests: number;
  errors: number;
  readonly latency: Int32Array;
}

const emptyTally = (): Tally => ({ requests: 0, errors: 0, latency: new Int32Array(buckets) });

export const createWorld = (world: World, chance: Chance) => {
  const agents = world.agents ?? [{ skew: 0 }];
  const all = world.users;
  const users = all && { all, draw: aliasTable(all.map((user) => user.rate)) };
  let sequence = 0;
  return {
    /** One second at `weight` percent. `startMs` is the true time. */
    second: (t: number, weight: number, startMs: number): Second => {
      sequence += 1;
      const arms = { baseline: emptyTally(), canary: emptyTally() };
      const samples: Sample[] = [];
      for (const [at, { skew }] of agents.entries()) {
        const errors = new Map<number, number>();
        const series = users
          ? userSeries(world, users, { chance, t, weight, arms, agents: agents.length }, errors)
          : agentSeries(world, { chance, t, weight, arms, agents: agents.length });
        if (world.loss !== undefined && chance.uniform() < world.loss) continue;
        samples.push({
          v: 1,
          type: 'sample',
          agent: `agent-${at}`,
          scope: 'edge.sim',
          incarnation: 'one',
          sequence,
          startMs: startMs + skew * 1000,
          spanMs: 1000,
          reporter: 'source',
          revision: 1,
          series,
          // Nobody is recognised while there is only one version to go to.
          ...(errors.size > 0 &&
            weight > 0 && { sticky: [{ service, errors: [...errors].flat() }] }),
        });
      }
      return { samples, arms };
    },
  };
};

interface Span {
  readonly chance: Chance;
  readonly t: number;
  readonly weight: number;
  readonly arms: Record<Arm, Tally>;
  readonly agents: number;
}

const agentSeries = (world: World, span: Span): readonly Series[] => {
  const { chance, t, weight, agents } = span;
  const series: Series[] = [];
  for (const arm of ['baseline', 'canary'] as const) {
    const share = arm === 'canary' ? weight / 100 : 1 - weight / 100;
    if (share <= 0) continue;
    const mean = (world.rate(t) * share) / endpoints / agents;
    const counts: Count[] = [];
    for (let endpoint = 0; endpoint < endpoints; endpoint += 1) {
      const failing = world.errors(arm, endpoint, t);
      const errors = drawErrors(chance, mean * failing, world.clusterSize ?? 1);
      const requests = errors + chance.poisson(mean * (1 - failing));
      if (requests > 0) counts.push({ endpoint, requests, errors });
    }
    addArm(series, span, { arm, counts, model: world.latency?.(arm, t) ?? usual });
  }
  return series;
};

const drawErrors = (chance: Chance, mean: number, clusterSize: number): number => {
  if (clusterSize <= 1) return chance.poisson(mean);
  let errors = 0;
  for (let left = chance.poisson(mean / clusterSize); left > 0; left -= 1)
    errors += chance.geometric(clusterSize);
  return errors;
};

/** Who asks is drawn by the users' rates; users keep their version. */
const userSeries = (
  world: World,
  { all, draw }: { all: readonly User[]; draw: (uniform: number) => number },
  span: Span,
  errors: Map<number, number>,
): readonly Series[] => {
  const { chance, t, weight, agents } = span;
  const counts = { baseline: new Map<number, Count>(), canary: new Map<number, Count>() };
  for (let left = chance.poisson(world.rate(t) / agents); left > 0; left -= 1) {
    const user = all[draw(chance.uniform())];
    if (!user) continue;
    const arm = user.bucket * 100 < weight ? 'canary' : 'baseline';
    const { endpoint } = user;
    const count = counts[arm].get(endpoint) ?? { endpoint, requests: 0, errors: 0 };
    count.requests += 1;
    if (chance.uniform() < user.errors + world.errors(arm, endpoint, t)) {
      count.errors += 1;
      const group = stickyGroupOf(user.bucket);
      errors.set(group, (errors.get(group) ?? 0) + 1);
    }
    counts[arm].set(endpoint, count);
  }
  const series: Series[] = [];
  for (const arm of ['baseline', 'canary'] as const)
    addArm(series, span, {
      arm,
      counts: [...counts[arm].values()],
      model: world.latency?.(arm, t) ?? usual,
    });
  return series;
};

interface Count {
  readonly endpoint: number;
  requests: number;
  errors: number;
}

const scratch = new Int32Array(buckets);
const noLatency: Histogram = { zero: 0, buckets: [], sum: 0 };

/** All latencies of a version stand in its first series: nobody looks at them by endpoint, and it saves most of the time. */
const addArm = (
  series: Series[],
  { chance, arms }: Span,
  { arm, counts, model }: { arm: Arm; counts: readonly Count[]; model: LatencyModel },
): void => {
  const tally = arms[arm];
  let requests = 0;
  for (const one of counts) {
    requests += one.requests;
    tally.errors += one.errors;
  }
  tally.requests += requests;
  model.draw(chance, requests, scratch);
  const sparse: number[] = [];
  for (let bucket = 0; bucket < buckets; bucket += 1) {
    const count = scratch[bucket] ?? 0;
    if (count === 0) continue;
    sparse.push(bucket, count);
    tally.latency[bucket] = (tally.latency[bucket] ?? 0) + count;
    scratch[bucket] = 0;
  }
  const latency: Histogram = { zero: 0, buckets: sparse, sum: 0 };
  for (const [at, one] of counts.entries())
    series.push(seriesOf(arm, one, at === 0 ? latency : noLatency));
};

const seriesOf = (arm: Arm, { endpoint, requests, errors }: Count, latency: Histogram): Series => ({
  rule: `endpoint-${endpoint}`,
  service,
  version: versions[arm],
  source: 'unknown',
  requests,
  errors,
  statuses: {},
  flags: {},
  latency,
  requestBytes: 0,
  responseBytes: 0,
  retries: 0,
});
