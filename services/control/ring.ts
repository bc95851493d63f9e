// The leader's half of the ring: policy and decisions in, signed messages out. One thing at a time, because a snapshot must
// contain every decision that was recorded before it.
import type { StandingSet } from '#engine/compile/standing.ts';
import type { DecisionBody, StandingDecision } from '#engine/model/decision.ts';
import { concerns } from '#engine/model/decision-reach.ts';
import type { Feature } from '#engine/model/features.ts';
import type { ResourceId } from '#engine/model/resource.ts';
import { edgeScope, type Scope } from '#engine/model/scope.ts';
import type { Snapshot } from '#engine/model/snapshot.ts';
import type { KeyAddress } from '#engine/ports/keys.ts';
import { type Candidate, stateWith } from './candidate.ts';
import { compilePolicy, type PolicyResult, type Surroundings } from './compiler.ts';
import type { Events } from './events.ts';
import type { Fleet } from './fleet.ts';
import type { KeyMemory } from './key-memory.ts';
import type { Leadership, Term } from './leadership.ts';
import type { Metrics } from './metrics.ts';
import type { PolicyLog } from './policy-log.ts';
import type { PolicyState } from './policy-state.ts';
import type { Published } from './published.ts';
import type { Publisher, Trial, TrialScope } from './publisher.ts';
import type { StandingBook } from './standing-book.ts';
import type { Time } from './time.ts';

export interface RingDeps {
  readonly policy: PolicyLog;
  readonly book: StandingBook;
  readonly fleet: Fleet;
  readonly published: Published;
  readonly publisher: Publisher;
  readonly leadership: Leadership;
  readonly events: Events;
  readonly metrics: Metrics;
  readonly time: Time;
  readonly files: (path: string) => string | undefined;
  /** Fetches issuers' keys; absent where nobody does. */
  readonly keys?: KeyMemory | undefined;
  readonly assumed?: ReadonlySet<Feature> | undefined;
}

export class Ring {
  readonly #deps: RingDeps;
  #queue: Promise<unknown> = Promise.resolve();
  #waiting: Promise<void> | undefined;
  #result: PolicyResult | undefined;
  #term: Term | undefined;
  /** Revision that every scope has been told about. */
  #saidRevision = 0;
  #isBehind = false;
  /** Decisions were made since the last snapshot; the next one says all of it in one message. */
  #owesSnapshot = false;
  #candidate: Candidate | undefined;
  /** The last compile of the candidate. */
  #tried: PolicyResult | undefined;

  constructor(deps: RingDeps) {
    this.#deps = deps;
  }

  /** The last compile; undefined before the first. */
  get result(): PolicyResult | undefined {
    return this.#result;
  }

  get standing(): StandingSet {
    return this.#deps.book.standing;
  }

  get saidRevision(): number {
    return this.#saidRevision;
  }

  /** A publish failed; the next `refresh` makes up for it. */
  get isBehind(): boolean {
    return this.#isBehind;
  }

  /** A `refresh` would have something to say, though nobody waits for it. */
  get isUntidy(): boolean {
    return this.#isBehind || this.#owesSnapshot;
  }

  get isLeading(): boolean {
    return this.#term?.isValid() === true;
  }

  /** Takes effect with the next `refresh`, for the agents of its cohorts only. */
  set candidate(candidate: Candidate | undefined) {
    this.#candidate = candidate;
    this.#tried = undefined;
  }

  /** Key sets to keep fresh. */
  get keyAddresses(): readonly KeyAddress[] {
    return [...(this.#result?.keyAddresses ?? []), ...(this.#tried?.keyAddresses ?? [])];
  }

  /** From now on this process publishes: everything once, then what changes. */
  async lead(term: Term): Promise<void> {
    const { book, publisher, published, policy } = this.#deps;
    await this.#alone(async () => {
      await book.begin(term);
      await publisher.begin(term);
      // What was signed and published is also a record, should the book have lost its memory.
      for (const { snapshot, decisions } of published.scopes) {
        policy.expect(snapshot?.revision ?? 0);
        for (const decision of snapshot?.snapshot.standing ?? []) await book.adopt(decision);
        for (const { decision } of decisions.values()) await book.adopt(decision);
      }
      this.#term = term;
      this.#isBehind = true;
    });
    await this.refresh();
  }

  follow(): void {
    this.#term = undefined;
  }

  /** Compiles and publishes what changed. Calls that come while one waits are served by that one. */
  refresh(): Promise<void> {
    this.#waiting ??= this.#alone(async () => {
      this.#waiting = undefined;
      await this.#compileAndPublish();
    });
    return this.#waiting;
  }

  /** What the set would become; changes nothing. */
  preview(state: PolicyState): PolicyResult {
    return this.#compile(state);
  }

  /** Scopes that would enforce something else than now. */
  differences(state: PolicyState): readonly Scope[] {
    const next = this.#withAbandoned(this.#compile(state).snapshots, state.sources);
    const before = this.#deps.published;
    return [...next]
      .filter(([scope, snapshot]) => {
        const { snapshot: last, text } = before.of(scope);
        return last !== undefined && text !== JSON.stringify(snapshot);
      })
      .map(([scope]) => scope);
  }

  /** Recorded, then published: a restart between the two says it again. */
  decide(
    body: DecisionBody,
    origin: { readonly by: string; readonly reason: string },
  ): Promise<StandingDecision> {
    return this.#alone(async () => {
      const { book, publisher, events, leadership } = this.#deps;
      leadership.require();
      const decision = await book.record(body, origin);
      const wasBehind = this.#isBehind;
      this.#isBehind = true;
      await publisher.decision(decision, this.#scopesWith(body), this.#trial());
      this.#isBehind = wasBehind;
      this.#owesSnapshot = true;
      events.tell({ type: 'decision.standing', subject: decision.id, data: { ...decision } });
      return decision;
    });
  }

  async withdraw(ids: readonly string[], reason: string): Promise<void> {
    await this.#alone(async () => {
      this.#deps.leadership.require();
      for (const id of ids) await this.#retire(id, reason);
    });
    await this.refresh();
  }

  async #retire(id: string, reason: string): Promise<void> {
    await this.#deps.book.withdraw(id, reason);
    this.#deps.events.tell({ type: 'decision.retired', subject: id, data: { reason } });
  }

  async #compileAndPublish(): Promise<void> {
    const { policy, publisher, events } = this.#deps;
    this.#isBehind = true;
    const result = this.#compile(policy.state);
    this.#result = result;
    if (policy.isLost) return;
    if (!this.isLeading) {
      this.#isBehind = false;
      return;
    }
    const { revision } = result;
    const all = this.#withAbandoned(result.snapshots, policy.state.sources);
    const changed = await publisher.snapshots(revision, all, this.#trial());
    this.#saidRevision = revision;
    for (const scope of changed)
      events.tell({ type: 'snapshot.published', subject: scope, data: { scope, revision } });
    for (const id of result.retired) await this.#retire(id, 'the policy itself says the same');
    this.#isBehind = false;
    this.#owesSnapshot = false;
  }

  /** What the candidate means as things are now. */
  #trial(): Trial | undefined {
    const candidate = this.#candidate;
    const next = candidate && stateWith(this.#deps.policy.state, candidate);
    if (!next) return undefined;
    this.#tried = this.#compile(next);
    const all = this.#withAbandoned(this.#tried.snapshots, next.sources);
    const scopes: [Scope, TrialScope][] = [];
    for (const [scope, only] of Object.entries(candidate.cohorts) as [Scope, string[]][]) {
      const snapshot = all.get(scope);
      if (snapshot) scopes.push([scope, { only, snapshot }]);
    }
    return { revision: next.revision, scopes: new Map(scopes) };
  }

  #compile(state: PolicyState): PolicyResult {
    const { metrics, time } = this.#deps;
    const startedMs = time.monotonic();
    const result = compilePolicy(state, this.#surroundings());
    metrics.add('weir_compiles_total');
    metrics.add('weir_compile_seconds_total', (time.monotonic() - startedMs) / 1000);
    return result;
  }

  #surroundings(): Surroundings {
    const { book, fleet, files, keys, assumed } = this.#deps;
    return {
      standing: book.standing,
      workloads: fleet.workloads().map(({ workload }) => workload),
      capabilities: (scope) => fleet.capabilities(scope) ?? assumed,
      files,
      ...(keys ? { keys: (address: KeyAddress) => keys.current(address) } : {}),
    };
  }

  /** A gateway that was deleted must stop serving. One that does not compile, or a sidecar that is away, keeps what it has. */
  #withAbandoned(
    snapshots: ReadonlyMap<Scope, Snapshot>,
    sources: ReadonlyMap<ResourceId, unknown>,
  ): ReadonlyMap<Scope, Snapshot> {
    const all = new Map(snapshots);
    const written = new Set<Scope>();
    for (const id of sources.keys()) {
      const [kind, , name] = id.split('/');
      if (kind === 'Gateway' && name) written.add(edgeScope(name));
    }
    for (const { scope, snapshot } of this.#deps.published.scopes)
      if (scope.startsWith('edge.') && snapshot && !all.has(scope) && !written.has(scope))
        all.set(scope, emptySnapshot);
    return all;
  }

  #scopesWith(body: DecisionBody): Scope[] {
    return [...(this.#result?.snapshots ?? [])]
      .filter(([scope, snapshot]) => concerns(body, scope, snapshot))
      .map(([scope]) => scope);
  }

  #alone<T>(work: () => Promise<T>): Promise<T> {
    const next = this.#queue.then(work);
    this.#queue = next.catch(() => undefined);
    return next;
  }
}

const emptySnapshot: Snapshot = {
  listeners: [],
  hosts: [],
  rules: [],
  splits: {},
  upstreams: {},
  authentications: {},
  authorizations: {},
  quotas: {},
  consumers: [],
  standing: [],
};
