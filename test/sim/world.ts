// The simulated service: what each version answers in each second, as the samples that agents would send.
import type { Sample, Series } from '#engine/model/telemetry.ts';
import { buckets, type LatencyModel, usual } from './latency.ts';
import type { Chance } from './random.ts';

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
  readonly users?: (chance: Chance) => readonly User[];
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
  const users = world.users?.(chance);
  let sequence = 0;
  return {
    /** One second at `weight` percent. `startMs` is the true time. */
    second: (t: number, weight: number, startMs: number): Second => {
      sequence += 1;
      const arms = { baseline: emptyTally(), canary: emptyTally() };
      const samples: Sample[] = [];
      for (const [at, { skew }] of agents.entries()) {
        const series = users
          ? userSeries(world, users, { chance, t, weight, arms, agents: agents.length })
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
    const model = world.latency?.(arm, t) ?? usual;
    for (let endpoint = 0; endpoint < endpoints; endpoint += 1) {
      const failing = world.errors(arm, endpoint, t);
      const errors = drawErrors(chance, mean * failing, world.clusterSize ?? 1);
      const requests = errors + chance.poisson(mean * (1 - failing));
      if (requests > 0) series.push(oneSeries(span, { arm, endpoint, requests, errors, model }));
    }
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

const userSeries = (world: World, users: readonly User[], span: Span): readonly Series[] => {
  const { chance, t, weight, agents } = span;
  const counts = new Map<
    string,
    { arm: Arm; endpoint: number; requests: number; errors: number }
  >();
  for (const user of users) {
    const requests = chance.poisson(user.rate / agents);
    if (requests === 0) continue;
    const arm = user.bucket * 100 < weight ? 'canary' : 'baseline';
    const key = `${arm}${user.endpoint}`;
    const count = counts.get(key) ?? { arm, endpoint: user.endpoint, requests: 0, errors: 0 };
    count.requests += requests;
    for (let one = 0; one < requests; one += 1)
      if (chance.uniform() < user.errors + world.errors(arm, user.endpoint, t)) count.errors += 1;
    counts.set(key, count);
  }
  return [...counts.values()].map((count) =>
    oneSeries(span, { ...count, model: world.latency?.(count.arm, t) ?? usual }),
  );
};

const scratch = new Int32Array(buckets);

const oneSeries = (
  { chance, arms }: Span,
  one: { arm: Arm; endpoint: number; requests: number; errors: number; model: LatencyModel },
): Series => {
  const tally = arms[one.arm];
  tally.requests += one.requests;
  tally.errors += one.errors;
  let low = buckets;
  let high = 0;
  for (let left = one.requests; left > 0; left -= 1) {
    const bucket = one.model.draw(chance.uniform());
    scratch[bucket] = (scratch[bucket] ?? 0) + 1;
    if (bucket < low) low = bucket;
    if (bucket > high) high = bucket;
  }
  const sparse: number[] = [];
  for (let bucket = low; bucket <= high; bucket += 1) {
    const count = scratch[bucket] ?? 0;
    if (count === 0) continue;
    sparse.push(bucket, count);
    tally.latency[bucket] = (tally.latency[bucket] ?? 0) + count;
    scratch[bucket] = 0;
  }
  return {
    rule: `endpoint-${one.endpoint}`,
    service,
    version: versions[one.arm],
    source: 'unknown',
    requests: one.requests,
    errors: one.errors,
    statuses: {},
    flags: {},
    latency: { zero: 0, buckets: sparse, sum: 0 },
    requestBytes: 0,
    responseBytes: 0,
    retries: 0,
  };
};
