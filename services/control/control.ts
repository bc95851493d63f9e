// The control service: the ring, closed. Everything that happens starts in one of the `for await` lines below.
import type { AddressInfo } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { EngineError } from '#engine/model/errors.ts';
import { createHandlers } from './api/handlers.ts';
import { serveBusApi } from './bus-api.ts';
import { Duties } from './duties.ts';
import { refreshMetrics } from './gauges.ts';
import { createHttp } from './http.ts';
import { assemble, type ControlConfig, type ControlDeps, type Parts } from './parts.ts';
import { every } from './time.ts';

export type { ControlConfig, ControlDeps } from './parts.ts';

export interface Control {
  /** Of the admin API; empty if it does not listen. */
  readonly url: string;
  readonly http: FastifyInstance;
  /** It leads, and has said everything once. */
  readonly isLeading: boolean;
  /** Stops writing, releases the lease. The broker is the caller's. Safe to call twice. */
  close(): Promise<void>;
}

export const startControl = async (config: ControlConfig, deps: ControlDeps): Promise<Control> => {
  const stop = new AbortController();
  const parts = await assemble(config, deps, stop.signal);
  const { subjects, leadership, onError, metrics } = parts;
  const { bus } = deps.broker;
  const handlers = createHandlers(parts, deps, () => duties.saidRevision);
  const duties = new Duties(config, deps, parts, () =>
    serveBusApi({ bus, subjects, handlers, access: deps.access, metrics, onError }),
  );
  const http = await createHttp({
    handlers,
    access: deps.access,
    metrics,
    events: parts.eventLog,
    everyEvent: subjects.everyEvent,
    notReady: () => reasonsAgainst(parts, deps, duties),
    isLeading: () => duties.isInCharge,
    beforeMetrics: () => refreshMetrics(parts, deps.time),
    version: config.version,
    onError,
  });
  // A follower has answers from the beginning; it need not wait for something to change.
  await parts.ring.refresh().catch((error: unknown) => onError('compile', error));
  const sources = openSources(parts, deps);
  for (const line of theRing(parts, deps, { duties, sources, signal: stop.signal })) void line();

  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    await http.close();
    duties.close();
    for (const source of [...Object.values(sources), parts.policy]) source.close();
    await leadership.close();
    stop.abort();
  };
  const closeOnce = (): Promise<void> => (closing ??= close());

  return {
    url: await listen(http, config, closeOnce),
    http,
    get isLeading() {
      return duties.isInCharge;
    },
    close: closeOnce,
  };
};

const openSources = ({ subjects, controlLog }: Parts, { broker: { bus } }: ControlDeps) => ({
  acks: bus.subscribe(subjects.everyAck),
  heartbeats: bus.subscribe(subjects.everyAlive),
  leaderWords: bus.subscribe(subjects.heartbeat),
  samples: bus.subscribe(subjects.everySample),
  stream: controlLog.read(subjects.everyControl, 'new'),
});

interface AtWork {
  readonly duties: Duties;
  readonly sources: ReturnType<typeof openSources>;
  readonly signal: AbortSignal;
}

/** The ring. What comes in stands on the left, what is done about it on the right. */
const theRing = (
  { leadership, policy, onError }: Parts,
  { time, broker, keys }: ControlDeps,
  { duties, sources, signal }: AtWork,
): readonly (() => Promise<void>)[] => {
  const { acks, heartbeats, leaderWords, samples, stream } = sources;

  /** What goes wrong about one thing is told, and the next one has its turn. */
  const safely = async (name: string, work: () => Promise<void> | void): Promise<void> => {
    try {
      await work();
    } catch (error) {
      onError(name, error);
    }
  };

  return [
    async () => {
      for await (const term of leadership.terms)
        await safely('leadership', () => (term ? duties.lead(term) : duties.stepDown()));
    },
    async () => {
      for await (const commit of policy.commits)
        await safely('commit', () => duties.committed(commit));
    },
    async () => {
      for await (const _change of duties.fleetChanges)
        await safely('fleet', () => duties.fleetChanged(signal));
    },
    async () => {
      for await (const ack of acks) await safely('ack', () => duties.acked(ack));
    },
    async () => {
      for await (const beat of heartbeats) await safely('heartbeat', () => duties.beat(beat));
    },
    async () => {
      for await (const word of leaderWords) await safely('leader', () => duties.leaderSpoke(word));
    },
    async () => {
      for await (const sample of samples) await safely('sample', () => duties.sampled(sample));
    },
    async () => {
      for await (const entry of stream) await safely('control stream', () => duties.written(entry));
    },
    async () => {
      for await (const _tick of every(time, 1000, signal))
        await safely('second', () => duties.second());
    },
    async () => {
      for await (const _tick of every(time, 1000, signal))
        await safely('pulse', () => duties.pulse().then((last) => stream.verify(last)));
    },
    async () => {
      for await (const news of keys?.news() ?? [])
        await safely('keys', () => duties.keysCame(news));
    },
    async () => {
      for await (const { connected } of broker.status())
        if (connected) await safely('bus', () => duties.reconnected());
    },
  ];
};

const listen = async (
  http: FastifyInstance,
  { admin }: ControlConfig,
  giveUp: () => Promise<void>,
): Promise<string> => {
  if (!admin) return '';
  const { host, port } = admin;
  try {
    await http.listen({ host, port });
  } catch (cause) {
    await giveUp();
    throw new EngineError(
      'ERR_PORT_TAKEN',
      `the admin API cannot listen on ${host}:${port}: ${(cause as Error).message}`,
      { source: 'caller', cause },
    );
  }
  const { address, family, port: bound } = http.server.address() as AddressInfo;
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${bound}`;
};

const reasonsAgainst = (
  parts: Parts,
  { broker }: ControlDeps,
  { isInCharge }: Duties,
): readonly string[] => {
  const reasons: string[] = [];
  if (!broker.connected) reasons.push('the bus is away');
  if (parts.leadership.leader.instance === '') reasons.push('there is no leader yet');
  if (parts.policy.isLost) reasons.push('the policy log has lost its memory: apply the policy set');
  const leads = parts.leadership.term !== undefined;
  if (leads && (!isInCharge || parts.ring.isBehind))
    reasons.push('not everything is published yet');
  return reasons;
};
