// All rollouts of the policy set, for the term of one leader. Each stands alone: what goes wrong in one stops only that one.
import { type BaselineState, learnBaseline, readBaselineState } from '#engine/analysis/analysis.ts';
import { flaggerPhase } from '#engine/machines/rollout-gates.ts';
import { isActive } from '#engine/machines/rollout-state.ts';
import { decisionId } from '#engine/model/decision.ts';
import { EngineError, reasonOf } from '#engine/model/errors.ts';
import type { ResourceId } from '#engine/model/resource.ts';
import type { RolloutPlan } from '#engine/model/rollout-plan.ts';
import type { Sample } from '#engine/model/telemetry.ts';
import type { Web } from '#engine/ports/web.ts';
import type { PolicyResult } from './compiler.ts';
import type { Events } from './events.ts';
import type { Fleet } from './fleet.ts';
import type { Term } from './leadership.ts';
import type { MachineStore } from './machine-store.ts';
import type { Metrics } from './metrics.ts';
import { type Published, positionFor } from './published.ts';
import type { Ring } from './ring.ts';
import { groupNews } from './rollout-groups.ts';
import { callHook, keyOf, type Question, tellEventHooks } from './rollout-hooks.ts';
import { type Outgoing, type RolloutRecord, RolloutRun } from './rollout-run.ts';
import type { Time } from './time.ts';

const PREFIX = 'rollout';
const BASELINE_PREFIX = 'baseline';
export const UNREADABLE = 'its state on record cannot be read';
const BASELINE_EVERY_MS = 10_000;

export interface RolloutsDeps {
  readonly ring: Ring;
  readonly fleet: Fleet;
  readonly published: Published;
  readonly machines: MachineStore;
  readonly events: Events;
  readonly metrics: Metrics;
  readonly time: Time;
  /** Calls webhooks; absent where nobody does. */
  readonly web?: Web | undefined;
  readonly onError: (where: string, error: unknown) => void;
}

export class Rollouts {
  readonly #deps: RolloutsDeps;
  readonly #runs = new Map<string, RolloutRun>();
  readonly #baselines = new Map<string, BaselineState>();
  #stored = new Map<string, unknown>();
  #unreadable = new Map<string, string>();
  #term: Term | undefined;
  #baselinesSavedMs = 0;
  #isPlanned = false;

  constructor(deps: RolloutsDeps) {
    this.#deps = deps;
  }

  /** Every rollout on record has been taken up. */
  get isRunning(): boolean {
    return this.#term?.isValid() === true && this.#isPlanned;
  }

  get runs(): ReadonlyMap<string, RolloutRun> {
    return this.#runs;
  }

  /** Takes up every rollout where the last leader left it. */
  async begin(term: Term): Promise<void> {
    const { machines, onError } = this.#deps;
    this.#runs.clear();
    this.#unreadable.clear();
    this.#baselines.clear();
    const stored = await machines.takeUp(PREFIX, term.epoch, (id, error) => {
      onError(`rollout ${id}`, error);
      this.#unreadable.set(id, UNREADABLE);
    });
    this.#stored = new Map(stored);
    const baselines = await machines.takeUp(BASELINE_PREFIX, term.epoch, (token, error) =>
      onError(`baseline of ${token}`, error),
    );
    for (const [service, value] of baselines) {
      const baseline = readBaselineState(value);
      if (baseline) this.#baselines.set(service, baseline);
    }
    this.#term = term;
  }

  end(): void {
    this.#term = undefined;
    this.#isPlanned = false;
    this.#runs.clear();
  }

  /** The policy set says which rollouts there are. One that does not compile stands still; one that was deleted ends. */
  async plan(result: PolicyResult, written: ReadonlySet<ResourceId>): Promise<void> {
    if (!this.#term) return;
    for (const plan of result.rollouts) {
      const run = this.#runs.get(plan.id);
      if (run) run.plan = plan;
      else this.#start(plan);
    }
    for (const run of this.#runs.values())
      if (!written.has(`Rollout/${run.id}` as ResourceId))
        await this.#guarded(run, () => this.#drop(run));
    this.#isPlanned = true;
    await this.#notice(result);
  }

  observe(sample: Sample): void {
    const answers = withoutCopies(sample);
    for (const run of this.#runs.values()) {
      try {
        const { exposure } = run.record.machine.context;
        run.observe(exposure === 'mirror' ? sample : answers);
        this.#learn(run, answers);
      } catch (error) {
        this.#stop(run, error);
      }
    }
  }

  /** Once a second. */
  async tick(): Promise<void> {
    if (!this.#term) return;
    const nowMs = this.#deps.time.now();
    await Promise.all(
      [...this.#runs.values()].map((run) =>
        this.#guarded(run, async () => {
          await run.tick(nowMs);
          const { weight, acked } = run.record.machine.context;
          if (!acked && this.#isEnforced(run))
            await run.handle({ type: 'weightAcked', nowMs, weight });
        }),
      ),
    );
    await this.#tellGroups(nowMs);
    await this.#saveBaselines();
  }

  /** The members of a group are promoted together, and rolled back together. */
  async #tellGroups(nowMs: number): Promise<void> {
    const members = [...this.#runs.values()]
      .filter(({ broken }) => broken === undefined)
      .map(({ id, plan, record: { machine } }) => ({ id, group: plan.group, machine }));
    for (const { id, event } of groupNews(members, nowMs)) {
      const run = this.#runs.get(id);
      if (run) await this.#guarded(run, () => run.handle(event));
    }
  }

  run(id: string): RolloutRun {
    const run = this.#runs.get(id);
    if (run) return run;
    throw new EngineError('ERR_REQUEST_NOT_FOUND', `there is no rollout ${id}`, {
      source: 'caller',
    });
  }

  /** Versions of the service that something serves. */
  announced(service: string): ReadonlySet<string> {
    const versions = new Set<string>();
    for (const { upstreams } of this.#deps.ring.result?.snapshots.values() ?? [])
      for (const upstream of Object.values(upstreams))
        if (upstream.service === service && upstream.endpoints.length > 0)
          versions.add(upstream.version);
    return versions;
  }

  #start(plan: RolloutPlan): void {
    const stored = this.#stored.get(plan.id);
    const run = new RolloutRun(plan, stored, {
      save: (id, record) => this.#save(id, record),
      say: (_id, effect, key) => this.#say(run, effect, key),
      ask: (_id, question) => this.#ask(run, question),
      isServed: (_id, version) => this.announced(run.plan.service).has(version),
      learnt: (service) => this.#baselines.get(service),
      now: () => this.#deps.time.now(),
    });
    if (stored === undefined) {
      const unreadable = this.#unreadable.get(plan.id);
      if (unreadable !== undefined) run.break(unreadable);
      else if (this.#hasDecided(plan))
        run.break('it has decided about traffic, but its state on record is gone');
    }
    this.#runs.set(plan.id, run);
    if (run.broken !== undefined) this.#tellBroken(run, run.broken);
  }

  async #save(id: string, record: RolloutRecord): Promise<void> {
    const term = this.#term;
    if (!term?.isValid())
      throw new EngineError('ERR_NOT_LEADER', 'no longer the leader', { retryable: true });
    await this.#deps.machines.save(PREFIX, id, term.epoch, record);
  }

  #ask(run: RolloutRun, question: Question): void {
    const { machine } = run.record;
    const { hook, phase, for: about } = question;
    const call = { phase, metadata: {}, key: keyOf(machine, question) };
    void callHook(this.#deps.web, hook, machine, call).then(({ ok, detail }) => {
      if (!this.#term?.isValid() || this.#runs.get(run.id) !== run) return undefined;
      const nowMs = this.#deps.time.now();
      return this.#guarded(run, () =>
        run.handle({ type: 'answered', nowMs, hook: hook.name, for: about, ok, detail }),
      );
    });
  }

  async #say(run: RolloutRun, effect: Outgoing, key: string): Promise<void> {
    const { ring, events, web, time } = this.#deps;
    if (effect.type === 'event') {
      const { event, data } = effect;
      await events.tellOnce({ type: event, subject: run.id, data, id: key });
      const { machine } = run.record;
      const phase = flaggerPhase(machine.phase, machine.context);
      void tellEventHooks(web, run.plan, machine, { ...effect, key, phase, atMs: time.now() });
      return;
    }
    const standing = ring.standing.get(decisionId(effect.body))?.body;
    if (JSON.stringify(standing) === JSON.stringify(effect.body)) return;
    await ring.decide(effect.body, { by: `rollout:${run.id}`, reason: effect.reason });
  }

  /** A version that was not there before starts its rollout by itself. */
  async #notice(result: PolicyResult): Promise<void> {
    for (const { id, service, start, versions } of result.rollouts) {
      const run = this.#runs.get(id);
      if (start !== 'automatic' || !run || run.broken !== undefined) continue;
      const announced = this.announced(service);
      const { seen } = run.record;
      const fresh = versions.findLast((name) => announced.has(name) && !seen.includes(name));
      if (fresh === undefined) continue;
      const nowMs = this.#deps.time.now();
      await this.#guarded(run, () => run.handle({ type: 'newRevision', canary: fresh, nowMs }));
    }
  }

  /** Every live agent that knows the split has what was decided last. */
  #isEnforced({ plan }: RolloutRun): boolean {
    const { ring, published, fleet } = this.#deps;
    if (ring.isBehind) return false;
    const id = splitId(plan);
    for (const [scope, snapshot] of ring.result?.snapshots ?? []) {
      if (!(plan.service in snapshot.splits)) continue;
      const said = published.of(scope);
      const position = said.decisions.get(id)?.position ?? said.snapshot?.position ?? 0;
      const isOwed = (agent: string) => positionFor(said, agent, position);
      if (fleet.live(scope).some(({ beat, position: at }) => at < isOwed(beat.agent))) return false;
    }
    return true;
  }

  /** As long as its decision stands its state stays on record: it goes on from there if its Rollout comes back. */
  async #drop(run: RolloutRun): Promise<void> {
    const { time, machines } = this.#deps;
    if (isActive(run.record.machine) && run.broken === undefined) {
      const why = 'the Rollout was deleted';
      await run.handle({ type: 'abort', nowMs: time.now(), by: 'policy', why });
    }
    this.#runs.delete(run.id);
    if (run.broken === undefined && this.#hasDecided(run.plan)) {
      this.#stored.set(run.id, run.record);
      return;
    }
    this.#stored.delete(run.id);
    if (this.#term) await machines.remove(PREFIX, run.id, this.#term.epoch);
  }

  /** What it said last is in force, so the traffic is where it put it. */
  #hasDecided(plan: RolloutPlan): boolean {
    return this.#deps.ring.standing.get(splitId(plan))?.by === `rollout:${plan.id}`;
  }

  #learn(run: RolloutRun, sample: Sample): void {
    const { service } = run.plan;
    const { machine } = run.record;
    if (isActive(machine)) return;
    const version = this.#serving(run);
    const learnt = learnBaseline(this.#baselines.get(service), sample, { service, version });
    this.#baselines.set(service, learnt);
  }

  /** After a promotion it is the promoted version that the next one will be compared with. */
  #serving({ record, plan }: RolloutRun): string {
    const { phase, context } = record.machine;
    if (phase === 'succeeded' && context.canary !== undefined) return context.canary;
    return context.baseline || plan.baseline;
  }

  async #saveBaselines(): Promise<void> {
    const { time, machines, onError } = this.#deps;
    const nowMs = time.monotonic();
    const epoch = this.#term?.epoch;
    if (epoch === undefined || nowMs - this.#baselinesSavedMs < BASELINE_EVERY_MS) return;
    this.#baselinesSavedMs = nowMs;
    try {
      for (const [service, baseline] of this.#baselines)
        await machines.save(BASELINE_PREFIX, service, epoch, baseline);
    } catch (error) {
      onError('save baselines', error);
    }
  }

  async #guarded(run: RolloutRun, work: () => Promise<void>): Promise<void> {
    if (run.broken !== undefined) return;
    try {
      await work();
    } catch (error) {
      // The bus away, or no longer leading: the state is as it was, the next second tries again.
      if (error instanceof EngineError && error.code !== 'ERR_INTERNAL')
        this.#deps.onError(`rollout ${run.id}`, error);
      else this.#stop(run, error);
    }
  }

  #stop(run: RolloutRun, error: unknown): void {
    this.#deps.onError(`rollout ${run.id}`, error);
    const reason = `stopped by an unexpected error: ${reasonOf(error)}`;
    run.break(reason);
    this.#tellBroken(run, reason);
  }

  #tellBroken(run: RolloutRun, reason: string): void {
    const { service } = run.plan;
    this.#deps.metrics.add('weir_errors_total', 1, { where: 'rollout' });
    this.#deps.events.tell({
      type: 'rollout.failed',
      subject: run.id,
      data: { rollout: run.id, service, reason },
    });
  }
}

/** Nobody sees the answers to copies: only a trial that asked for them judges by them. */
const withoutCopies = (sample: Sample): Sample =>
  sample.series.some(({ source }) => source === 'mirror')
    ? { ...sample, series: sample.series.filter(({ source }) => source !== 'mirror') }
    : sample;

export const splitId = ({ service }: RolloutPlan): string =>
  decisionId({ type: 'split', target: service });
