// Counters by key, in bounded memory. When it is full, the counter that has least to tell makes room.
import { type Counter, isIdle, type Limit, newCounter } from './window.ts';

/** One counter per limit, in the order of the limits. */
export type Counters = readonly Counter[];

const MAX_KEYS = 100_000;
const CANDIDATES = 8;

export class CounterTable {
  readonly #limits: readonly Limit[];
  readonly #maxKeys: number;
  readonly #counters = new Map<string, Counters>();
  #sweep: MapIterator<[string, Counters]>;

  constructor(limits: readonly Limit[], maxKeys = MAX_KEYS) {
    this.#limits = limits;
    this.#maxKeys = maxKeys;
    this.#sweep = this.#counters.entries();
  }

  get size(): number {
    return this.#counters.size;
  }

  of(key: string, nowMs: number): Counters {
    const known = this.#counters.get(key);
    if (known !== undefined) return known;
    if (this.#counters.size >= this.#maxKeys) this.#makeRoom(nowMs);
    const fresh = this.#limits.map(newCounter);
    this.#counters.set(key, fresh);
    return fresh;
  }

  /** Looks at the next few keys round the table: an idle one goes, else the one that has counted least. */
  #makeRoom(nowMs: number): void {
    let victim: string | undefined;
    let least = Number.POSITIVE_INFINITY;
    for (let i = 0; i < CANDIDATES; i += 1) {
      const [key, counters] = this.#next();
      const weight = this.#weight(counters, nowMs);
      if (weight >= least) continue;
      victim = key;
      least = weight;
      if (weight < 0) break;
    }
    if (victim !== undefined) this.#counters.delete(victim);
  }

  #next(): [string, Counters] {
    let step = this.#sweep.next();
    if (step.done) {
      this.#sweep = this.#counters.entries();
      step = this.#sweep.next();
    }
    return step.value ?? ['', []];
  }

  /** Share of the tightest limit that is used up; negative if nothing counts any more. */
  #weight(counters: Counters, nowMs: number): number {
    let weight = -1;
    for (const [index, counter] of counters.entries()) {
      const limit = this.#limits[index];
      if (limit === undefined || isIdle(counter, limit, nowMs)) continue;
      weight = Math.max(weight, (counter.current + counter.previous) / limit.requests);
    }
    return weight;
  }
}
