// Time as the control service uses it: passed in, so that tests turn the hands themselves.
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from '#engine/ports/clock.ts';

export interface Time extends Clock {
  /** Resolves early, and without complaint, when the signal aborts. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

export const systemTime: Time = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: async (ms, signal) => {
    try {
      await delay(ms, undefined, { signal });
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  },
};

/** One tick per period until the signal aborts. Ticks missed while the reader was busy are left out, not made up for. */
export async function* every(time: Time, ms: number, signal: AbortSignal): AsyncGenerator<number> {
  let due = time.monotonic();
  while (!signal.aborted) {
    yield time.monotonic();
    due = Math.max(due + ms, time.monotonic());
    await time.sleep(Math.max(0, due - time.monotonic()), signal);
  }
}
