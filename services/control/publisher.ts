// Signs and publishes, for the term of one leader. One message at a time, so positions go out in their order.
import type { ControlMessage } from '#engine/model/control-message.ts';
import { encodeMessage } from '#engine/model/control-message.ts';
import type { StandingDecision } from '#engine/model/decision.ts';
import { epochOf, makePosition } from '#engine/model/position.ts';
import type { Scope } from '#engine/model/scope.ts';
import type { Snapshot } from '#engine/model/snapshot.ts';
import type { Subjects } from '#engine/model/subjects.ts';
import type { Log, LogEntry } from '#engine/ports/log.ts';
import type { Signer } from '#engine/ports/signer.ts';
import type { Leadership, Term } from './leadership.ts';
import { readStored } from './policy-log.ts';
import { type Published, type PublishedScope, trialOf } from './published.ts';
import type { Time } from './time.ts';

export interface PublisherDeps {
  readonly mesh: string;
  readonly subjects: Subjects;
  readonly log: Log;
  readonly signer: Signer;
  readonly published: Published;
  readonly leadership: Leadership;
  readonly time: Time;
  readonly onPublished: (message: ControlMessage, bytes: number) => void;
}

/** What a policy canary is to say. */
export interface Trial {
  readonly revision: number;
  readonly scopes: ReadonlyMap<Scope, TrialScope>;
}

export interface TrialScope {
  readonly only: readonly string[];
  readonly snapshot: Snapshot;
}

export class Publisher {
  readonly #deps: PublisherDeps;
  /** What is to stand in the stream, by subject: put there again if a deposed leader's late message takes its place. */
  readonly #sealed = new Map<string, Uint8Array>();
  #queue: Promise<unknown> = Promise.resolve();
  #term: Term | undefined;

  constructor(deps: PublisherDeps) {
    this.#deps = deps;
  }

  /** Reads what was said before, so that positions go on above it. */
  async begin(term: Term): Promise<void> {
    const { log, subjects } = this.#deps;
    await this.#alone(async () => {
      this.#term = term;
      this.#sealed.clear();
      for await (const entry of readStored(log, subjects.everyControl, 'last'))
        await this.#learn(entry);
    });
  }

  /**
   * Publishes to each scope whose snapshot differs from the last one. Answers with those scopes. What goes wrong for one
   * scope does not hold up the others; it is thrown in the end.
   */
  snapshots(
    revision: number,
    snapshots: ReadonlyMap<Scope, Snapshot>,
    trial?: Trial,
  ): Promise<readonly Scope[]> {
    return this.#alone(async () => {
      const stale = [...snapshots].filter(
        ([scope, snapshot]) => !this.#stands(scope, snapshot, trial),
      );
      await this.#each(stale, ([scope, snapshot]) =>
        this.#snapshot(scope, revision, snapshot, trial),
      );
      if (trial) await this.#trial(trial);
      return stale.map(([scope]) => scope);
    });
  }

  /** To every scope that has the thing it is about. Agents on trial are told by the trial. */
  decision(decision: StandingDecision, scopes: Iterable<Scope>, trial?: Trial): Promise<void> {
    const { type, target } = decision.body;
    return this.#alone(async () => {
      await this.#each(scopes, async (scope) => {
        const basis = this.#deps.published.of(scope).snapshot?.revision;
        if (basis === undefined) return;
        const subject = this.#deps.subjects.decision(scope, type, target);
        const header = this.#header(scope, trial);
        await this.#send(subject, { ...header, type: 'decision', basis, decision });
      });
      if (trial) await this.#trial(trial);
    });
  }

  /** Something was written to the stream: by whom? What a deposed leader or a stranger wrote is put right. */
  async watch(entry: LogEntry): Promise<'ours' | 'older' | 'younger' | 'unreadable'> {
    const epoch = this.#term?.epoch ?? 0;
    if (isSame(entry.data, this.#sealed.get(entry.subject))) return 'ours';
    let message: ControlMessage;
    try {
      message = await this.#deps.published.open(entry.data);
    } catch {
      await this.#restore(entry.subject);
      return 'unreadable';
    }
    const theirs = epochOf(message.position);
    if (theirs > epoch) {
      this.#deps.published.accept(message);
      return 'younger';
    }
    if (theirs === epoch) return 'ours';
    await this.#restore(entry.subject);
    return 'older';
  }

  async #each<T>(items: Iterable<T>, work: (item: T) => Promise<void>): Promise<void> {
    const errors: unknown[] = [];
    for (const item of items)
      try {
        await work(item);
      } catch (error) {
        errors.push(error);
      }
    if (errors.length > 0) throw errors[0];
  }

  /** Every term says everything anew once: above that, whatever a deposed leader still sends is too late. */
  #stands(scope: Scope, snapshot: Snapshot, trial: Trial | undefined): boolean {
    const said = this.#deps.published.of(scope);
    const isOurs = epochOf(said.snapshot?.position ?? 0) === this.#term?.epoch;
    // Who was on a trial that is over has to hear it.
    const onTrial = trialOf(said)?.only;
    const isHeard = onTrial === undefined || isSameCohort(onTrial, trial?.scopes.get(scope)?.only);
    return isOurs && isHeard && said.text === JSON.stringify(snapshot);
  }

  #trialStands(said: PublishedScope, { only, snapshot }: TrialScope, revision: number): boolean {
    const trial = trialOf(said);
    return (
      trial !== undefined &&
      epochOf(trial.position) === this.#term?.epoch &&
      trial.revision === revision &&
      isSameCohort(trial.only, only) &&
      JSON.stringify(trial.snapshot) === JSON.stringify(snapshot)
    );
  }

  async #learn(entry: LogEntry): Promise<void> {
    try {
      this.#deps.published.accept(await this.#deps.published.open(entry.data));
      this.#sealed.set(entry.subject, entry.data);
    } catch {
      // Not ours: the snapshot that follows takes its place.
    }
  }

  async #trial({ revision, scopes }: Trial): Promise<void> {
    const { published, subjects } = this.#deps;
    await this.#each(scopes, async ([scope, wanted]) => {
      if (this.#trialStands(published.of(scope), wanted, revision)) return;
      const header = this.#header(scope);
      await this.#send(subjects.trial(scope), { ...header, type: 'trial', revision, ...wanted });
    });
  }

  async #snapshot(
    scope: Scope,
    revision: number,
    snapshot: Snapshot,
    trial: Trial | undefined,
  ): Promise<void> {
    const { published, subjects, log } = this.#deps;
    const said = published.of(scope);
    const overtaken = [...said.decisions.values()];
    const subject = subjects.snapshot(scope);
    const header = this.#header(scope, trial);
    const sequence = await this.#send(subject, { ...header, type: 'snapshot', revision, snapshot });
    for (const { decision } of overtaken) {
      const old = subjects.decision(scope, decision.body.type, decision.body.target);
      this.#sealed.delete(old);
      await log.trim(old, sequence);
    }
    if (trialOf(said) && !trial?.scopes.has(scope)) {
      this.#sealed.delete(subjects.trial(scope));
      await log.trim(subjects.trial(scope), sequence);
    }
  }

  #header(scope: Scope, trial?: Trial) {
    const { published, mesh, time } = this.#deps;
    const floor = makePosition(this.#term?.epoch ?? 0, 0);
    const position = Math.max(floor, published.of(scope).position) + 1;
    const except = trial?.scopes.get(scope)?.only;
    const header = { v: 1, mesh, scope, position, issuedMs: time.now() } as const;
    return except ? { ...header, except } : header;
  }

  async #send(subject: string, message: ControlMessage): Promise<number> {
    const { signer, log, published, leadership, onPublished } = this.#deps;
    const data = await signer.seal(encodeMessage(message));
    leadership.require();
    this.#sealed.set(subject, data);
    const sequence = await log.append({ subject, data });
    published.accept(message);
    onPublished(message, data.byteLength);
    return sequence;
  }

  async #restore(subject: string): Promise<void> {
    const data = this.#sealed.get(subject);
    if (!data || !this.#deps.leadership.term) return;
    await this.#deps.log.append({ subject, data });
  }

  #alone<T>(work: () => Promise<T>): Promise<T> {
    const next = this.#queue.then(work);
    this.#queue = next.catch(() => undefined);
    return next;
  }
}

const isSameCohort = (left: readonly string[], right: readonly string[] | undefined): boolean =>
  left.join() === right?.join();

const isSame = (left: Uint8Array, right: Uint8Array | undefined): boolean =>
  right !== undefined && Buffer.compare(left, right) === 0;
