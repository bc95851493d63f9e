// One coarse timer for every deadline of the data plane: a hashed wheel of intrusive lists.
// Moving a deadline later costs one assignment; the wheel looks again when the old time comes.

const SLOTS = 1024;
const MASK = SLOTS - 1;

export abstract class Deadline {
  /** Monotonic milliseconds; Infinity when nothing is due. */
  dueAt = Number.POSITIVE_INFINITY;
  /** Place in the wheel, owned by `Deadlines`. */
  slotAt = Number.POSITIVE_INFINITY;
  slot = 0;
  previousInSlot: Deadline | undefined;
  nextInSlot: Deadline | undefined;

  /** Called at or after `dueAt`, with `dueAt` back at Infinity. */
  abstract onDue(now: number): void;
}

export class Deadlines {
  /** Time of the last tick; good enough for idle times. */
  now: number;
  /** How late the last tick was: the event loop's lag. */
  lagMs = 0;
  onTick: ((lagMs: number, now: number) => void) | undefined;
  private readonly monotonic: () => number;
  private readonly tickMs: number;
  private readonly onDefect: (error: unknown) => void;
  private readonly afterReads: (run: () => void) => void;
  private readonly slots: (Deadline | undefined)[] = Array.from({ length: SLOTS });
  private cursor: number;
  private timer: NodeJS.Timeout | undefined;

  constructor(
    monotonic: () => number,
    tickMs = 10,
    onDefect: (error: unknown) => void = (error) => {
      throw error;
    },
    afterReads: (run: () => void) => void = setImmediate,
  ) {
    this.monotonic = monotonic;
    this.onDefect = onDefect;
    this.afterReads = afterReads;
    this.tickMs = tickMs;
    this.now = monotonic();
    this.cursor = Math.floor(this.now / tickMs);
  }

  start(): void {
    this.timer ??= setInterval(() => this.tick(), this.tickMs);
  }

  stop(): void {
    clearInterval(this.timer);
    this.timer = undefined;
  }

  arm(deadline: Deadline, at: number): void {
    deadline.dueAt = at;
    // Already in the wheel at or before that time: the visit there will find the new time.
    if (deadline.slotAt <= at) return;
    if (deadline.slotAt !== Number.POSITIVE_INFINITY) this.unlink(deadline);
    if (at !== Number.POSITIVE_INFINITY) this.link(deadline, at);
  }

  /** For owners that go away; a mere "not now" is `arm(deadline, Infinity)`. */
  disarm(deadline: Deadline): void {
    deadline.dueAt = Number.POSITIVE_INFINITY;
    if (deadline.slotAt !== Number.POSITIVE_INFINITY) this.unlink(deadline);
  }

  tick(): void {
    const now = this.monotonic();
    this.lagMs = Math.max(0, now - this.now - this.tickMs);
    this.onTick?.(this.lagMs, now);
    this.now = now;
    // What came in while the process stood still was in time: it is read first.
    if (this.lagMs > this.tickMs) this.afterReads(() => this.turn(now));
    else this.turn(now);
  }

  private turn(now: number): void {
    const target = Math.floor(now / this.tickMs);
    // After a long stall one turn of the wheel visits everything.
    if (target - this.cursor > SLOTS) this.cursor = target - SLOTS;
    while (this.cursor < target) this.visit(++this.cursor & MASK, now);
  }

  private visit(slot: number, now: number): void {
    let deadline = this.slots[slot];
    if (deadline === undefined) return;
    // Taken out as a whole: owners may arm and disarm while the list is walked.
    const due: Deadline[] = [];
    while (deadline !== undefined) {
      const next: Deadline | undefined = deadline.nextInSlot;
      if (deadline.slotAt <= now) {
        this.unlink(deadline);
        due.push(deadline);
      }
      deadline = next;
    }
    for (const each of due) {
      const at = each.dueAt;
      if (at > now) {
        if (each.slotAt === Number.POSITIVE_INFINITY && at !== Number.POSITIVE_INFINITY)
          this.link(each, at);
        continue;
      }
      each.dueAt = Number.POSITIVE_INFINITY;
      try {
        each.onDue(now);
      } catch (error) {
        this.onDefect(error);
      }
    }
  }

  private link(deadline: Deadline, at: number): void {
    const slot = Math.max(Math.ceil(at / this.tickMs), this.cursor + 1) & MASK;
    const head = this.slots[slot];
    deadline.slotAt = at;
    deadline.slot = slot;
    deadline.previousInSlot = undefined;
    deadline.nextInSlot = head;
    if (head) head.previousInSlot = deadline;
    this.slots[slot] = deadline;
  }

  private unlink(deadline: Deadline): void {
    const { previousInSlot, nextInSlot } = deadline;
    if (nextInSlot) nextInSlot.previousInSlot = previousInSlot;
    if (previousInSlot) previousInSlot.nextInSlot = nextInSlot;
    else this.slots[deadline.slot] = nextInSlot;
    deadline.slotAt = Number.POSITIVE_INFINITY;
    deadline.previousInSlot = deadline.nextInSlot = undefined;
  }
}
