// One rollout at work: events in one after the other, state on record before anything is said. Killed at any moment, it
// goes on where it was: what it had recorded but perhaps not said is said again, and all of that is absolute.

import type { BaselineState } from '#engine/analysis/analysis.ts';
import {
  type AnalysisState,
  addReading,
  judge,
  observe,
  readAnalysisState,
  startAnalysis,
} from '#engine/analysis/analysis.ts';
import {
  judgeWatch,
  observeWatch,
  readWatchState,
  startWatch,
  type WatchState,
} from '#engine/analysis/watch.ts';
import {
  advanceRollout,
  idleRollout,
  type RolloutEffect,
  type RolloutEvent,
  type RolloutState,
} from '#engine/machines/rollout.ts';
import {
  isActive,
  judgedSteps,
  judgeFacts,
  readRolloutState,
} from '#engine/machines/rollout-state.ts';
import { timeOf } from '#engine/machines/rollout-types.ts';
import { EngineError } from '#engine/model/errors.ts';
import type { MetricReading } from '#engine/model/metric-plan.ts';
import type { RolloutPlan } from '#engine/model/rollout-plan.ts';
import type { Sample } from '#engine/model/telemetry.ts';
import type { Question } from './rollout-hooks.ts';

type Split = Extract<RolloutEffect, { type: 'split' }>;
type Announcement = Extract<RolloutEffect, { type: 'event' }>;
/** What has to be said to the outside; the analysis is part of the record. */
export type Outgoing = Split | Announcement;

/** Persisted as JSON. */
export interface RolloutRecord {
  readonly v: 1;
  readonly machine: RolloutState;
  readonly analysis: AnalysisState | undefined;
  /** Of a promoted version, until its watch is over. */
  readonly watch?: WatchState | undefined;
  /** Versions that were tried or had served; only others start a rollout by themselves. */
  readonly seen: readonly string[];
  /** Grows with every transition that said something; names its events. */
  readonly turn: number;
  /** Recorded, perhaps not yet said. */
  readonly pending: readonly Outgoing[];
}

export interface RolloutRunDeps {
  readonly save: (id: string, record: RolloutRecord) => Promise<void>;
  /** Carried out at least once, in order. `key` is the same every time. */
  readonly say: (id: string, effect: Outgoing, key: string) => Promise<void>;
  /** Not waited for; the answer comes as an event. */
  readonly ask: (id: string, question: Question) => void;
  readonly learnt: (service: string) => BaselineState | undefined;
  /** Whether anybody serves this version of the rollout's service. */
  readonly isServed: (id: string, version: string) => boolean;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** One that was deleted and comes back names its events otherwise than before. */
const freshRecord = (plan: RolloutPlan, nowMs: number): RolloutRecord => ({
  v: 1,
  machine: idleRollout(plan),
  analysis: undefined,
  seen: [plan.baseline],
  turn: nowMs,
  pending: [],
});

export class RolloutRun {
  readonly id: string;
  readonly #deps: RolloutRunDeps;
  #plan: RolloutPlan;
  #record: RolloutRecord;
  #broken: string | undefined;
  #queue: Promise<unknown> = Promise.resolve();

  /** `stored` is what `save` was given once; undefined begins anew. */
  constructor(plan: RolloutPlan, stored: unknown, deps: RolloutRunDeps) {
    this.id = plan.id;
    this.#plan = plan;
    this.#deps = deps;
    this.#record = freshRecord(plan, deps.now());
    if (stored !== undefined) this.#restore(stored);
  }

  get plan(): RolloutPlan {
    return this.#plan;
  }

  /** A changed plan counts from the next event on. */
  set plan(plan: RolloutPlan) {
    this.#plan = plan;
  }

  get record(): RolloutRecord {
    return this.#record;
  }

  /** Why it stands still; only an operator's `start`, `retry` or `abort` makes it begin anew. */
  get broken(): string | undefined {
    return this.#broken;
  }

  break(reason: string): void {
    this.#broken = reason;
  }

  /** After what broke it: idle, with the traffic where it is. None of the versions in `seen` starts by itself. */
  reset(seen: readonly string[]): Promise<void> {
    return this.#alone(async () => {
      const fresh = freshRecord(this.#plan, this.#deps.now());
      const record = {
        ...fresh,
        seen: [...new Set([...fresh.seen, ...seen])],
        // Event names are not used twice, whatever the lost record had.
        turn: Math.max(this.#record.turn, fresh.turn) + 1,
      };
      await this.#deps.save(this.id, record);
      this.#record = record;
      this.#broken = undefined;
    });
  }

  observe(sample: Sample): void {
    const { analysis, machine, watch } = this.#record;
    if (this.#broken !== undefined) return;
    if (watch) this.#record = { ...this.#record, watch: observeWatch(watch, sample) };
    if (!analysis || !isActive(machine)) return;
    this.#record = { ...this.#record, analysis: observe(analysis, sample) };
  }

  /** What came of asking for a metric. */
  measure(reading: MetricReading): void {
    const { analysis } = this.#record;
    if (this.#broken !== undefined || !analysis) return;
    this.#record = { ...this.#record, analysis: addReading(analysis, reading) };
  }

  /** Says what is left to say, then judges. Throws what went wrong, with the state as it was before. */
  tick(nowMs: number): Promise<void> {
    return this.#alone(async () => {
      await this.#saySoon();
      const { analysis, machine } = this.#record;
      await this.#advance({ type: 'tick', nowMs });
      await this.#watch(nowMs);
      if (!analysis || !isActive(machine)) return;
      const [judged, verdict] = judge(analysis, judgeFacts(machine, nowMs));
      if (this.#record.analysis === analysis) this.#record = { ...this.#record, analysis: judged };
      await this.#advance({ type: 'verdict', verdict });
      await this.#deps.save(this.id, this.#record);
    });
  }

  /** Throws ERR_ROLLOUT_STATE for a command that is not possible now. */
  handle(event: RolloutEvent): Promise<void> {
    return this.#alone(async () => {
      await this.#saySoon();
      await this.#advance(event);
    });
  }

  /** The promoted version is held against what was recorded, for as long as nothing and nobody has decided otherwise. */
  async #watch(nowMs: number): Promise<void> {
    const { watch, machine } = this.#record;
    if (!watch) return;
    const { phase, context } = machine;
    const isOver = phase !== 'succeeded' || nowMs >= context.watchUntilMs;
    const [judged, why] = isOver ? [undefined] : judgeWatch(watch, nowMs);
    if (why === undefined) {
      this.#record = { ...this.#record, watch: judged };
      await this.#deps.save(this.id, this.#record);
      return;
    }
    // Traffic for a version that nobody serves would be worse than any regression: then a person has to know.
    const isBackServed = this.#deps.isServed(this.id, context.baseline);
    this.#record = { ...this.#record, watch: undefined };
    if (isBackServed) await this.#advance({ type: 'regressed', why, nowMs });
    else await this.#tellRegressed(why);
  }

  async #tellRegressed(why: string): Promise<void> {
    const { machine } = this.#record;
    const { baseline, canary } = machine.context;
    const reason = `worse after the promotion, and ${baseline} is not running any more: ${why}`;
    const data = { rollout: this.id, service: this.#plan.service, baseline, canary, reason };
    const next: RolloutRecord = {
      ...this.#record,
      machine: { ...machine, context: { ...machine.context, reason } },
      turn: this.#record.turn + 1,
      pending: [{ type: 'event', event: 'rollout.regressed', data }],
    };
    await this.#deps.save(this.id, next);
    this.#record = next;
    await this.#saySoon();
    await this.#deps.save(this.id, this.#record);
  }

  async #advance(event: RolloutEvent): Promise<void> {
    const before = this.#record;
    const { state, effects, refused } = advanceRollout(before.machine, this.#plan, event);
    if (refused !== undefined)
      throw new EngineError('ERR_ROLLOUT_STATE', `${this.id}: ${refused}`, { source: 'caller' });
    const outgoing = effects.filter((effect) => effect.type === 'split' || effect.type === 'event');
    const questions = effects.filter((effect) => effect.type === 'ask');
    const isQuiet = effects.length === 0 && state.phase === before.machine.phase;
    const next: RolloutRecord = {
      ...before,
      machine: state,
      analysis: this.#analysisAfter(effects, event) ?? before.analysis,
      watch: this.#watchAfter(state, event),
      seen: seenAfter(before, state),
      turn: before.turn + (outgoing.length > 0 ? 1 : 0),
      pending: outgoing,
    };
    if (isQuiet && before.pending.length === 0) {
      this.#record = { ...next, analysis: this.#record.analysis };
      return;
    }
    await this.#deps.save(this.id, next);
    // Samples that came while it was being saved are of the analysis before.
    const analysis = next.analysis === before.analysis ? this.#record.analysis : next.analysis;
    this.#record = { ...next, analysis };
    for (const question of questions) this.#deps.ask(this.id, question);
    if (outgoing.length === 0) return;
    await this.#saySoon();
    await this.#deps.save(this.id, this.#record);
  }

  #watchAfter({ phase, context }: RolloutState, event: RolloutEvent): WatchState | undefined {
    const { machine, watch, analysis } = this.#record;
    const nowMs = timeOf(event);
    if (phase === machine.phase) return watch;
    const isDue = phase === 'succeeded' && nowMs < context.watchUntilMs;
    return isDue && analysis ? startWatch(analysis, nowMs) : undefined;
  }

  #analysisAfter(
    effects: readonly RolloutEffect[],
    event: RolloutEvent,
  ): AnalysisState | undefined {
    const start = effects.findLast((effect) => effect.type === 'startAnalysis');
    if (!start) return undefined;
    const { baseline, canary } = start;
    const nowMs = timeOf(event);
    const learnt = this.#deps.learnt(this.#plan.service);
    const plan = { ...this.#plan, steps: judgedSteps(this.#plan) };
    return startAnalysis(plan, { baseline, canary }, nowMs, learnt);
  }

  async #saySoon(): Promise<void> {
    const { pending, turn } = this.#record;
    for (const [index, effect] of pending.entries()) {
      await this.#deps.say(this.id, effect, `${this.id}:${turn}:${index}`);
      this.#record = { ...this.#record, pending: pending.slice(index + 1) };
    }
  }

  #restore(stored: unknown): void {
    const record = stored as Partial<RolloutRecord>;
    if (record.v !== 1 || !Array.isArray(record.seen) || !Array.isArray(record.pending)) {
      this.#broken = 'its state on record is not understood';
      return;
    }
    const machine = readRolloutState(record.machine);
    if ('error' in machine) {
      this.#broken = machine.error;
      return;
    }
    const analysis = readAnalysisState(record.analysis);
    if (!analysis && isActive(machine.state)) {
      this.#broken = 'the evidence on record is not understood';
      return;
    }
    const watch = readWatchState(record.watch);
    this.#record = { ...(record as RolloutRecord), machine: machine.state, analysis, watch };
  }

  #alone<T>(work: () => Promise<T>): Promise<T> {
    const next = this.#queue.then(work);
    this.#queue = next.catch(() => undefined);
    return next;
  }
}

const seenAfter = ({ seen }: RolloutRecord, { context }: RolloutState): readonly string[] => {
  const all = new Set(seen).add(context.baseline);
  if (context.canary !== undefined) all.add(context.canary);
  return all.size === seen.length ? seen : [...all];
};
