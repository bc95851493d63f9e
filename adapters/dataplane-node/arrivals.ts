// Lets in together who comes at the same time. The runtime accepts one connection per turn of its loop, and a turn takes the longer
// the more callers it serves: a thousand who come at once would wait for each other's answers before they are even accepted.
import type { Rush } from './rush.ts';

/** Nobody waits longer for those behind. */
const MAX_WAIT_MS = 200;
/** Turns in a row that brought somebody, and what they took on average: the next in the queue should not wait for so much. */
const MIN_TURNS = 4;
const SLOW_TURN_MS = 2;

export interface ArrivalsOptions<Caller> {
  readonly admit: (caller: Caller) => void;
  readonly monotonic: () => number;
  /** Calls back at the end of this turn of the loop, and keeps the next one from sleeping. */
  readonly atEndOfTurn: (look: () => void) => void;
  readonly rush: Rush;
}

export class Arrivals<Caller> {
  private readonly options: ArrivalsOptions<Caller>;
  private waiting: Caller[] = [];
  private since = 0;
  private turns = 0;
  private hasGrown = false;

  constructor(options: ArrivalsOptions<Caller>) {
    this.options = options;
  }

  add(caller: Caller): void {
    this.hasGrown = true;
    if (this.waiting.push(caller) > 1) return;
    this.since = this.options.monotonic();
    this.turns = 0;
    this.options.atEndOfTurn(this.look);
  }

  /** Those who wait, for the caller to deal with. Nobody is held up for them any longer. */
  take(): readonly Caller[] {
    const { waiting } = this;
    this.waiting = [];
    this.options.rush.end(this, this.options.monotonic());
    return waiting;
  }

  /** A turn that brought nobody says that the queue is empty. */
  private readonly look = (): void => {
    if (this.waiting.length === 0) return;
    const now = this.options.monotonic();
    const waited = now - this.since;
    if (this.hasGrown && waited < MAX_WAIT_MS) {
      this.hasGrown = false;
      const isSlow = ++this.turns >= MIN_TURNS && waited >= this.turns * SLOW_TURN_MS;
      if (isSlow) this.options.rush.begin(this, now);
      this.options.atEndOfTurn(this.look);
    } else for (const caller of this.take()) this.options.admit(caller);
  };
}
