// Time that moves when the test says so, and waiting for what happens meanwhile without waiting for real time.
import type { Time } from '#services/control/time.ts';

interface Sleeper {
  readonly dueMs: number;
  readonly wake: () => void;
}

export interface TestTime extends Time {
  /** Moves the hands tick by tick, letting everything that is due happen. */
  advance(ms: number): Promise<void>;
}

const turn = (): Promise<void> =>
  new Promise((resolve) => {
    setImmediate(resolve);
  });

let beside = 0;

/** Names work that runs beside the event loop, such as crypto: time waits for it. */
export const waitedFor = async <T>(work: Promise<T>): Promise<T> => {
  beside += 1;
  try {
    return await work;
  } finally {
    beside -= 1;
  }
};

/** Lets everything that is under way come to rest. */
export const settle = async (turns = 25): Promise<void> => {
  for (let quiet = 0; quiet < turns; quiet += 1) {
    await turn();
    if (beside > 0) quiet = 0;
  }
};

/** Resolves once the condition holds; fails after many turns of the event loop in which nothing ran beside it. */
export const until = async (
  what: string,
  holds: () => boolean | Promise<boolean>,
): Promise<void> => {
  for (let count = 0; count < 2_000; count += beside > 0 ? 0 : 1) {
    if (await holds()) return;
    await turn();
  }
  throw new Error(`it never happened: ${what}`);
};

export const createTestTime = (startMs = 1_800_000_000_000): TestTime => {
  let elapsedMs = 0;
  const sleepers = new Set<Sleeper>();
  return {
    now: () => startMs + elapsedMs,
    monotonic: () => elapsedMs,
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        if (signal.aborted) {
          resolve();
          return;
        }
        const done = () => {
          sleepers.delete(sleeper);
          signal.removeEventListener('abort', done);
          resolve();
        };
        const sleeper = { dueMs: elapsedMs + Math.max(0, ms), wake: done };
        sleepers.add(sleeper);
        signal.addEventListener('abort', done, { once: true });
      }),
    advance: async (ms) => {
      const target = elapsedMs + ms;
      await settle();
      for (;;) {
        const due = [...sleepers].filter(({ dueMs }) => dueMs <= target);
        if (due.length === 0) break;
        elapsedMs = Math.max(elapsedMs, Math.min(...due.map(({ dueMs }) => dueMs)));
        for (const { dueMs, wake } of due) if (dueMs <= elapsedMs) wake();
        await settle();
      }
      elapsedMs = target;
    },
  };
};
