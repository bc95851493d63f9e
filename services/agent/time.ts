// Time as the agent uses it: passed in, so that tests turn the hands themselves.
import { performance } from 'node:perf_hooks';
import type { Clock } from '#engine/ports/clock.ts';

export interface Time extends Clock {
  /** Calls `tick` once per period until the returned function is called. */
  every(ms: number, tick: () => void): () => void;
}

export const systemTime: Time = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  every: (ms, tick) => {
    const timer = setInterval(tick, ms);
    return () => clearInterval(timer);
  },
};
