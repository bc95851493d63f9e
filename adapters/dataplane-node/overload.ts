// Turns requests away while there are more than the process can serve, so that what is admitted is still served in time. Lateness
// alone says nothing: a process that its neighbours starve is late, too, and turning requests away helps nobody then.
import { readFileSync } from 'node:fs';

export interface OverloadOptions {
  /** CPU time of this process so far, in milliseconds. */
  readonly cpuMs: () => number;
  /** Cores that it may use; more than one is no use to an event loop. */
  readonly cores: number;
  readonly monotonic: () => number;
}

/** A look at the queue ends after so long, and after so many ticks. */
const WINDOW_MS = 250;
const WINDOW_TICKS = 2;
/** The event loop was never less late than this: a queue that does not go away, not a hiccup. */
const LATE_MS = 100;
/** Of its core: less, and somebody else is to blame. */
const BUSY_SHARE = 0.7;
/** What only lasts as long as a start or a burst is waited out. */
const PATIENCE = 2;
/** So much of a round of the event loop is for new requests; those that come up later have waited for longer than that. */
const ADMIT_MS = 150;
/** A tenth of that is for refusals, lest callers that come back at once leave no time for answers; what is left over waits. */
const REFUSE_MS = 15;

export class Overload {
  /** More comes than can be served. */
  isOn = false;
  private readonly options: OverloadOptions;
  private admitUntil = 0;
  private startedAt = 0;
  private startCpuMs: number;
  private ticks = 0;
  private leastLagMs = Number.POSITIVE_INFINITY;
  private lateWindows = 0;

  constructor(options: OverloadOptions) {
    this.options = options;
    this.startCpuMs = options.cpuMs();
  }

  /** Whether a request that has just been read is better refused. */
  turnsAway(): boolean {
    if (!this.isOn) return false;
    const now = this.options.monotonic();
    if (now > this.admitUntil + REFUSE_MS) this.admitUntil = now + ADMIT_MS;
    return now > this.admitUntil;
  }

  /** Once per round of the event loop at most; `lagMs` is how much later it came than it should have. */
  tick(lagMs: number, now: number): void {
    this.admitUntil = now + ADMIT_MS;
    this.ticks++;
    this.leastLagMs = Math.min(this.leastLagMs, lagMs);
    const spanMs = now - this.startedAt;
    if (spanMs < WINDOW_MS || this.ticks < WINDOW_TICKS) return;
    const cpuMs = this.options.cpuMs();
    const use = (cpuMs - this.startCpuMs) / (spanMs * this.options.cores);
    const isLate = this.leastLagMs > LATE_MS && use > BUSY_SHARE;
    this.lateWindows = isLate ? this.lateWindows + 1 : 0;
    this.isOn = this.lateWindows >= PATIENCE;
    this.startCpuMs = cpuMs;
    this.startedAt = now;
    this.ticks = 0;
    this.leastLagMs = Number.POSITIVE_INFINITY;
  }
}

/** What a container's quota leaves of one core (cgroup v2). */
export const ownCores = (): number => {
  try {
    const [quota = 'max', period = '100000'] = readFileSync('/sys/fs/cgroup/cpu.max', 'utf8').split(
      /\s+/,
    );
    return quota === 'max' ? 1 : Math.min(1, Number(quota) / Number(period));
  } catch {
    return 1;
  }
};
