// What is simulated: the cells of the goal table, and others that nothing was tuned on.
import type { RolloutPlan } from '#engine/model/rollout-plan.ts';
import { slowedBy, someSlowedBy, tailSlowedBy, usual } from './latency.ts';
import type { Chance } from './random.ts';
import { type Arm, endpoints, type User, type World } from './world.ts';

export interface Scenario {
  readonly name: string;
  /** A good version must be promoted, a bad one rolled back. */
  readonly truth: 'good' | 'bad';
  /** Part of the goal table; the rest was not used to tune anything. */
  readonly isGoal: boolean;
  readonly rates: readonly number[];
  /** Rules of Flagger and Kayenta are run beside. */
  readonly hasRivals: boolean;
  readonly plan?: Partial<RolloutPlan>;
  readonly world: (rate: number, chance: Chance) => World;
}

const rates = [50, 500, 5000];
const goal = { isGoal: true, rates, hasRivals: true };
const extra = { isGoal: false, rates: [50, 500], hasRivals: false };

/** Errors of both versions in shares; everything else as usual. */
const errors =
  (baseline: number, canary = baseline, rest: Partial<World> = {}) =>
  (rate: number): World => ({
    rate: () => rate,
    errors: (arm) => (arm === 'canary' ? canary : baseline),
    ...rest,
  });

const latency = (canary: ReturnType<typeof slowedBy>) =>
  errors(0.001, 0.001, { latency: (arm) => (arm === 'canary' ? canary : usual) });

const slowTail = tailSlowedBy(1.3);
const slowAll = slowedBy(1.3);
const slowClients = someSlowedBy(0.1, 6);
const dayLatencies = Array.from({ length: 11 }, (_, at) => slowedBy(1 + 0.04 * at));

/** -1 to 1 over a day of twenty minutes. */
const day = (t: number): number => Math.sin((2 * Math.PI * t) / 1200);
const isBurst = (t: number): boolean => ((t % 20) + 20) % 20 < 3;

const outage = (rate: number, chance: Chance): World => {
  const start = 5 + Math.floor(chance.uniform() * 50);
  return {
    rate: () => rate,
    errors: (_, __, t) => (t >= start && t < start + 60 ? 0.03 : 0.001),
  };
};

const dependencyOutage = (rate: number, chance: Chance): World => {
  const start = 5 + Math.floor(chance.uniform() * 50);
  return {
    rate: () => rate,
    errors: (_, endpoint, t) =>
      endpoint < endpoints / 4 && t >= start && t < start + 45 ? 1 : 0.002,
  };
};

/** Each user asks every twenty seconds on average, some far more often; 3 % of them get most of the errors. */
const users = (rate: number, chance: Chance): readonly User[] => {
  const all = Array.from({ length: rate * 20 }, (_, at) => ({
    rate: Math.exp(chance.normal()),
    errors: chance.uniform() < 0.03 ? 0.1 : 0.002,
    bucket: chance.uniform(),
    endpoint: at % endpoints,
  }));
  const total = all.reduce((sum, user) => sum + user.rate, 0);
  return all.map((user) => ({ ...user, rate: (user.rate * rate) / total }));
};

const sticky =
  (more: number) =>
  (rate: number, chance: Chance): World => ({
    rate: () => rate,
    errors: (arm: Arm) => (arm === 'canary' ? more : 0),
    users: users(rate, chance),
  });

/** The old version had an outage five minutes before, or failed altogether in its first seconds. */
const isPastOutage = (t: number): boolean => t >= -300 && t < -240;
const isPastStart = (t: number): boolean => t < -595;
const after =
  (isOver: (t: number) => boolean, share: number, canary: number) =>
  (rate: number): World => ({
    rate: () => rate,
    errors: (arm, _, t) => (isOver(t) ? share : arm === 'canary' ? canary : 0.005),
  });

/** Processes are slow while they are new: three times at first, hardly after ten seconds. */
const warming = Array.from({ length: 20 }, (_, second) => slowedBy(1 + 2 * Math.exp(-second / 3)));
const firstTraffic = 2;

const fourAgents = [{ skew: 0 }, { skew: 0 }, { skew: 0 }, { skew: 0 }];
const fifty = Array.from({ length: 50 }, () => ({ skew: 0 }));
const skewed = [{ skew: -5 }, { skew: -2 }, { skew: 2 }, { skew: 5 }];

export const scenarios: readonly Scenario[] = [
  { ...goal, name: 'errors 0.1 -> 0.5 %', truth: 'bad', world: errors(0.001, 0.005) },
  { ...goal, name: 'errors 0.5 -> 5 %', truth: 'bad', world: errors(0.005, 0.05) },
  {
    ...goal,
    name: 'one endpoint (5 %) broken',
    truth: 'bad',
    world: (rate) => ({
      rate: () => rate,
      errors: (arm, endpoint) => (arm === 'canary' && endpoint === 0 ? 1 : 0.001),
    }),
  },
  { ...goal, name: 'p99 +30 %, tail only', truth: 'bad', world: latency(slowTail) },
  { ...goal, name: 'p99 +30 %, all requests', truth: 'bad', world: latency(slowAll) },
  { ...goal, name: 'identical, errors 0.1 %', truth: 'good', world: errors(0.001) },
  { ...goal, name: 'identical, errors 0.5 %', truth: 'good', world: errors(0.005) },
  { ...goal, name: 'shared outage x30, 60 s', truth: 'good', world: outage },
  {
    ...goal,
    name: 'clustered errors, mean 5',
    truth: 'good',
    world: errors(0.005, 0.005, { clusterSize: 5 }),
  },
  {
    ...goal,
    name: 'late onset 0.1 -> 2 % at 120 s',
    truth: 'bad',
    plan: { minSoakMs: 300_000 },
    world: (rate) => ({
      rate: () => rate,
      errors: (arm, _, t) => (arm === 'canary' && t >= 120 ? 0.02 : 0.001),
    }),
  },
  {
    ...extra,
    name: 'bursts',
    truth: 'good',
    world: (rate) => ({ ...errors(0.005)(rate), rate: (t) => rate * (isBurst(t) ? 4.4 : 0.4) }),
  },
  {
    ...extra,
    name: 'diurnal load, errors and latency',
    truth: 'good',
    world: (rate) => ({
      rate: (t) => rate * (1 + 0.8 * day(t)),
      errors: (_, __, t) => 0.002 * (1.5 + day(t)),
      latency: (_, t) => dayLatencies[Math.round(5 + 5 * day(t))] ?? usual,
    }),
  },
  {
    ...extra,
    name: 'a bad pod of the old version',
    truth: 'good',
    world: errors(0.8 * 0.001 + 0.2 * 0.05, 0.001),
  },
  {
    ...extra,
    name: 'a bad pod of the new version',
    truth: 'bad',
    world: errors(0.001, 0.5 * 0.001 + 0.5 * 0.1),
  },
  {
    ...extra,
    name: 'slow clients arrive at 30 s',
    truth: 'good',
    world: errors(0.001, 0.001, { latency: (_, t) => (t >= 30 ? slowClients : usual) }),
  },
  { ...extra, name: 'outage of a dependency, 45 s', truth: 'good', world: dependencyOutage },
  {
    ...extra,
    name: 'telemetry loss 10 %, identical',
    truth: 'good',
    world: errors(0.005, 0.005, { agents: fourAgents, loss: 0.1 }),
  },
  {
    ...extra,
    name: 'telemetry loss 10 %, 0.5 -> 5 %',
    truth: 'bad',
    world: errors(0.005, 0.05, { agents: fourAgents, loss: 0.1 }),
  },
  {
    ...extra,
    name: 'clock skew 5 s, identical',
    truth: 'good',
    world: errors(0.005, 0.005, { agents: skewed }),
  },
  {
    ...extra,
    name: 'clock skew 5 s, 0.5 -> 5 %',
    truth: 'bad',
    world: errors(0.005, 0.05, { agents: skewed }),
  },
  {
    ...extra,
    name: 'fifty agents, identical',
    truth: 'good',
    world: errors(0.005, 0.005, { agents: fifty }),
  },
  {
    ...extra,
    name: 'fifty agents, 0.5 -> 5 %',
    truth: 'bad',
    world: errors(0.005, 0.05, { agents: fifty }),
  },
  {
    ...extra,
    name: 'after an outage, identical',
    truth: 'good',
    world: after(isPastOutage, 0.15, 0.005),
  },
  {
    ...extra,
    name: 'after an outage, 0.5 -> 5 %',
    truth: 'bad',
    world: after(isPastOutage, 0.15, 0.05),
  },
  {
    ...extra,
    name: 'after errors at the start, 0.5 -> 5 %',
    truth: 'bad',
    world: after(isPastStart, 1, 0.05),
  },
  {
    ...extra,
    name: 'large clusters, mean 25, identical',
    truth: 'good',
    world: errors(0.005, 0.005, { clusterSize: 25 }),
  },
  {
    ...extra,
    name: 'a cold start, identical',
    truth: 'good',
    world: errors(0.001, 0.001, {
      latency: (arm, t) => (arm === 'canary' ? warming[t - firstTraffic] : undefined) ?? usual,
    }),
  },
  {
    ...extra,
    name: 'p99 three times',
    truth: 'bad',
    world: latency(tailSlowedBy(3)),
  },
  { ...extra, name: 'sticky users, identical', truth: 'good', world: sticky(0) },
  { ...extra, name: 'sticky users, +4.5 % errors', truth: 'bad', world: sticky(0.045) },
];
