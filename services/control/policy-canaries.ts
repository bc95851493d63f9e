// The policy canary, one at a time, for the term of one leader: a revision that some agents try. What it is and how far it
// came is on record before anything is said, so whoever leads next goes on or takes it back.
import { judgeCohort, observeCohort, startCohort } from '#engine/analysis/cohort.ts';
import { type Lately, noteUsual, type UsualRatios, usualRatios } from '#engine/analysis/usual.ts';
import {
  advancePolicyCanary,
  isUnderWay,
  type PolicyCanaryAdvanced,
  type PolicyCanaryEvent,
  startPolicyCanary,
} from '#engine/machines/policy-canary.ts';
import type { Commit, Source } from '#engine/model/commit.ts';
import { EngineError, reasonOf } from '#engine/model/errors.ts';
import type {
  CanaryOptions,
  PolicyCanaryPhase,
  PolicyCanaryStatus,
} from '#engine/model/policy-canary.ts';
import type { ResourceId } from '#engine/model/resource.ts';
import type { Scope } from '#engine/model/scope.ts';
import type { Ack, Sample } from '#engine/model/telemetry.ts';
import { cohortsOf, refuse } from './canary-cohorts.ts';
import { type Candidate, readCandidate, stateWith } from './candidate.ts';
import { type CommitDeps, commitChanges } from './commit-changes.ts';
import type { Fleet } from './fleet.ts';
import type { Term } from './leadership.ts';
import type { MachineStore } from './machine-store.ts';
import {
  analysisPlan,
  type CanaryRecord,
  type Known,
  readRecord,
  savedRecord,
  statusOf,
} from './policy-canary-record.ts';
import { type Published, trialOf } from './published.ts';
import type { Ring } from './ring.ts';

const PREFIX = 'policy-canary';
/** So long after it took up the lead a process may not have heard of an agent yet. */
const GRACE_MS = 10_000;
const RECENT_COMMITS = 20;
/** So many agents that the fleet has forgotten may be remembered here. */
const FORGOTTEN = 100;

export interface PolicyCanariesDeps extends CommitDeps {
  readonly ring: Ring;
  readonly fleet: Fleet;
  readonly published: Published;
  readonly machines: MachineStore;
  /** Keys that the policy names, before anybody is judged by it. */
  readonly prefetch: (sources: ReadonlyMap<ResourceId, Source>) => Promise<void>;
  readonly onError: (where: string, error: unknown) => void;
}

export class PolicyCanaries {
  readonly #deps: PolicyCanariesDeps;
  #known: Known | undefined;
  /** By agent. */
  readonly #usual = new Map<string, Lately>();
  #term: Term | undefined;
  #begunMs = 0;
  #queue: Promise<unknown> = Promise.resolve();

  constructor(deps: PolicyCanariesDeps) {
    this.#deps = deps;
  }

  /** Takes up what the last leader left, before anything is published. */
  async begin(term: Term): Promise<void> {
    const { ring, time, events, onError } = this.#deps;
    await this.#alone(async () => {
      this.#known = await this.#load((error) => {
        onError(PREFIX, error);
        const reason = reasonOf(error);
        events.tell({
          type: 'state.unreadable',
          subject: PREFIX,
          data: { machine: PREFIX, reason },
        });
      });
      this.#term = term;
      this.#begunMs = time.monotonic();
      // Under our own epoch, so that nothing a deposed leader writes late is ever taken for the newest.
      await this.#save('candidate', this.#known?.candidate ?? null);
      await this.#save('state', this.#known?.record ?? null);
      ring.candidate = this.#isUnderWay ? this.#known?.candidate : undefined;
    });
  }

  end(): void {
    this.#term = undefined;
    this.#known = undefined;
    this.#deps.ring.candidate = undefined;
  }

  /** Of the last one, under way or over; undefined where another replica leads. */
  get phase(): PolicyCanaryPhase | undefined {
    return this.#known?.record.machine.phase;
  }

  /** The last one, under way or over. A follower reads what the leader has recorded. */
  async status(): Promise<PolicyCanaryStatus | undefined> {
    const known = this.#term ? this.#known : await this.#load(() => {});
    return known && statusOf(known);
  }

  /** Throws ERR_CANARY_STATE while one is under way: what is committed beside it would end it. */
  async requireNone(): Promise<void> {
    const status = await this.status();
    if (!status || !['spreading', 'watching', 'promoting'].includes(status.state)) return;
    const { revision, author, state } = status;
    throw refuse(
      `a policy canary is under way: r${revision} by ${author} is ${state}; promote or abort it first`,
    );
  }

  start(
    wanted: Omit<Candidate, 'id' | 'cohorts'>,
    options: CanaryOptions,
  ): Promise<PolicyCanaryStatus> {
    const { time, policy, ring } = this.#deps;
    return this.#alone(async () => {
      await this.requireNone();
      const nowMs = time.now();
      const id = `r${wanted.base + 1}-${nowMs.toString(36)}`;
      const next = stateWith(policy.state, wanted);
      if (!next) throw refuse('the policy set has changed meanwhile; try again');
      await this.#deps.prefetch(next.sources);
      if (ring.isUntidy) await ring.refresh();
      const { cohorts, sizes } = cohortsOf(this.#deps.fleet, ring.differences(next), {
        id,
        ...options,
      });
      const candidate: Candidate = { ...wanted, id, cohorts };
      const begun = startPolicyCanary({
        id,
        revision: next.revision,
        author: wanted.author,
        cohorts,
        sizes,
        startedMs: nowMs,
        deadlineMs: nowMs + options.maxDurationMs,
      });
      await this.#save('candidate', candidate);
      await this.#adopt(candidate, begun, undefined);
      return statusOf({ candidate, record: this.#require().record });
    });
  }

  /** Throws ERR_CANARY_STATE if it is not possible now. */
  command(
    type: 'promote' | 'abort',
    { by, why }: { readonly by: string; readonly why: string },
  ): Promise<PolicyCanaryStatus> {
    return this.#alone(async () => {
      this.#require();
      await this.#advance({ type, by, why, nowMs: this.#deps.time.now() });
      return statusOf(this.#require());
    });
  }

  observe(sample: Sample): void {
    const known = this.#known;
    const { agent, scope } = sample;
    const { published, fleet, time } = this.#deps;
    if (this.#usual.size > fleet.agents.size + FORGOTTEN)
      for (const name of this.#usual.keys()) if (!fleet.agents.has(name)) this.#usual.delete(name);
    if (!trialOf(published.of(scope))?.only.includes(agent))
      this.#usual.set(agent, noteUsual(this.#usual.get(agent), sample, time.now()));
    if (known?.record.machine.phase !== 'watching' || !known.record.analysis) return;
    const analysis = observeCohort(known.record.analysis, sample);
    this.#known = { ...known, record: { ...known.record, analysis } };
  }

  /** An agent of the cohort that cannot enforce it ends it. */
  async acked({ agent, scope, outcome, position, reason = '' }: Ack): Promise<void> {
    const { published, time } = this.#deps;
    const trial = trialOf(published.of(scope));
    if (!this.#term || !this.#isUnderWay || outcome !== 'rejected') return;
    if (trial?.position !== position || !trial.only.includes(agent)) return;
    const why = `cannot enforce it: ${reason}`;
    await this.#alone(() => this.#advance({ type: 'rejected', agent, why, nowMs: time.now() }));
  }

  async committed(commit: Commit): Promise<void> {
    if (this.#term && this.#isUnderWay) await this.#alone(() => this.#follow(commit));
  }

  /** Once a second. */
  async tick(): Promise<void> {
    const { ring, policy, time } = this.#deps;
    if (!this.#term?.isValid() || !ring.isLeading) return;
    await this.#alone(async () => {
      await this.#saySoon();
      if (!this.#known || !this.#isUnderWay) return;
      if (policy.state.revision !== this.#known.candidate.base) {
        const commits = await policy.history(RECENT_COMMITS);
        const own = commits.find(({ canary }) => canary === this.#known?.candidate.id);
        const made = own ?? commits[0];
        if (made) return this.#follow(made);
      }
      const nowMs = time.now();
      const gone = this.#gone();
      if (gone !== undefined)
        await this.#advance({ type: 'lost', agent: gone, why: 'has left', nowMs });
      if (this.#isEnforced()) await this.#advance({ type: 'enforced', nowMs });
      await this.#judge(nowMs);
      await this.#advance({ type: 'tick', nowMs });
    });
  }

  get #isUnderWay(): boolean {
    return this.#known !== undefined && isUnderWay(this.#known.record.machine);
  }

  #require(): Known {
    if (this.#known) return this.#known;
    throw new EngineError('ERR_REQUEST_NOT_FOUND', 'there is no policy canary', {
      source: 'caller',
    });
  }

  async #follow({ canary, revision, author }: Commit): Promise<void> {
    const nowMs = this.#deps.time.now();
    const isOurs = canary === this.#known?.candidate.id;
    await this.#advance(
      isOurs ? { type: 'committed', nowMs } : { type: 'superseded', revision, author, nowMs },
    );
  }

  /** Nobody has heard of it for long enough. */
  #gone(): string | undefined {
    const { fleet, time } = this.#deps;
    const isFresh = time.monotonic() - this.#begunMs < GRACE_MS;
    const agents = Object.values(this.#known?.candidate.cohorts ?? {}).flat();
    return agents.find((agent) => {
      const known = fleet.agents.get(agent);
      return known ? known.lost : !isFresh;
    });
  }

  #isEnforced(): boolean {
    const { ring, published, fleet } = this.#deps;
    const known = this.#known;
    if (ring.isBehind || known?.record.machine.phase !== 'spreading') return false;
    return Object.entries(known.candidate.cohorts).every(([scope, agents]) => {
      const trial = trialOf(published.of(scope as Scope));
      return agents.every((agent) => {
        const position = fleet.agents.get(agent)?.position ?? 0;
        return trial !== undefined && position >= trial.position;
      });
    });
  }

  /** Agents that have come since are part of the rest, too, but nothing is known of them. */
  #usualOf({ cohorts }: Candidate): Record<string, UsualRatios> {
    const { fleet } = this.#deps;
    return Object.fromEntries(
      Object.entries(cohorts).map(([scope, cohort]) => {
        const agents = fleet.live(scope as Scope).map(({ beat }) => beat.agent);
        const rest = agents.filter((agent) => !cohort.includes(agent));
        return [scope, usualRatios(this.#usual, cohort, rest)];
      }),
    );
  }

  async #judge(nowMs: number): Promise<void> {
    const { record, candidate } = this.#require();
    const { analysis } = record;
    if (record.machine.phase !== 'watching' || !analysis) return;
    const [judged, verdict] = judgeCohort(analysis, nowMs);
    this.#known = { candidate, record: { ...record, analysis: judged } };
    await this.#advance({ type: 'verdict', verdict, nowMs });
    await this.#saveRecord(this.#require().record);
  }

  async #advance(event: PolicyCanaryEvent): Promise<void> {
    const { record, candidate } = this.#require();
    const advanced = advancePolicyCanary(record.machine, event);
    if (advanced.refused !== undefined) throw refuse(advanced.refused);
    const isQuiet = advanced.effects.length === 0;
    if (isQuiet) {
      this.#known = { candidate, record: { ...record, machine: advanced.state } };
      return;
    }
    await this.#adopt(candidate, advanced, record);
  }

  /** On record, then in force, then told. */
  async #adopt(
    candidate: Candidate,
    { state, effects }: PolicyCanaryAdvanced,
    before: CanaryRecord | undefined,
  ): Promise<void> {
    const { ring, onError } = this.#deps;
    const pending = effects.filter((effect) => effect.type === 'event');
    const isWatch = effects.some(({ type }) => type === 'watch');
    const record: CanaryRecord = {
      v: 1,
      machine: state,
      analysis: isWatch
        ? startCohort(analysisPlan(state, this.#usualOf(candidate)), state.context.enteredMs)
        : before?.analysis,
      turn: (before?.turn ?? 0) + 1,
      pending: [...(before?.pending ?? []), ...pending],
    };
    await this.#saveRecord(record);
    this.#known = { candidate, record };
    const wanted = isUnderWay(state) ? candidate : undefined;
    if (!before || !wanted) {
      ring.candidate = wanted;
      // What could not be published is made up for within a second.
      await ring.refresh().catch((error: unknown) => onError(PREFIX, error));
    }
    await this.#saySoon();
    if (effects.some(({ type }) => type === 'commit')) await this.#commit(candidate);
  }

  /** A conflict is dealt with by the next tick, which finds the other's commit. */
  async #commit(candidate: Candidate): Promise<void> {
    const { policy, onError } = this.#deps;
    const base = policy.state;
    if (base.revision !== candidate.base) return;
    const { author, message, changes, quarantined, id: canary } = candidate;
    const wanted = { author, message, changes, quarantined, base, canary };
    try {
      await commitChanges(this.#deps, wanted, []);
    } catch (error) {
      const code = error instanceof EngineError ? error.code : undefined;
      if (code === 'ERR_LOG_CONFLICT') return policy.catchUp();
      onError(PREFIX, error);
      if (!(error instanceof EngineError) || code !== 'ERR_MESSAGE_TOO_LARGE') return;
      const why = `it cannot be committed: ${error.message}`;
      await this.#advance({ type: 'unfit', why, nowMs: this.#deps.time.now() });
    }
  }

  async #saySoon(): Promise<void> {
    for (;;) {
      const [next, ...pending] = this.#known?.record.pending ?? [];
      if (!next || !this.#known) return;
      const { record, candidate } = this.#known;
      const id = `${candidate.id}:${record.turn}:${pending.length}`;
      const subject = `r${candidate.base + 1}`;
      await this.#deps.events.tellOnce({ type: next.event, subject, data: next.data, id });
      this.#known = { candidate, record: { ...this.#known.record, pending } };
    }
  }

  async #save(name: 'state' | 'candidate', value: unknown): Promise<void> {
    if (!this.#term?.isValid())
      throw new EngineError('ERR_NOT_LEADER', 'no longer the leader', { retryable: true });
    await this.#deps.machines.save(PREFIX, name, this.#term.epoch, value);
  }

  async #saveRecord(record: CanaryRecord): Promise<void> {
    await this.#save('state', savedRecord(record));
  }

  async #load(onUnreadable: (error: unknown) => void): Promise<Known | undefined> {
    const stored = await this.#deps.machines.load(PREFIX, (_name, error) => onUnreadable(error));
    const value = stored.get('state');
    if (value === undefined || value === null) return undefined;
    const record = readRecord(value);
    const candidate = readCandidate(stored.get('candidate'));
    if (record && candidate && candidate.id === record.machine.context.id)
      return { record, candidate };
    // Killed between the two writes of a new one: the last one is over.
    if (record && !isUnderWay(record.machine)) return undefined;
    onUnreadable('the canary on record is not understood; every agent gets the last commit again');
    return undefined;
  }

  #alone<T>(work: () => Promise<T>): Promise<T> {
    const next = this.#queue.then(work);
    this.#queue = next.catch(() => undefined);
    return next;
  }
}
