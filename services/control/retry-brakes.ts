// Retry brakes of all edges of the call graph, for the term of one leader. As with breakers: recorded before it is decided,
// and the decisions are compared with the record every second.
import {
  advanceRetryBrake,
  type BrakeEffect,
  type BrakeState,
  freeBrake,
  heldBrake,
  readBrakeState,
} from '#engine/machines/retry-brake.ts';
import { decisionId } from '#engine/model/decision.ts';
import { callEdge } from '#engine/model/decision-reach.ts';
import { reasonOf } from '#engine/model/errors.ts';
import type { Sample } from '#engine/model/telemetry.ts';
import type { Events } from './events.ts';
import type { Term } from './leadership.ts';
import type { MachineStore } from './machine-store.ts';
import type { PolicyLog } from './policy-log.ts';
import { retryBounds } from './retry-bounds.ts';
import type { Ring } from './ring.ts';
import type { Time } from './time.ts';

const PREFIX = 'retries';
const BY = 'retry-brake';

export interface RetryBrakesDeps {
  readonly ring: Ring;
  readonly policy: PolicyLog;
  readonly machines: MachineStore;
  readonly events: Events;
  readonly time: Time;
  readonly onError: (where: string, error: unknown) => void;
}

export class RetryBrakes {
  readonly #deps: RetryBrakesDeps;
  #term: Term | undefined;
  #states = new Map<string, BrakeState>();
  /** Since the last tick, by edge. */
  #counts = new Map<string, { requests: number; retries: number }>();
  /** By edge: percent that policy allows. */
  #bounds: ReadonlyMap<string, number> = new Map();
  readonly #saved = new Map<string, string>();

  constructor(deps: RetryBrakesDeps) {
    this.#deps = deps;
  }

  async begin(term: Term): Promise<void> {
    const { machines, onError, events, ring, time } = this.#deps;
    const note = (edge: string, error: unknown): void => {
      onError(`retries ${edge}`, error);
      const reason = reasonOf(error);
      events.tell({ type: 'state.unreadable', subject: edge, data: { machine: PREFIX, reason } });
    };
    const stored = await machines.takeUp(PREFIX, term.epoch, note);
    this.#states = new Map();
    for (const [edge, value] of stored) {
      const state = readBrakeState(value);
      if (state) this.#states.set(edge, state);
      else note(edge, new Error('it is of another release'));
    }
    // Of one that cannot be read, what was decided holds on.
    for (const { body } of ring.standing.values())
      if (body.type === 'retry-budget' && !this.#states.has(body.target))
        this.#states.set(body.target, heldBrake(body.target, body.percent, time.now()));
    this.#counts.clear();
    this.#saved.clear();
    for (const edge of stored.keys()) this.#saved.set(edge, '');
    this.#term = term;
  }

  end(): void {
    this.#term = undefined;
    this.#states.clear();
  }

  observe({ scope, reporter, series }: Sample): void {
    if (!this.#term || reporter !== 'source') return;
    for (const { service, requests, retries } of series) {
      const edge = callEdge(scope, service);
      if (!this.#bounds.has(edge)) continue;
      const known = this.#counts.get(edge);
      if (known) {
        known.requests += requests;
        known.retries += retries;
      } else this.#counts.set(edge, { requests, retries });
    }
  }

  /** Once a second. */
  async tick(): Promise<void> {
    const { ring, policy, onError } = this.#deps;
    const term = this.#term;
    if (!term?.isValid() || !ring.result || policy.isLost) return;
    this.#bounds = retryBounds(ring.result.snapshots);
    const happened = this.#advance();
    try {
      await this.#save(term);
      await this.#decide();
      for (const { event, data } of happened)
        this.#deps.events.tell({ type: event, subject: String(data['edge']), data });
    } catch (error) {
      onError('retry brakes', error);
    }
  }

  #advance(): readonly Extract<BrakeEffect, { type: 'event' }>[] {
    const nowMs = this.#deps.time.now();
    const counts = this.#counts;
    this.#counts = new Map();
    const happened = [];
    for (const edge of this.#states.keys()) if (!this.#bounds.has(edge)) this.#states.delete(edge);
    for (const [edge, bound] of this.#bounds) {
      const count = counts.get(edge) ?? { requests: 0, retries: 0 };
      const before = this.#states.get(edge);
      if (!before && count.retries === 0) continue;
      const { state, effects } = advanceRetryBrake(before ?? freeBrake(edge), {
        type: 'second',
        nowMs,
        bound,
        ...count,
      });
      if (state.phase === 'free' && state.context.seconds.length === 0) this.#states.delete(edge);
      else this.#states.set(edge, state);
      for (const effect of effects) if (effect.type === 'event') happened.push(effect);
    }
    return happened;
  }

  /** What is free is measured anew after a restart, so only limits are kept. */
  async #save({ epoch }: Term): Promise<void> {
    const { machines } = this.#deps;
    for (const [edge, { phase, context, v }] of this.#states) {
      if (phase === 'free') continue;
      const record: BrakeState = { v, phase, context: { ...context, seconds: [] } };
      const text = JSON.stringify(record);
      if (this.#saved.get(edge) === text) continue;
      await machines.save(PREFIX, edge, epoch, record);
      this.#saved.set(edge, text);
    }
    for (const edge of this.#saved.keys())
      if (this.#states.get(edge)?.phase !== 'braked') {
        await machines.remove(PREFIX, edge, epoch);
        this.#saved.delete(edge);
      }
  }

  async #decide(): Promise<void> {
    const { ring } = this.#deps;
    const over: string[] = [];
    for (const { id, body } of ring.standing.values())
      if (body.type === 'retry-budget' && this.#states.get(body.target)?.phase !== 'braked')
        over.push(id);
    for (const [target, { phase, context }] of this.#states) {
      if (phase !== 'braked') continue;
      const { percent, reason } = context;
      const body = { type: 'retry-budget', target, percent } as const;
      const known = ring.standing.get(decisionId(body))?.body;
      if (known?.type === 'retry-budget' && known.percent === percent) continue;
      await ring.decide(body, { by: BY, reason });
    }
    if (over.length > 0) await ring.withdraw(over, 'retries are within their bound again');
  }
}
