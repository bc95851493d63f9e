// The commit log: one message per commit, written with an expected sequence, so that revisions have no gaps whoever writes.
import type { Change, Commit } from '#engine/model/commit.ts';
import { EngineError } from '#engine/model/errors.ts';
import type { ResourceId } from '#engine/model/resource.ts';
import type { Subjects } from '#engine/model/subjects.ts';
import type { Log, LogEntry, LogReader } from '#engine/ports/log.ts';
import { Queue } from '#engine/ports/queue.ts';
import { decodeJson, encodeJson } from './codec.ts';
import {
  advance,
  type Checkpoint,
  checkpointOf,
  emptyPolicyState,
  type PolicyState,
  stateOf,
} from './policy-state.ts';

const COMMITS_PER_CHECKPOINT = 100;

export interface NewCommit {
  readonly author: string;
  readonly message: string;
  readonly atMs: number;
  readonly changes: readonly Change[];
  readonly quarantined: readonly ResourceId[];
  /** The policy canary that it came through. */
  readonly canary?: string;
  /** The state it was made against. */
  readonly base: PolicyState;
}

/** One commit and what the set became. */
export interface Folded {
  readonly commit: Commit;
  readonly state: PolicyState;
}

/** What is stored now, read to its end. */
export async function* readStored(
  log: Log,
  filter: string,
  from: 'all' | 'last' | number,
): AsyncGenerator<LogEntry> {
  const reader = log.read(filter, from);
  void reader.caughtUp.then(() => reader.close());
  try {
    yield* reader;
  } finally {
    reader.close();
  }
}

const commitOf = (entry: LogEntry): Commit => {
  const commit = decodeJson(entry.data, `commit at ${entry.sequence}`) as Commit;
  if (commit?.type !== 'commit' || !Number.isSafeInteger(commit.revision))
    throw new EngineError('ERR_MESSAGE_MALFORMED', `entry ${entry.sequence} is no commit`);
  return commit;
};

export class PolicyLog {
  readonly #log: Log;
  readonly #subjects: Subjects;
  readonly #folded: Queue<Folded> = new Queue();
  readonly #onError: (where: string, error: unknown) => void;
  #state: PolicyState = emptyPolicyState;
  #sequence = 0;
  #isLost = false;
  #reader: LogReader | undefined;

  constructor(log: Log, subjects: Subjects, onError: (where: string, error: unknown) => void) {
    this.#log = log;
    this.#subjects = subjects;
    this.#onError = onError;
  }

  get state(): PolicyState {
    return this.#state;
  }

  /** What was published came from a later revision than the log has: nothing may be concluded from the set as it is. */
  get isLost(): boolean {
    return this.#isLost;
  }

  /** Every commit from `load` on, in order: our own at once, others' as they arrive. One reader only. */
  get commits(): AsyncIterable<Folded> {
    return this.#folded;
  }

  /** Checkpoint plus the commits after it; then follows. */
  async load(): Promise<void> {
    const entry = await this.#log.last(this.#subjects.policyCheckpoint);
    if (entry) {
      const checkpoint = decodeJson(entry.data, 'checkpoint') as Checkpoint;
      this.#state = stateOf(checkpoint);
      this.#sequence = checkpoint.sequence;
    }
    const subject = this.#subjects.policyCommit;
    await this.#readOn();
    this.#reader = this.#log.read(subject, this.#sequence + 1);
    void this.#follow(this.#reader);
  }

  /**
   * Reads again if the watch has missed something. Answers with the last sequence of the stream, and whether it still has
   * everything that we have seen.
   */
  async verify(): Promise<{ readonly lastSequence: number; readonly isWhole: boolean }> {
    // What comes while we ask may be ahead of the answer.
    const seen = this.#sequence;
    const lastSequence = await this.#log.lastSequence();
    const isWhole = lastSequence >= seen;
    if (isWhole) this.#reader?.verify(lastSequence);
    else {
      this.#sequence = 0;
      this.#onError('policy log', new Error('the stream is shorter than it was'));
    }
    return { lastSequence, isWhole };
  }

  /** Writes what is known here to a stream that has lost it. */
  async restore(): Promise<void> {
    await this.#checkpoint(0);
  }

  /** Revisions up to this one have been published. A log that does not know them has lost them. */
  expect(revision: number): void {
    if (revision <= this.#state.revision) return;
    this.#isLost = true;
    this.#state = { ...this.#state, revision };
    this.#onError(
      'policy log',
      new Error(
        `r${revision} was published, but the log does not reach so far: apply the policy set again`,
      ),
    );
  }

  /** Resolves once everything that is stored has been folded. */
  async catchUp(): Promise<void> {
    const newest = await this.#log.last(this.#subjects.policyCommit);
    if (!newest || newest.sequence <= this.#sequence) return;
    // Mostly it is one commit that somebody else has just made: no need to open a reader for that.
    if (commitOf(newest).revision === this.#state.revision + 1) this.#fold(newest);
    else await this.#readOn();
  }

  async #readOn(): Promise<void> {
    for await (const entry of readStored(
      this.#log,
      this.#subjects.policyCommit,
      this.#sequence + 1,
    ))
      this.#fold(entry);
  }

  /** Throws ERR_LOG_CONFLICT when somebody else committed since `base`. */
  async commit(wanted: NewCommit): Promise<Folded> {
    const { base, quarantined, ...rest } = wanted;
    if (base !== this.#state) throw conflict(base.revision, this.#state.revision);
    const commit: Commit = {
      v: 1,
      type: 'commit',
      revision: base.revision + 1,
      ...rest,
      ...(quarantined.length > 0 ? { quarantined } : {}),
    };
    const sequence = await this.#log.append({
      subject: this.#subjects.policyCommit,
      data: encodeJson(commit),
      expectLast: this.#sequence,
    });
    const folded = this.#accept(commit, sequence) ?? { commit, state: this.#state };
    if (commit.revision % COMMITS_PER_CHECKPOINT === 0) await this.#checkpoint(sequence);
    return folded;
  }

  /** The newest first. */
  async history(limit: number): Promise<readonly Commit[]> {
    const guess = this.#sequence - limit - Math.ceil(limit / COMMITS_PER_CHECKPOINT) - 1;
    const recent = await this.#commitsFrom(Math.max(1, guess));
    // Large commits take several entries, so the guess may fall short.
    const commits = recent.length < limit && guess > 1 ? await this.#commitsFrom('all') : recent;
    return commits.slice(-limit).toReversed();
  }

  /** The set as it was; throws ERR_REQUEST_NOT_FOUND for a revision that never was. */
  async at(revision: number): Promise<PolicyState> {
    if (revision === this.#state.revision) return this.#state;
    let state = emptyPolicyState;
    if (revision > 0 && revision < this.#state.revision)
      for await (const entry of readStored(this.#log, this.#subjects.policyCommit, 'all')) {
        const commit = commitOf(entry);
        state = advance(state, commit);
        if (state.revision >= revision) break;
      }
    if (state.revision !== revision)
      throw new EngineError(
        'ERR_REQUEST_NOT_FOUND',
        `no revision ${revision}; the newest is ${this.#state.revision}`,
        { source: 'caller' },
      );
    return state;
  }

  close(): void {
    this.#reader?.close();
    this.#folded.close();
  }

  async #commitsFrom(from: 'all' | number): Promise<Commit[]> {
    const commits: Commit[] = [];
    for await (const entry of readStored(this.#log, this.#subjects.policyCommit, from))
      commits.push(commitOf(entry));
    return commits;
  }

  async #follow(reader: LogReader): Promise<void> {
    for await (const entry of reader) this.#fold(entry);
  }

  #fold(entry: LogEntry): void {
    try {
      this.#accept(commitOf(entry), entry.sequence);
    } catch (error) {
      this.#onError(`commit at sequence ${entry.sequence}`, error);
    }
  }

  #accept(commit: Commit, sequence: number): Folded | undefined {
    if (sequence <= this.#sequence) return undefined;
    this.#sequence = sequence;
    const { revision } = this.#state;
    if (commit.revision <= revision)
      throw new EngineError('ERR_MESSAGE_MALFORMED', `r${commit.revision} follows r${revision}`);
    if (commit.revision > revision + 1)
      this.#onError('policy log', new Error(`r${commit.revision} follows r${revision}`));
    this.#state = advance(this.#state, commit);
    this.#isLost = false;
    const folded = { commit, state: this.#state };
    if (this.#reader) this.#folded.push(folded);
    return folded;
  }

  /** A failure costs only time at the next start. */
  async #checkpoint(sequence: number): Promise<void> {
    try {
      await this.#log.append({
        subject: this.#subjects.policyCheckpoint,
        data: encodeJson(checkpointOf(this.#state, sequence)),
      });
    } catch (error) {
      this.#onError('checkpoint', error);
    }
  }
}

const conflict = (expected: number, found: number): EngineError =>
  new EngineError('ERR_LOG_CONFLICT', `made against r${expected}, the set is at r${found}`, {
    source: 'caller',
    retryable: true,
  });
