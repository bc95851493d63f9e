// Everything a control process is made of, put together. What happens when is said in control.ts.
import type { StandingSet } from '#engine/compile/standing.ts';
import type { ControlMessage } from '#engine/model/control-message.ts';
import { reasonOf } from '#engine/model/errors.ts';
import type { Feature } from '#engine/model/features.ts';
import { epochOf } from '#engine/model/position.ts';
import type { Subjects } from '#engine/model/subjects.ts';
import { buckets, streams, subjects as subjectsOf } from '#engine/model/subjects.ts';
import type { Broker } from '#engine/ports/bus.ts';
import type { Keys } from '#engine/ports/keys.ts';
import type { Log } from '#engine/ports/log.ts';
import type { Signer, Verifier } from '#engine/ports/signer.ts';
import type { Web } from '#engine/ports/web.ts';
import type { Access } from './access.ts';
import { FleetBreakers } from './breakers.ts';
import { createEvents, type Events } from './events.ts';
import { Fleet } from './fleet.ts';
import { KeyMemory } from './key-memory.ts';
import { type Leadership, startLeadership } from './leadership.ts';
import { MachineStore } from './machine-store.ts';
import { Metrics } from './metrics.ts';
import { createNotice, type Notice } from './notice.ts';
import { PolicyCanaries } from './policy-canaries.ts';
import { PolicyLog, readStored } from './policy-log.ts';
import { prefetchKeys } from './prefetch-keys.ts';
import { Published } from './published.ts';
import { Publisher } from './publisher.ts';
import { RetryBrakes } from './retry-brakes.ts';
import { Ring } from './ring.ts';
import { RolloutMetrics } from './rollout-metrics.ts';
import { Rollouts } from './rollouts.ts';
import { StandingBook } from './standing-book.ts';
import type { Time } from './time.ts';

export interface ControlConfig {
  readonly mesh: string;
  /** Name of this process; unique among those that run at the same time, and the same after a restart. */
  readonly instance: string;
  /** Where the admin API listens; port 0 takes a free one. Absent: it does not, and `http.inject` is the way in. */
  readonly admin?: { readonly host: string; readonly port: number };
  readonly version: string;
  readonly leaseMs?: number;
  readonly renewMs?: number;
}

export interface ControlDeps {
  readonly broker: Broker;
  readonly signer: Signer;
  readonly verifier: Verifier;
  readonly access: Access;
  readonly time: Time;
  /** Text of a file that a policy refers to; undefined if there is none. */
  readonly files: (path: string) => string | undefined;
  /** Fetches issuers' keys; absent: policies that name an address of keys are refused. The caller closes it. */
  readonly keys?: Keys;
  /** Asks services that policies name. The caller closes it. */
  readonly web?: Web;
  /** What a scope is taken to enforce while none of its agents has been heard of. Absent: anything. */
  readonly assumed?: ReadonlySet<Feature>;
  /** One line per noteworthy thing. */
  readonly log: (line: string) => void;
}

export interface Parts {
  readonly subjects: Subjects;
  readonly controlLog: Log;
  readonly eventLog: Log;
  readonly policy: PolicyLog;
  readonly published: Published;
  readonly publisher: Publisher;
  readonly book: StandingBook;
  /** For a follower: what the leader has recorded so far. */
  readonly recordedStanding: () => Promise<StandingSet>;
  readonly machines: MachineStore;
  readonly keys: KeyMemory | undefined;
  readonly fleet: Fleet;
  readonly leadership: Leadership;
  readonly ring: Ring;
  readonly rollouts: Rollouts;
  readonly canaries: PolicyCanaries;
  readonly rolloutMetrics: RolloutMetrics;
  readonly breakers: FleetBreakers;
  readonly retryBrakes: RetryBrakes;
  readonly events: Events;
  readonly metrics: Metrics;
  readonly news: Notice;
  readonly onError: (where: string, error: unknown) => void;
}

const LEASE_MS = 3_000;
const RENEW_MS = 1_000;
const POLL_MS = 250;

export const assemble = async (
  config: ControlConfig,
  deps: ControlDeps,
  signal: AbortSignal,
): Promise<Parts> => {
  const { broker, time } = deps;
  const subjects = subjectsOf(config.mesh);
  const metrics = new Metrics();
  const onError = reporter(deps, metrics);
  const [policyLog, controlLog, eventLog, leaderStore, standingStore, machineStore] =
    await Promise.all([
      broker.log(streams.policy),
      broker.log(streams.control),
      broker.log(streams.events),
      broker.store(buckets.leader),
      broker.store(buckets.standing),
      broker.store(buckets.machines),
    ]);
  const policy = new PolicyLog(policyLog, subjects, onError);
  const published = new Published(deps.verifier);
  const fleet = new Fleet();
  const news = createNotice(time);
  const events = createEvents({
    log: eventLog,
    subjects,
    instance: config.instance,
    time,
    onError,
  });
  await policy.load();
  for await (const entry of readStored(controlLog, subjects.everyControl, 'last'))
    await accept(published, entry.data, onError);
  const book = new StandingBook(standingStore, onError);
  const leadership = startLeadership({
    store: leaderStore,
    instance: config.instance,
    time,
    signal,
    leaseMs: config.leaseMs ?? LEASE_MS,
    renewMs: config.renewMs ?? RENEW_MS,
    pollMs: POLL_MS,
    floor: () => Math.max(highestEpoch(published, fleet), book.latestEpoch),
    onError,
  });
  const publisher = new Publisher({
    mesh: config.mesh,
    subjects,
    log: controlLog,
    signer: deps.signer,
    published,
    leadership,
    time,
    onPublished: (message, bytes) => count(metrics, news, message, bytes),
  });
  const machines = new MachineStore(machineStore);
  const keys = deps.keys && new KeyMemory(deps.keys, machines, time);
  const ring = new Ring({
    policy,
    book,
    fleet,
    published,
    publisher,
    leadership,
    events,
    metrics,
    time,
    files: deps.files,
    keys,
    assumed: deps.assumed,
  });
  const rollouts = new Rollouts({
    ring,
    fleet,
    published,
    machines,
    events,
    metrics,
    time,
    web: deps.web,
    onError,
  });
  const canaries = new PolicyCanaries({
    ring,
    fleet,
    policy,
    published,
    machines,
    events,
    time,
    prefetch: async (sources) => {
      if (keys) await prefetchKeys(keys, sources, { followed: ring.keyAddresses, time });
    },
    onError,
  });
  const breakers = new FleetBreakers({ ring, fleet, policy, machines, events, time, onError });
  const retryBrakes = new RetryBrakes({ ring, policy, machines, events, time, onError });
  return {
    subjects,
    controlLog,
    eventLog,
    policy,
    published,
    publisher,
    book,
    recordedStanding: async () => {
      const record = new StandingBook(standingStore, onError);
      await record.load();
      return record.standing;
    },
    machines,
    keys,
    fleet,
    leadership,
    ring,
    rollouts,
    canaries,
    rolloutMetrics: new RolloutMetrics({ web: deps.web, bus: broker.bus, subjects, time }),
    breakers,
    retryBrakes,
    events,
    metrics,
    news,
    onError,
  };
};

/** An error is told once per change of wording, and counted every time. */
const reporter = ({ log }: ControlDeps, metrics: Metrics) => {
  const told = new Map<string, string>();
  return (where: string, error: unknown): void => {
    metrics.add('weir_errors_total', 1, { where: where.split(' ')[0] ?? '' });
    const words = reasonOf(error);
    if (told.get(where) === words) return;
    told.set(where, words);
    log(`${where}: ${words}`);
  };
};

const accept = async (
  published: Published,
  sealed: Uint8Array,
  onError: Parts['onError'],
): Promise<void> => {
  try {
    published.accept(await published.open(sealed));
  } catch (error) {
    onError('control message', error);
  }
};

const count = (metrics: Metrics, news: Notice, message: ControlMessage, bytes: number): void => {
  metrics.add('weir_published_messages_total', 1, { type: message.type });
  metrics.add('weir_published_bytes_total', bytes);
  news.give();
};

/** An agent may claim any position; beyond this it is not believed, so that epochs do not run out. */
const CREDIBLE_EPOCH = 1_000_000;

export const highestEpoch = (published: Published, fleet: Fleet): number => {
  const epochs = published.scopes.map(({ position }) => epochOf(position));
  for (const { position } of fleet.agents.values()) {
    const epoch = epochOf(position);
    if (epoch <= CREDIBLE_EPOCH) epochs.push(epoch);
  }
  return Math.max(0, ...epochs);
};
