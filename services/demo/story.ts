// What the demo tells once everything runs: readers, then a new version, then its rollout step by step.
import { setTimeout as sleep } from 'node:timers/promises';
import type { RolloutStatus } from '#engine/model/api.ts';
import type { Admin } from './admin.ts';
import type { Board } from './board.ts';
import { newSteps, type Readers, rolloutBlock, rolloutLine } from './rollout-lines.ts';

const LOOK_EVERY_MS = 500;
const LINE_EVERY_MS = 5000;
export const DEADLINE_MS = 300_000;

/** States in which nothing more happens by itself, in the words of `--until`. */
const endings: Readonly<Record<string, string>> = {
  succeeded: 'promoted',
  failed: 'rolledBack',
  inconclusive: 'inconclusive',
};

export interface Ending {
  /** `promoted`, `rolledBack`, or the state at the deadline. */
  readonly state: string;
  readonly reason: string;
}

export interface Story {
  readonly board: Board;
  readonly admin: Pick<Admin, 'rollouts'>;
  readonly service: string;
  /** Rollouts that began before are an earlier run's. */
  readonly sinceMs: number;
  readonly readers: () => Readers;
  readonly signal: AbortSignal;
}

export interface Teller {
  /** Resolves when the rollout has ended, or at the deadline. */
  untilEnd(): Promise<Ending>;
  /** Goes on telling until the signal aborts: an operator may try again. */
  forEver(): Promise<void>;
}

export const createTeller = (story: Story): Teller => {
  const { board, signal } = story;
  let last: RolloutStatus | undefined;
  let saidMs = 0;
  let lineMs = performance.now();

  const sayLine = (): void => {
    lineMs = performance.now();
    if (last) board.say(rolloutLine(last, story.readers()));
  };

  /** One look; the state of a rollout that has ended. */
  const tell = async (): Promise<string | undefined> => {
    const rollout = await look(story);
    if (rollout) {
      last = rollout;
      for (const line of newSteps(rollout, saidMs)) board.say(line);
      saidMs = Math.max(saidMs, ...rollout.history.map(({ atMs }) => atMs));
    }
    board.show(rolloutBlock(last, story.readers()));
    return rollout && endings[rollout.state];
  };

  return {
    async untilEnd() {
      const deadline = performance.now() + DEADLINE_MS;
      while (!signal.aborted && performance.now() < deadline) {
        const state = await tell();
        const isDue = !board.isTerminal && performance.now() - lineMs >= LINE_EVERY_MS;
        if (state || isDue) sayLine();
        if (state) return { state, reason: last?.reason ?? '' };
        await sleep(LOOK_EVERY_MS);
      }
      const reason = last?.reason ?? 'no rollout has begun';
      return { state: last?.state ?? 'not started', reason };
    },
    async forEver() {
      while (!signal.aborted) {
        await tell();
        await sleep(LOOK_EVERY_MS);
      }
    },
  };
};

/** Nothing while control is away: it may be starting again. */
const look = async ({ admin, service, sinceMs }: Story): Promise<RolloutStatus | undefined> => {
  try {
    const { rollouts } = await admin.rollouts();
    return rollouts.find(
      (rollout) => rollout.service === service && rollout.canary && rollout.startedMs >= sinceMs,
    );
  } catch {
    return undefined;
  }
};
