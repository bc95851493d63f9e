// Asks again and again until the answer is there.
import { setTimeout as sleep } from 'node:timers/promises';
import { reasonOf } from '#engine/model/errors.ts';

/** Resolves with the first answer that is not undefined. Errors count as "not yet"; the last one is told in the end. */
export const waitFor = async <T>(
  what: string,
  ask: () => Promise<T | undefined>,
  { timeoutMs, everyMs = 200 }: { readonly timeoutMs: number; readonly everyMs?: number },
): Promise<T> => {
  const deadline = performance.now() + timeoutMs;
  let last = '';
  for (;;) {
    try {
      const answer = await ask();
      if (answer !== undefined) return answer;
    } catch (error) {
      last = reasonOf(error);
    }
    if (performance.now() > deadline)
      throw new Error(`${what} took longer than ${timeoutMs / 1000} s${last ? ` (${last})` : ''}.`);
    await sleep(everyMs);
  }
};
