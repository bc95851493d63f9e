// Who of several control processes writes. An epoch is an immutable key that exactly one process can create; the lease of
// an epoch is renewed by its owner alone, so no two leaders ever write the same key. A leader that cannot renew stops
// writing before anybody may follow it, by clocks that only grow.
import { EngineError } from '#engine/model/errors.ts';
import { Queue } from '#engine/ports/queue.ts';
import type { Store, StoreEntry } from '#engine/ports/store.ts';
import { every, type Time } from './time.ts';

export interface LeadershipOptions {
  readonly store: Store;
  /** Two processes that run at the same time have different names; a process keeps its name over a restart. */
  readonly instance: string;
  readonly time: Time;
  readonly signal: AbortSignal;
  readonly leaseMs: number;
  readonly renewMs: number;
  /** How often a follower looks. */
  readonly pollMs: number;
  /** The next epoch is above this: what the control stream and the agents have already seen. */
  readonly floor: () => number;
  readonly onError: (where: string, error: unknown) => void;
}

/** One period of leadership. It ends for good; the same process may win another one. */
export interface Term {
  readonly epoch: number;
  /** False from the moment at which somebody else might lead. Asked before every write. */
  isValid(): boolean;
}

export interface Leadership {
  /** Every change: a term that begins, or `undefined` when it ended. */
  readonly terms: AsyncIterable<Term | undefined>;
  readonly term: Term | undefined;
  /** As the lease says: also known to followers. */
  readonly leader: { readonly instance: string; readonly epoch: number };
  /** Throws ERR_NOT_LEADER. */
  require(): Term;
  /** Gives the term up and campaigns for one above `floor()`. */
  renounce(): Promise<void>;
  /** Releases the lease, so that the next leader need not wait. */
  close(): Promise<void>;
}

interface Lease {
  readonly instance: string;
  readonly renewals: number;
  readonly released: boolean;
}

/** Epoch keys kept, so that a candidate that slept does not create an old one again. */
const KEPT_EPOCHS = 16;
/** Share of the lease after which its holder stops: the rest covers timers that fire late. */
const SAFE_SHARE = 0.9;

const encode = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
const leaseOf = (entry: StoreEntry | undefined): Lease | undefined => {
  if (!entry) return undefined;
  try {
    return JSON.parse(new TextDecoder().decode(entry.value)) as Lease;
  } catch {
    return undefined;
  }
};
const epochKey = (epoch: number): string => `epoch.${epoch}`;
const leaseKey = (epoch: number): string => `lease.${epoch}`;
const epochIn = (key: string): number => Number(/^epoch\.(\d+)$/.exec(key)?.[1] ?? 0);

export const startLeadership = (options: LeadershipOptions): Leadership =>
  new Candidate(options).start();

class Candidate implements Leadership {
  readonly #options: LeadershipOptions;
  readonly #terms: Queue<Term | undefined> = new Queue();
  #term: Term | undefined;
  #validUntil = 0;
  #renewals = 0;
  /** The other's lease as last seen, and when it was first seen so. */
  #watched = { epoch: 0, revision: 0, sinceMs: 0 };
  #leader = { instance: '', epoch: 0 };
  #first = true;
  #lastEpoch = 0;
  #isClosed = false;
  #busy: Promise<void> = Promise.resolve();

  constructor(options: LeadershipOptions) {
    this.#options = options;
  }

  start(): this {
    void this.#run();
    return this;
  }

  get terms(): AsyncIterable<Term | undefined> {
    return this.#terms;
  }

  get term(): Term | undefined {
    return this.#term?.isValid() ? this.#term : undefined;
  }

  get leader(): { readonly instance: string; readonly epoch: number } {
    return this.#leader;
  }

  require(): Term {
    const term = this.term;
    if (term) return term;
    throw new EngineError('ERR_NOT_LEADER', `${this.#options.instance} does not lead`, {
      retryable: true,
      details: this.#leader,
    });
  }

  async renounce(): Promise<void> {
    await this.#alone(async () => {
      await this.#release();
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#alone(() => this.#release()).catch((error: unknown) =>
      this.#options.onError('release the lease', error),
    );
    this.#terms.close();
  }

  async #run(): Promise<void> {
    const { time, signal, pollMs } = this.#options;
    let renewDue = 0;
    for await (const now of every(time, pollMs, signal)) {
      try {
        await this.#alone(async () => {
          if (signal.aborted || this.#isClosed) return;
          if (this.#term && !this.#term.isValid()) this.#end();
          if (!this.#term) await this.#campaign();
          else if (now >= renewDue) await this.#renew();
          else return;
          renewDue = now + this.#options.renewMs;
        });
      } catch (error) {
        this.#options.onError('lease', error);
      }
    }
  }

  /** One thing at a time: a release must not meet a renewal on its way. */
  #alone(work: () => Promise<void>): Promise<void> {
    const next = this.#busy.then(work);
    this.#busy = next.catch(() => undefined);
    return next;
  }

  async #campaign(): Promise<void> {
    const entries = await this.#options.store.entries();
    const newest = Math.max(0, ...entries.map((entry) => epochIn(entry.key)));
    const entry = entries.find((candidate) => candidate.key === leaseKey(newest));
    const lease = leaseOf(entry);
    this.#leader = { instance: lease?.instance ?? '', epoch: newest };
    const revision = entry?.revision ?? 0;
    const watchedMs = this.#watchedFor(newest, revision);
    if (this.#isOurs(newest, lease)) await this.#take(newest, undefined);
    else if (watchedMs >= this.#options.leaseMs) await this.#take(newest, revision);
  }

  /** How long the newest lease has been as it is. */
  #watchedFor(epoch: number, revision: number): number {
    const nowMs = this.#options.time.monotonic();
    if (this.#watched.epoch !== epoch || this.#watched.revision !== revision)
      this.#watched = { epoch, revision, sinceMs: nowMs };
    return nowMs - this.#watched.sinceMs;
  }

  /** Nobody's, or left behind by our predecessor of the same name (asked at start only), or the one we held and lost. */
  #isOurs(newest: number, lease: Lease | undefined): boolean {
    const wasFirst = this.#first;
    this.#first = false;
    if (newest === 0 || lease?.released === true) return true;
    return lease?.instance === this.#options.instance && (wasFirst || newest === this.#lastEpoch);
  }

  async #take(previous: number, expectedRevision: number | undefined): Promise<void> {
    const { store, instance, time, leaseMs, signal, floor } = this.#options;
    const epoch = Math.max(previous, floor()) + 1;
    try {
      await store.create(epochKey(epoch), encode({ instance, atMs: time.now() }));
    } catch (error) {
      if (error instanceof EngineError && error.code === 'ERR_STORE_CONFLICT') return;
      throw error;
    }
    if (expectedRevision !== undefined) {
      const again = await store.get(leaseKey(previous));
      // It was renewed while we took over, so its holder may still write: let its lease pass first.
      if ((again?.revision ?? 0) !== expectedRevision) await time.sleep(leaseMs, signal);
    }
    this.#renewals = 0;
    if (!(await this.#write(epoch, false))) return;
    const term: Term = {
      epoch,
      isValid: () => this.#term === term && !signal.aborted && time.monotonic() < this.#validUntil,
    };
    this.#term = term;
    this.#lastEpoch = epoch;
    this.#leader = { instance, epoch };
    this.#terms.push(term);
    await this.#tidy(epoch);
  }

  async #renew(): Promise<void> {
    const epoch = this.#term?.epoch ?? 0;
    if (!(await this.#write(epoch, false))) this.#end();
  }

  /** False when a younger epoch exists. */
  async #write(epoch: number, released: boolean): Promise<boolean> {
    const { store, instance, time, leaseMs } = this.#options;
    const startedMs = time.monotonic();
    this.#renewals += 1;
    await store.put(leaseKey(epoch), encode({ instance, renewals: this.#renewals, released }));
    const newest = Math.max(...(await store.entries()).map((entry) => epochIn(entry.key)));
    if (newest > epoch) return false;
    this.#validUntil = startedMs + leaseMs * SAFE_SHARE;
    return true;
  }

  async #release(): Promise<void> {
    const term = this.#term;
    if (!term) return;
    this.#end();
    await this.#write(term.epoch, true);
    this.#leader = { instance: '', epoch: term.epoch };
  }

  #end(): void {
    if (!this.#term) return;
    this.#term = undefined;
    this.#validUntil = 0;
    this.#terms.push(undefined);
  }

  async #tidy(epoch: number): Promise<void> {
    const { store } = this.#options;
    for (const { key } of await store.entries()) {
      const age = epoch - Number(/\d+$/.exec(key)?.[0] ?? epoch);
      if (age >= (key.startsWith('epoch.') ? KEPT_EPOCHS : 1)) await store.delete(key);
    }
  }
}
