// Weir's own proxy as a DataPlane: listeners in front, the pipeline in the middle, upstreams behind.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Feature } from '#engine/model/features.ts';
import type { Listener } from '#engine/model/snapshot.ts';
import type { Sample } from '#engine/model/telemetry.ts';
import type { Pipeline } from '#engine/pipeline/exchange.ts';
import type { Clock, Random } from '#engine/ports/clock.ts';
import type { DataPlane, PlaneView, SampleFacts } from '#engine/ports/data-plane.ts';
import type { AccessEntry } from './access.ts';
import { capabilities } from './capabilities.ts';
import { Deadlines } from './deadlines.ts';
import { activeView, type PlaneContext } from './exchange/context.ts';
import { admissionOf } from './l4/admission.ts';
import { entrancesOf } from './l4/entrances.ts';
import { targetsOf } from './l4/targets.ts';
import { type BoundAddress, BoundListener, type PreparedEntrances } from './listener.ts';
import { Overload, ownCores } from './overload.ts';
import { Rush } from './rush.ts';
import { Samples } from './samples.ts';
import { CertificateWatch } from './tls/certificate-watch.ts';
import { fleetWords } from './upstream/fleet-words.ts';
import { Upstreams } from './upstream/upstreams.ts';

export interface NodePlaneOptions {
  /** Called at every activation; may throw, then nothing changes. */
  readonly pipeline: (view: PlaneView, previous: Pipeline | undefined) => Pipeline;
  readonly reporter: Sample['reporter'];
  /** Name of this agent: by it control elects who probes an endpoint. */
  readonly agent?: string;
  /** Where it stands, as region/zone: endpoints nearby are preferred. */
  readonly locality?: string | undefined;
  readonly clock?: Clock;
  readonly random?: Random;
  /** Policy port to real port, 0 for any free one. A port that is not in it is bound as policy says. */
  readonly listenPorts?: ReadonlyMap<number, number>;
  /** Bound instead of `0.0.0.0`. */
  readonly defaultAddress?: string;
  /** Several processes listen on the same ports (SO_REUSEPORT), and the kernel shares callers among them. */
  readonly reusePort?: boolean;
  /** Callers' connections at a time, those of all listeners together. Default 50,000. */
  readonly maxConnections?: number | undefined;
  /** One call per exchange, at its end. Must be quick. */
  readonly onAccess?: (entry: AccessEntry) => void;
  readonly log?: (message: string, error?: unknown) => void;
}

export interface NodePlaneStats {
  /** Callers' connections. */
  readonly connections: number;
  readonly exchanges: number;
  readonly upstreamConnections: number;
  /** How late the event loop was at last look. */
  readonly lagMs: number;
}

export interface NodePlane extends DataPlane {
  addresses(): readonly BoundAddress[];
  stats(): NodePlaneStats;
}

const systemClock: Clock = { now: () => Date.now(), monotonic: () => performance.now() };

const NO_PIPELINE: Pipeline = {
  revision: 0,
  isProtectedHeader: () => false,
  wantsBody: () => false,
  handle: () => ({
    type: 'respond',
    status: 503,
    error: 'Service Unavailable',
    reason: 'no policy yet',
    flag: 'NC',
    headers: [],
  }),
  respond: () => {},
  transformBody: () => undefined,
};

/** Of all threads of this process, in milliseconds. */
const cpuMs = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

/** As Envoy advises for an edge. */
const MAX_CONNECTIONS = 50_000;
const DRAIN_LOOK_MS = 20;
/** Where callers keep coming, the queue of those to be taken in is never empty. */
const ACCEPT_MS = 500;
const TICK_MS = 10;

interface Prepared {
  readonly listener: BoundListener;
  readonly ready: PreparedEntrances;
}

export const createNodePlane = (options: NodePlaneOptions): NodePlane => new Plane(options);

class Plane implements NodePlane {
  readonly capabilities: ReadonlySet<Feature> = capabilities;
  private readonly options: NodePlaneOptions;
  private readonly deadlines: Deadlines;
  private readonly counts: Samples;
  private readonly upstreams: Upstreams;
  private readonly context: PlaneContext;
  private listeners: ReadonlyMap<string, BoundListener> = new Map();
  private readonly certificates = new CertificateWatch(() => {
    for (const listener of this.listeners.values()) listener.reloadCertificates();
  });
  private pipeline: Pipeline | undefined;
  private isClosed = false;

  constructor(options: NodePlaneOptions) {
    const clock = options.clock ?? systemClock;
    const random = options.random ?? Math.random;
    this.options = options;
    const log = options.log ?? (() => {});
    this.deadlines = new Deadlines(
      () => clock.monotonic(),
      TICK_MS,
      (error) => log('a deadline failed', error),
    );
    const overload = new Overload({
      cpuMs,
      cores: ownCores(),
      monotonic: () => clock.monotonic(),
    });
    this.deadlines.onTick = (lagMs, now) => overload.tick(lagMs, now);
    this.counts = new Samples({
      clock,
      reporter: options.reporter,
      revision: () => this.pipeline?.revision ?? 0,
      endpoints: () => this.upstreams.takeSeries(),
    });
    this.upstreams = new Upstreams({
      deadlines: this.deadlines,
      monotonic: () => clock.monotonic(),
      random,
      log,
      locality: options.locality,
      onNews: () => this.counts.hasten(),
    });
    this.context = {
      clock,
      random,
      deadlines: this.deadlines,
      samples: this.counts,
      onAccess: options.onAccess,
      log,
      isOverloaded: () => overload.turnsAway(),
      active: activeView(NO_PIPELINE, new Map()),
      reusePort: options.reusePort ?? false,
      isFull: () => this.connectionCount >= (options.maxConnections ?? MAX_CONNECTIONS),
      isDraining: false,
      exchanges: 0,
      mirrors: 0,
      rush: new Rush(),
    };
  }

  async activate(view: PlaneView): Promise<void> {
    const pipeline = this.options.pipeline(view, this.pipeline);
    const upstreams = this.upstreams.prepare(view.snapshot);
    const listeners = await this.bind(view.snapshot.listeners);
    this.deadlines.start();
    this.counts.start();
    this.certificates.watch(view.snapshot.listeners);
    this.pipeline = pipeline;
    this.context.active = activeView(
      pipeline,
      upstreams.commit(fleetWords(view, this.options.agent ?? '')),
      targetsOf(view),
      admissionOf(view, () => this.context.clock.now()),
    );
    for (const { listener, ready } of listeners.values()) listener.commit(ready);
    const kept = new Map([...listeners].map(([key, { listener }]) => [key, listener]));
    const gone = [...this.listeners].filter(([key]) => !kept.has(key));
    this.listeners = kept;
    for (const listener of kept.values()) listener.open();
    for (const listener of kept.values())
      for (const connection of listener.connections()) connection.cutRevoked(pipeline);
    await Promise.all(gone.map(([, listener]) => listener.stop(ACCEPT_MS)));
  }

  samples(): AsyncIterable<SampleFacts> {
    return this.counts.read();
  }

  addresses(): readonly BoundAddress[] {
    return [...this.listeners.values()].map((listener) => listener.bound);
  }

  stats(): NodePlaneStats {
    const connections = this.connectionCount;
    let upstreamConnections = 0;
    for (const upstream of this.upstreams.all) upstreamConnections += upstream.connections;
    const { exchanges } = this.context;
    return { connections, exchanges, upstreamConnections, lagMs: this.deadlines.lagMs };
  }

  private get connectionCount(): number {
    let count = 0;
    for (const listener of this.listeners.values()) count += listener.connectionCount;
    return count;
  }

  async drain(deadlineMs: number, acceptMs = 0): Promise<void> {
    this.context.isDraining = true;
    const { clock } = this.context;
    const until = clock.monotonic() + deadlineMs;
    for (const listener of this.listeners.values()) listener.announceEnd();
    if (acceptMs > 0) await sleep(Math.min(acceptMs, deadlineMs));
    const patienceMs = Math.min(ACCEPT_MS, deadlineMs);
    await Promise.all([...this.listeners.values()].map((each) => each.stop(patienceMs)));
    while (this.stats().connections > 0 && clock.monotonic() < until) await sleep(DRAIN_LOOK_MS);
    for (const listener of this.listeners.values()) listener.destroy();
  }

  async close(): Promise<void> {
    if (this.isClosed) return;
    this.isClosed = true;
    for (const listener of this.listeners.values()) listener.destroy();
    this.certificates.close();
    this.upstreams.close();
    this.counts.close();
    this.deadlines.stop();
  }

  /** Binds what is not bound yet; on failure lets go of it again. */
  private async bind(wanted: readonly Listener[]): Promise<ReadonlyMap<string, Prepared>> {
    const prepared = new Map<string, Prepared>();
    const fresh: BoundListener[] = [];
    try {
      for (const [key, sharing] of this.byPort(wanted)) {
        const entrances = entrancesOf(sharing);
        const known = this.listeners.get(key);
        const listener = known ?? new BoundListener(entrances, this.context);
        const ready = listener.prepare(entrances);
        prepared.set(key, { listener, ready });
        if (known) continue;
        listener.commit(ready);
        const port = this.options.listenPorts?.get(entrances.port) ?? entrances.port;
        await listener.listen(this.addressOf(sharing[0]), port);
        fresh.push(listener);
      }
    } catch (error) {
      for (const listener of fresh) listener.destroy();
      throw error;
    }
    return prepared;
  }

  private byPort(wanted: readonly Listener[]): Map<string, [Listener, ...Listener[]]> {
    const ports = new Map<string, [Listener, ...Listener[]]>();
    for (const each of wanted) {
      const key = `${this.addressOf(each)}:${each.port}`;
      const sharing = ports.get(key);
      if (sharing) sharing.push(each);
      else ports.set(key, [each]);
    }
    return ports;
  }

  private addressOf(listener: Listener): string {
    return listener.address === '0.0.0.0'
      ? (this.options.defaultAddress ?? listener.address)
      : listener.address;
  }
}
