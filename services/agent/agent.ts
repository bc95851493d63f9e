// What every agent process is: the last good state from disk first, then the control stream of its scope for as long as
// there is a bus; acks, samples and heartbeats back.
import type { OwnWorkload } from '#adapters/metrics-prometheus/peers.ts';
import { reasonOf } from '#engine/model/errors.ts';
import type { Scope } from '#engine/model/scope.ts';
import { streams, subjects } from '#engine/model/subjects.ts';
import type {
  Ack,
  ControlHeartbeat,
  Heartbeat,
  Sample,
  Workload,
} from '#engine/model/telemetry.ts';
import type { Broker } from '#engine/ports/bus.ts';
import type { DataPlane, PlaneView } from '#engine/ports/data-plane.ts';
import type { LastGoodStore } from '#engine/ports/last-good.ts';
import type { LogReader } from '#engine/ports/log.ts';
import type { Verifier } from '#engine/ports/signer.ts';
import type { AdminServer } from './admin.ts';
import { AgentMetrics } from './agent-metrics.ts';
import { describeAck, Follower } from './follower.ts';
import { Outbox } from './outbox.ts';
import type { AgentStatus } from './status.ts';
import type { Time } from './time.ts';
import type { UnknownKeys } from './unknown-keys.ts';

export interface AgentConfig {
  readonly agent: string;
  readonly mesh: string;
  readonly scope: Scope;
  /** Release of Weir, as heartbeats and metrics say it. */
  readonly version: string;
  /** Whose name stands in metrics for this side of a request. */
  readonly own: OwnWorkload;
  readonly admin: { readonly host: string; readonly port: number };
  /** So long it still takes traffic after it has announced that it drains: others have to hear of it first. */
  readonly drainDelayMs: number;
}

export interface AgentDeps {
  /** Keeps trying until there is a bus or the signal aborts. */
  readonly connect: (signal: AbortSignal) => Promise<Broker>;
  readonly verifier: Verifier;
  readonly plane: DataPlane;
  readonly store: LastGoodStore;
  readonly time: Time;
  readonly log: (line: string) => void;
  /** Different at every start. */
  readonly incarnation: string;
  /** What only this machine knows, put into a view before it is activated. */
  readonly prepare?: (view: PlaneView) => PlaneView;
  /** What the heartbeat announces; undefined while there is nothing to send traffic to. */
  readonly workload?: () => Workload | undefined;
  /** What tokens asked for in vain; the heartbeat tells control. */
  readonly unknownKeys?: UnknownKeys;
}

export interface Agent {
  readonly adminUrl: string;
  status(): AgentStatus;
  /** Says at once what the next heartbeat would say. */
  announce(): void;
  /** Readiness off, announce it, then finish what is under way, cut at the deadline. */
  drain(deadlineMs: number): Promise<void>;
  /** Safe to call twice. */
  close(): Promise<void>;
}

/** Resolves once the last good state, if there is one, is in force. The bus may come later. */
export const startAgent = async (config: AgentConfig, deps: AgentDeps): Promise<Agent> => {
  const agent = new RunningAgent(config, deps);
  try {
    await agent.start();
  } catch (error) {
    await agent.close();
    throw error;
  }
  return {
    adminUrl: agent.adminUrl,
    status: () => agent.status(),
    announce: () => agent.announce(),
    drain: (deadlineMs) => agent.drain(deadlineMs),
    close: () => agent.close(),
  };
};

const BEAT_MS = 1000;
/** Before another try where the control stream cannot be read yet. */
const RETRY_MS = 1000;

class RunningAgent implements Agent {
  readonly #config: AgentConfig;
  readonly #deps: AgentDeps;
  readonly #follower: Follower;
  readonly #metrics: AgentMetrics;
  readonly #outbox: Outbox;
  readonly #stopping = new AbortController();
  readonly #subjects: ReturnType<typeof subjects>;
  #admin: AdminServer | undefined;
  #broker: Broker | undefined;
  #reader: LogReader | undefined;
  #stopBeating: () => void = () => {};
  #isCaughtUp = false;
  #isDraining = false;
  /** When control last confirmed that there is nothing newer; by the clock that only grows. */
  #confirmedMs: number;
  #sequence = 0;
  #following: Promise<void> = Promise.resolve();

  constructor(config: AgentConfig, deps: AgentDeps) {
    this.#config = config;
    this.#deps = deps;
    this.#subjects = subjects(config.mesh);
    this.#follower = new Follower(config, {
      ...deps,
      clock: deps.time,
      prepare: deps.prepare ?? ((view) => view),
    });
    this.#metrics = new AgentMetrics(
      { ...config.own, cluster: config.mesh },
      {
        version: config.version,
        scope: config.scope,
        agent: config.agent,
      },
    );
    this.#outbox = new Outbox((kind) => this.#metrics.dropped(kind));
    this.#confirmedMs = deps.time.monotonic();
  }

  async start(): Promise<void> {
    const { log, time } = this.#deps;
    await this.#follower.recover();
    if (this.#follower.view) log(`serving the last good state, r${this.#follower.revision}`);
    const { startAdmin } = await import('./admin.ts'); // only now: serving comes first
    this.#admin = await startAdmin({
      ...this.#config.admin,
      status: () => this.status(),
      view: () => this.#follower.view,
      metrics: () => this.#metrics.text(this.status()),
    });
    log(`admin address ${this.#admin.url}`);
    this.#stopBeating = time.every(BEAT_MS, () => this.#beat());
    this.#deps.unknownKeys?.listen(() => this.#beat());
    void this.#report();
    this.#following = this.#follow();
  }

  get adminUrl(): string {
    return this.#admin?.url ?? '';
  }

  status(): AgentStatus {
    const { agent, scope } = this.#config;
    return {
      isReady: this.#follower.view !== undefined && !this.#isDraining,
      agent,
      scope,
      state: this.#stateName(),
      revision: this.#follower.revision,
      position: this.#follower.position,
      stalenessMs: Math.max(0, this.#deps.time.monotonic() - this.#confirmedMs),
    };
  }

  announce(): void {
    this.#beat();
  }

  async drain(deadlineMs: number): Promise<void> {
    const delayMs = Math.min(this.#config.drainDelayMs, deadlineMs);
    this.#isDraining = true;
    this.#follower.leave();
    this.#beat();
    await this.#deps.plane.drain(deadlineMs, delayMs);
  }

  async close(): Promise<void> {
    this.#stopping.abort();
    this.#stopBeating();
    this.#reader?.close();
    await this.#following;
    await this.#deps.plane.close();
    this.#metrics.close();
    await Promise.all([this.#broker?.close(), this.#admin?.close()]);
  }

  #stateName(): Heartbeat['state'] {
    if (this.#isDraining) return 'draining';
    if (!this.#follower.view) return 'starting';
    return this.#isCaughtUp && this.#broker?.connected ? 'live' : 'static';
  }

  /** Never rejects: an agent outlives whatever happens to its bus. */
  async #follow(): Promise<void> {
    const { connect, log } = this.#deps;
    try {
      const broker = await connect(this.#stopping.signal);
      this.#broker = broker;
      if (this.#stopping.signal.aborted) return;
      this.#outbox.use(broker);
      this.#beat();
      void this.#watchStatus(broker);
      void this.#watchControl(broker);
      let lastReason = '';
      while (!this.#stopping.signal.aborted) {
        try {
          await this.#readControl(broker);
        } catch (error) {
          const reason = reasonOf(error);
          if (reason !== lastReason) log(`cannot read the control stream: ${reason}; trying again`);
          lastReason = reason;
        }
        await this.#pause(RETRY_MS);
      }
    } catch (error) {
      if (!this.#stopping.signal.aborted) log(`no bus: ${reasonOf(error)}`);
    }
  }

  async #readControl(broker: Broker): Promise<void> {
    const log = await broker.log(streams.control);
    const reader = log.read(this.#subjects.control(this.#config.scope), 'last');
    this.#reader = reader;
    if (this.#stopping.signal.aborted) reader.close();
    let isBacklog = true;
    void reader.caughtUp.then(() => {
      isBacklog = false;
      this.#isCaughtUp = true;
      this.#confirm();
    });
    try {
      for await (const { sequence, data } of reader) {
        const wasReady = this.status().isReady;
        const ack = await this.#follower.take({ sequence, data, isBacklog });
        if (ack) this.#tell(ack);
        if (!wasReady && this.status().isReady) this.#beat();
      }
    } finally {
      reader.close();
    }
  }

  #tell(ack: Ack): void {
    const { agent, scope } = this.#config;
    this.#deps.log(describeAck(ack));
    this.#metrics.acked(ack);
    this.#outbox.send('ack', this.#subjects.ack(scope, agent), ack);
  }

  /** A watch can die in silence, so the reader is told what there should be. */
  async #watchControl(broker: Broker): Promise<void> {
    for await (const { data } of broker.bus.subscribe(this.#subjects.heartbeat)) {
      const last = lastControlSequence(data);
      if (last === undefined) continue;
      this.#reader?.verify(last);
      this.#confirm();
    }
  }

  async #watchStatus(broker: Broker): Promise<void> {
    let isFirst = true;
    for await (const { connected, server } of broker.status()) {
      if (connected) {
        this.#deps.log(`connected to the bus at ${server}`);
        this.#outbox.flush();
      } else if (!isFirst && !this.#stopping.signal.aborted)
        this.#deps.log('the bus is away; serving the last good state');
      isFirst = false;
    }
  }

  #confirm(): void {
    if (this.#isCaughtUp && !this.#follower.isBehind)
      this.#confirmedMs = this.#deps.time.monotonic();
  }

  async #report(): Promise<void> {
    const { agent, scope } = this.#config;
    const { plane, incarnation } = this.#deps;
    for await (const { outcomes, ...facts } of plane.samples()) {
      this.#metrics.sampled({ reporter: facts.reporter, series: facts.series, outcomes });
      this.#sequence += 1;
      const sample: Sample = {
        v: 1,
        type: 'sample',
        agent,
        scope,
        incarnation,
        sequence: this.#sequence,
        ...facts,
      };
      this.#outbox.send('sample', this.#subjects.sample(scope, agent), sample);
    }
  }

  #beat(): void {
    if (!this.#broker?.connected) return;
    const { agent, scope, version } = this.#config;
    const { plane, time, incarnation } = this.#deps;
    const workload = this.#isDraining ? undefined : this.#deps.workload?.();
    const { state, revision, position } = this.status();
    const unknownKeys = this.#deps.unknownKeys?.take() ?? [];
    const beat: Heartbeat = {
      v: 1,
      type: 'alive',
      agent,
      scope,
      incarnation,
      atMs: time.now(),
      revision,
      position,
      state,
      capabilities: [...plane.capabilities],
      ...(workload ? { workload } : {}),
      ...(unknownKeys.length > 0 ? { unknownKeys } : {}),
      version,
    };
    this.#broker.bus.publish(
      this.#subjects.alive(agent),
      new TextEncoder().encode(JSON.stringify(beat)),
    );
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      if (this.#stopping.signal.aborted) return resolve();
      const done = () => {
        stop();
        resolve();
      };
      const stop = this.#deps.time.every(ms, done);
      this.#stopping.signal.addEventListener('abort', done, { once: true });
    });
  }
}

const lastControlSequence = (data: Uint8Array): number | undefined => {
  try {
    const beat = JSON.parse(new TextDecoder().decode(data)) as Partial<ControlHeartbeat>;
    const last = beat.type === 'control-alive' ? beat.sequences?.[streams.control] : undefined;
    return Number.isSafeInteger(last) ? last : undefined;
  } catch {
    return undefined;
  }
};
