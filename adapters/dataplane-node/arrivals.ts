// Lets in together who comes at the same time. The runtime accepts one connection per turn of its loop, and a turn takes the longer
// the more callers it serves: a thousand who come at once would wait for each other's answers before they are even accepted.

/** Nobody waits longer for those behind. */
const MAX_WAIT_MS = 200;

export interface ArrivalsOptions<Caller> {
  readonly admit: (caller: Caller) => void;
  readonly monotonic: () => number;
  /** Calls back at the end of this turn of the loop, and keeps the next one from sleeping. */
  readonly atEndOfTurn: (look: () => void) => void;
}

export class Arrivals<Caller> {
  private readonly options: ArrivalsOptions<Caller>;
  private waiting: Caller[] = [];
  private since = 0;
  private hasGrown = false;

  constructor(options: ArrivalsOptions<Caller>) {
    this.options = options;
  }

  add(caller: Caller): void {
    this.hasGrown = true;
    if (this.waiting.push(caller) > 1) return;
    this.since = this.options.monotonic();
    this.options.atEndOfTurn(this.look);
  }

  /** Those who have not been let in yet; they never will be. */
  take(): readonly Caller[] {
    const { waiting } = this;
    this.waiting = [];
    return waiting;
  }

  /** A turn that brought nobody says that the queue is empty. */
  private readonly look = (): void => {
    if (this.waiting.length === 0) return;
    if (this.hasGrown && this.options.monotonic() - this.since < MAX_WAIT_MS) {
      this.hasGrown = false;
      this.options.atEndOfTurn(this.look);
    } else for (const caller of this.take()) this.options.admit(caller);
  };
}
