// Takes one sealed control message after the other: verify, parse, fold, save, activate, ack. Whatever is wrong with a
// message, what was in force before stays in force.
import { type AgentState, initialAgent, messagesOf, receive, viewOf } from '#engine/agent/agent.ts';
import { type ControlMessage, parseMessage } from '#engine/model/control-message.ts';
import { EngineError, reasonOf } from '#engine/model/errors.ts';
import { formatPosition } from '#engine/model/position.ts';
import type { Scope } from '#engine/model/scope.ts';
import type { Ack } from '#engine/model/telemetry.ts';
import type { Clock } from '#engine/ports/clock.ts';
import type { DataPlane, PlaneView } from '#engine/ports/data-plane.ts';
import type { LastGoodStore, SavedState } from '#engine/ports/last-good.ts';
import type { Verifier } from '#engine/ports/signer.ts';

export interface FollowerDeps {
  readonly verifier: Verifier;
  readonly plane: DataPlane;
  readonly store: LastGoodStore;
  readonly clock: Clock;
  readonly log: (line: string) => void;
  /** Last touch before activation: what only this machine knows. */
  readonly prepare: (view: PlaneView) => PlaneView;
}

export interface FollowerOptions {
  readonly agent: string;
  readonly mesh: string;
  readonly scope: Scope;
}

/** A message as it lies in the control stream. */
export interface SealedEntry {
  readonly sequence: number;
  readonly data: Uint8Array;
  /** Read while catching up: that others have overtaken it is nothing to report. */
  readonly isBacklog: boolean;
}

export class Follower {
  readonly #options: FollowerOptions;
  readonly #deps: FollowerDeps;
  #state: AgentState;
  #view: PlaneView | undefined;
  /** As received, by position: what is saved. */
  #sealed: ReadonlyMap<number, Uint8Array> = new Map();
  /** Positions that the data plane refused, with its reason; they are not tried again. */
  readonly #refused = new Map<number, string>();
  #lastSequence = 0;
  #isLeaving = false;

  constructor(options: FollowerOptions, deps: FollowerDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#state = initialAgent(options.mesh, options.scope, options.agent);
  }

  /** What is in force. */
  get view(): PlaneView | undefined {
    return this.#view;
  }

  get revision(): number {
    return this.#state.active?.revision ?? 0;
  }

  get position(): number {
    return this.#state.position;
  }

  /** True while something newer than what is in force is known and could not be enforced. */
  get isBehind(): boolean {
    return this.#refused.size > 0;
  }

  /** Serves what was saved last and can still be trusted and enforced. Throws ERR_PORT_TAKEN. */
  async recover(): Promise<void> {
    const { store, log } = this.#deps;
    for (const saved of await this.#load()) {
      const { state, sealed, refusal } = await this.#read(saved);
      if (refusal !== undefined) {
        await store.putAside(saved);
        log(`the last good state in ${saved.name} is put aside and not used: ${refusal}`);
        continue;
      }
      try {
        await this.#activate(state);
        this.#adopt(state, sealed);
        return;
      } catch (error) {
        if (error instanceof EngineError && error.code === 'ERR_PORT_TAKEN') throw error;
        log(`the last good state in ${saved.name} cannot be enforced: ${reasonOf(error)}`);
      }
    }
  }

  async #load(): Promise<readonly SavedState[]> {
    const { store, log } = this.#deps;
    try {
      return await store.load(log);
    } catch (error) {
      log(`cannot read the last good state: ${reasonOf(error)}`);
      return [];
    }
  }

  async #read(saved: SavedState) {
    const { mesh, scope, agent } = this.#options;
    let state = initialAgent(mesh, scope, agent);
    const sealed = new Map<number, Uint8Array>();
    let refusal: string | undefined;
    try {
      for (const bytes of saved.messages) {
        const message = parseMessage(await this.#deps.verifier.open(bytes));
        const [next, { outcome, reason }] = receive(state, message);
        if (outcome !== 'applied') refusal ??= reason ?? outcome;
        state = next;
        sealed.set(message.position, bytes);
      }
    } catch (error) {
      refusal = reasonOf(error);
    }
    return { state, sealed, refusal };
  }

  /** The ack to send, if there is something to say. Calls are made one after the other. */
  async take(entry: SealedEntry): Promise<Ack | undefined> {
    const startedMs = this.#deps.clock.monotonic();
    // After a reconnect the stream is read again; what was dealt with then is no news.
    const isNew = entry.sequence > this.#lastSequence;
    this.#lastSequence = Math.max(this.#lastSequence, entry.sequence);
    let message: ControlMessage;
    try {
      message = parseMessage(await this.#deps.verifier.open(entry.data));
    } catch (error) {
      if (!isNew) return undefined;
      return this.#ack(undefined, { outcome: 'rejected', reason: reasonOf(error) }, startedMs);
    }
    const [next, received] = receive(this.#state, message);
    if (received.outcome === 'applied') {
      const refusal = this.#refused.get(message.position);
      if (refusal === undefined) return await this.#apply(message, entry.data, next, startedMs);
      return isNew && !entry.isBacklog
        ? this.#ack(message, { outcome: 'rejected', reason: refusal }, startedMs)
        : undefined;
    }
    const { outcome, reason } = received;
    if (outcome === 'other') return undefined;
    const isNews = isNew && (outcome === 'rejected' || !entry.isBacklog);
    const said = reason === undefined ? { outcome } : { outcome, reason };
    return isNews ? this.#ack(message, said, startedMs) : undefined;
  }

  /**
   * Saved before it is in force: an agent that crashes in between starts from the newer state, never from an older one than
   * it has served. A state that turns out not to be enforceable is replaced on disk by the one before.
   */
  async #apply(
    message: ControlMessage,
    bytes: Uint8Array,
    next: AgentState,
    startedMs: number,
  ): Promise<Ack> {
    const sealed = new Map<number, Uint8Array>();
    for (const { position } of messagesOf(next)) {
      const kept = position === message.position ? bytes : this.#sealed.get(position);
      if (kept) sealed.set(position, kept);
    }
    await this.#save(next, sealed);
    try {
      await this.#activate(next);
    } catch (error) {
      const reason = reasonOf(error);
      this.#refused.set(message.position, reason);
      if (this.#state.active) await this.#save(this.#state, this.#sealed);
      return this.#ack(message, { outcome: 'rejected', reason }, startedMs);
    }
    this.#adopt(next, sealed);
    const ack = this.#ack(message, { outcome: 'applied' }, startedMs);
    await this.#safely('flush', this.#deps.store.flush());
    return ack;
  }

  async #activate(state: AgentState): Promise<void> {
    const view = viewOf(state);
    if (!view) return;
    const prepared = this.#deps.prepare(view);
    await this.#deps.plane.activate(prepared);
    this.#view = prepared;
  }

  #adopt(state: AgentState, sealed: ReadonlyMap<number, Uint8Array>): void {
    this.#state = state;
    this.#sealed = sealed;
    const active = state.active?.position ?? 0;
    for (const position of this.#refused.keys())
      if (position <= active) this.#refused.delete(position);
  }

  /** From here on what is saved is the successor's business. */
  leave(): void {
    this.#isLeaving = true;
  }

  async #save(state: AgentState, sealed: ReadonlyMap<number, Uint8Array>): Promise<void> {
    if (this.#isLeaving) return;
    const messages = messagesOf(state).flatMap(({ position }) => sealed.get(position) ?? []);
    await this.#safely('save', this.#deps.store.save(messages));
  }

  /** A full disk must not keep policy from taking effect; it costs the cold start only. */
  async #safely(what: string, work: Promise<void>): Promise<void> {
    try {
      await work;
    } catch (error) {
      this.#deps.log(`cannot ${what} the last good state: ${reasonOf(error)}`);
    }
  }

  #ack(
    message: ControlMessage | undefined,
    received: Pick<Ack, 'outcome' | 'reason'>,
    startedMs: number,
  ): Ack {
    const { clock } = this.#deps;
    const { agent, scope } = this.#options;
    const nowMs = clock.now();
    return {
      v: 1,
      type: 'ack',
      agent,
      scope,
      message: message?.type ?? 'unreadable',
      ...received,
      position: message?.position ?? 0,
      revision: this.revision,
      appliedPosition: this.position,
      tookMs: clock.monotonic() - startedMs,
      lagMs: message && message.issuedMs > 0 ? nowMs - message.issuedMs : 0,
      atMs: nowMs,
    };
  }
}

/** `snapshot 3.17 (r8) applied in 2 ms` */
export const describeAck = (ack: Ack): string => {
  const what =
    ack.message === 'unreadable' ? 'a message' : `${ack.message} ${formatPosition(ack.position)}`;
  const why = ack.reason === undefined ? '' : `: ${ack.reason}`;
  return `${what} ${ack.outcome} in ${ack.tookMs.toFixed(1)} ms, now at r${ack.revision}${why}`;
};
