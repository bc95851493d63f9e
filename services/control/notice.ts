// Wakes whoever waits for news, without saying what the news is.
import type { Time } from './time.ts';

export interface Notice {
  give(): void;
  /** Resolves at the next `give`, or after so many milliseconds. */
  wait(ms: number): Promise<void>;
}

export const createNotice = (time: Time): Notice => {
  let wake = new AbortController();
  return {
    give: () => {
      wake.abort();
      wake = new AbortController();
    },
    wait: (ms) => time.sleep(ms, wake.signal),
  };
};
