// An agent without a data plane: verifies, folds, acks and announces itself, over its own connection.
import { type AgentState, initialAgent, receive, viewOf } from '#engine/agent/agent.ts';
import { type ControlMessage, parseMessage } from '#engine/model/control-message.ts';
import { type Feature, features } from '#engine/model/features.ts';
import type { Scope } from '#engine/model/scope.ts';
import type { Snapshot } from '#engine/model/snapshot.ts';
import { streams, subjects as subjectsOf } from '#engine/model/subjects.ts';
import type {
  Ack,
  EndpointSeries,
  Heartbeat,
  Sample,
  Series,
  ValueSeries,
  Workload,
} from '#engine/model/telemetry.ts';
import type { Broker } from '#engine/ports/bus.ts';
import type { LogReader } from '#engine/ports/log.ts';
import type { Verifier } from '#engine/ports/signer.ts';

const encode = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

export interface FakeAgentOptions {
  readonly broker: Broker;
  readonly verifier: Verifier;
  readonly agent: string;
  readonly scope: Scope;
  readonly now: () => number;
  readonly workload?: Workload;
  readonly capabilities?: readonly Feature[];
  /** Refuses every snapshot, as a data plane whose port is taken. */
  readonly refuse?: string;
  /** Refuses what is on trial only. */
  readonly refuseTrials?: string;
  readonly onApplied?: (position: number) => void;
}

export class FakeAgent {
  readonly #options: FakeAgentOptions;
  readonly #subjects = subjectsOf();
  readonly #incarnation = `start ${Math.floor(performance.now())}`;
  #state: AgentState;
  #reader: LogReader | undefined;
  #sequence = 0;
  /** Every position that was in force, in order: must only grow per thing it is about. */
  readonly positions: number[] = [];
  readonly outcomes: string[] = [];

  constructor(options: FakeAgentOptions) {
    this.#options = options;
    this.#state = initialAgent('default', options.scope, options.agent);
  }

  get name(): string {
    return this.#options.agent;
  }

  get state(): AgentState {
    return this.#state;
  }

  get snapshot(): Snapshot | undefined {
    return this.#state.active?.snapshot;
  }

  /** Weight of a version as traffic would see it: snapshot, and decisions over it. */
  weight(service: string, version: string): number | undefined {
    const view = viewOf(this.#state);
    const decided = view?.overlay.get(`split:${service}`);
    if (decided?.type === 'split') return decided.weights[version];
    return view?.snapshot.splits[service]?.choices.find((choice) => choice.version === version)
      ?.weight;
  }

  async start(): Promise<this> {
    const { broker, scope } = this.#options;
    const log = await broker.log(streams.control);
    this.#reader = log.read(this.#subjects.control(scope), 'last');
    void this.#follow(this.#reader);
    this.beat();
    return this;
  }

  beat(state: Heartbeat['state'] = 'live', unknownKeys?: readonly string[]): void {
    const { broker, agent, scope, workload, capabilities, now } = this.#options;
    const beat: Heartbeat = {
      v: 1,
      type: 'alive',
      agent,
      scope,
      incarnation: this.#incarnation,
      atMs: now(),
      revision: this.#state.active?.revision ?? 0,
      position: this.#state.position,
      state,
      capabilities: capabilities ?? features,
      ...(workload ? { workload } : {}),
      ...(unknownKeys ? { unknownKeys } : {}),
      version: '0.1.0',
    };
    broker.bus.publish(this.#subjects.alive(agent), encode(beat));
  }

  sample(
    series: readonly Series[],
    endpoints?: readonly EndpointSeries[],
    values?: readonly ValueSeries[],
  ): void {
    const { broker, agent, scope, now } = this.#options;
    this.#sequence += 1;
    const sample: Sample = {
      v: 1,
      type: 'sample',
      agent,
      scope,
      incarnation: this.#incarnation,
      sequence: this.#sequence,
      startMs: now() - 1000,
      spanMs: 1000,
      reporter: 'source',
      revision: this.#state.active?.revision ?? 0,
      series,
      ...(endpoints && { endpoints }),
      ...(values && { values }),
    };
    broker.bus.publish(this.#subjects.sample(scope, agent), encode(sample));
  }

  stop(): void {
    this.#reader?.close();
  }

  async #follow(reader: LogReader): Promise<void> {
    for await (const { data } of reader) {
      const startedMs = performance.now();
      try {
        this.#receive(parseMessage(await this.#options.verifier.open(data)), startedMs);
      } catch {
        this.outcomes.push('unreadable');
      }
    }
  }

  #receive(message: ControlMessage, startedMs: number): void {
    const { refuseTrials, now } = this.#options;
    const refuse = this.#options.refuse ?? (message.type === 'trial' ? refuseTrials : undefined);
    const [next, received] = receive(this.#state, message);
    if (received.outcome === 'other') return;
    const isRefused = refuse !== undefined && received.outcome === 'applied';
    const outcome = isRefused ? 'rejected' : received.outcome;
    if (!isRefused) this.#state = next;
    this.outcomes.push(outcome);
    if (outcome === 'applied') {
      this.positions.push(message.position);
      this.#options.onApplied?.(message.position);
    }
    const reason = isRefused ? refuse : received.reason;
    this.#ack({
      message: message.type,
      outcome,
      position: message.position,
      revision: this.#state.active?.revision ?? 0,
      appliedPosition: this.#state.position,
      tookMs: performance.now() - startedMs,
      lagMs: now() - message.issuedMs,
      atMs: now(),
      ...(reason === undefined ? {} : { reason }),
    });
  }

  #ack(facts: Omit<Ack, 'v' | 'type' | 'agent' | 'scope'>): void {
    const { broker, agent, scope } = this.#options;
    const ack: Ack = { v: 1, type: 'ack', agent, scope, ...facts };
    broker.bus.publish(this.#subjects.ack(scope, agent), encode(ack));
  }
}
