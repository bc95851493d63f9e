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

/** Resolves when the rollout has ended, or at the deadline. */
export const tellRollout = async (story: Story): Promise<Ending> => {
  const { board, signal } = story;
  const deadline = performance.now() + DEADLINE_MS;
  let said = 0;
  let lineMs = performance.now();
  let last: RolloutStatus | undefined;
  while (!signal.aborted) {
    const rollout = await look(story);
    last = rollout ?? last;
    if (rollout) {
      for (const line of newSteps(rollout, said)) board.say(line);
      said = Math.max(said, rollout.history.length);
    }
    board.show(rolloutBlock(last, story.readers()));
    const ending = rollout && endings[rollout.state];
    const isLineDue = !board.isTerminal && performance.now() - lineMs >= LINE_EVERY_MS;
    if (last && (ending || isLineDue)) {
      lineMs = performance.now();
      board.say(rolloutLine(last, story.readers()));
    }
    if (ending) return { state: ending, reason: rollout.reason };
    if (performance.now() > deadline) break;
    await sleep(LOOK_EVERY_MS);
  }
  return {
    state: last?.state ?? 'not started',
    reason: last?.reason ?? 'no rollout has begun',
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
