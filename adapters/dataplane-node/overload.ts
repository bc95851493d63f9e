// Turns a share of the requests away while there are more than the process can serve, so that what is admitted is still served in
// time. Lateness alone says nothing: a process that its neighbours starve is late, too, and turning requests away helps nobody then.
import { readFileSync } from 'node:fs';
import type { Random } from '#engine/ports/clock.ts';

export interface OverloadOptions {
  /** CPU time of this process so far, in milliseconds. */
  readonly cpuMs: () => number;
  /** Cores that it may use; more than one is no use to an event loop. */
  readonly cores: number;
  readonly random: Random;
}

/** A look at the queue ends after so long, and after so many ticks. */
const WINDOW_MS = 250;
const WINDOW_TICKS = 3;
/** The event loop was never less late than this: a queue that does not go away, not a hiccup. */
const LATE_MS = 100;
/** Of its core: less, and somebody else is to blame. */
const BUSY_SHARE = 0.7;
/** What only lasts as long as a start or a burst is waited out. */
const PATIENCE = 2;
const MOST = 0.95;

export class Overload {
  /** Of the requests, turned away by chance. */
  share = 0;
  private readonly options: OverloadOptions;
  private startedAt = 0;
  private startCpuMs = 0;
  private ticks = 0;
  private leastLagMs = Number.POSITIVE_INFINITY;
  private lateWindows = 0;

  constructor(options: OverloadOptions) {
    this.options = options;
    this.startCpuMs = options.cpuMs();
  }

  turnsAway(): boolean {
    return this.share > 0 && this.options.random() < this.share;
  }

  /** Every few milliseconds; `lagMs` is how much later than that it came. */
  tick(lagMs: number, now: number): void {
    this.ticks++;
    this.leastLagMs = Math.min(this.leastLagMs, lagMs);
    const spanMs = now - this.startedAt;
    if (spanMs < WINDOW_MS || this.ticks < WINDOW_TICKS) return;
    this.judge(spanMs);
    this.ticks = 0;
    this.startedAt = now;
    this.leastLagMs = Number.POSITIVE_INFINITY;
  }

  private judge(spanMs: number): void {
    const cpuMs = this.options.cpuMs();
    const use = (cpuMs - this.startCpuMs) / (spanMs * this.options.cores);
    this.startCpuMs = cpuMs;
    const isLate = this.leastLagMs > LATE_MS && use > BUSY_SHARE;
    this.lateWindows = isLate ? this.lateWindows + 1 : 0;
    // Up by steps, down by halves: after the load has gone everybody is welcome again within three seconds.
    if (this.lateWindows >= PATIENCE)
      this.share = Math.min(MOST, this.share + 0.05 + Math.min(0.2, this.leastLagMs / 2000));
    else if (!isLate) this.share = this.share < 0.02 ? 0 : this.share * 0.7;
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
