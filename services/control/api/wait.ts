// Waits until a revision is in force: on every live agent of every scope that it touched, or on a share of them.
import type { WaitAnswer, WaitFor } from '#engine/model/api.ts';
import type { Scope } from '#engine/model/scope.ts';
import type { AgentRecord, Fleet } from '../fleet.ts';
import { type Published, positionFor } from '../published.ts';
import type { Time } from '../time.ts';

const POLL_MS = 100;

export interface WaitDeps {
  readonly published: Published;
  readonly fleet: Fleet;
  readonly time: Time;
  /** Revision that the leader has published in full. */
  readonly saidRevision: () => number;
  /** Resolves at the next ack, publish or heartbeat, or after so many milliseconds. */
  readonly news: (ms: number) => Promise<void>;
}

interface Progress {
  readonly agents: readonly AgentRecord[];
  readonly missing: readonly AgentRecord[];
}

export const createWait = (deps: WaitDeps) => {
  const { published, fleet, time } = deps;

  /** Later snapshots of a scope contain the revision too, so only scopes that are at it or above it count. */
  const progressOf = (revision: number): Progress => {
    const touched = new Map<Scope, number>();
    for (const { scope, snapshot } of published.scopes)
      if (snapshot && snapshot.revision >= revision) touched.set(scope, snapshot.position);
    const agents = [...touched.keys()].flatMap((scope) => fleet.live(scope));
    const missing = agents.filter(
      ({ beat: { scope, agent }, position }) =>
        position < positionFor(published.of(scope), agent, touched.get(scope) ?? 0),
    );
    return { agents, missing };
  };

  return async (revision: number, wait: WaitFor): Promise<WaitAnswer> => {
    const startedMs = time.monotonic();
    let slowestMs = 0;
    let missingBefore = Number.POSITIVE_INFINITY;
    for (;;) {
      const isSaid = deps.saidRevision() >= revision;
      const { agents, missing } = progressOf(revision);
      const elapsedMs = time.monotonic() - startedMs;
      if (isSaid && missing.length < missingBefore) {
        slowestMs = elapsedMs;
        missingBefore = missing.length;
      }
      const applied = agents.length - missing.length;
      const reached = isSaid && applied * 100 >= agents.length * wait.percent;
      if (reached || elapsedMs >= wait.timeoutMs)
        return {
          reached,
          applied,
          agents: agents.length,
          slowestMs: Math.round(slowestMs * 10) / 10,
          missing: missing.map(({ beat }) => beat.agent).toSorted(),
        };
      await deps.news(Math.min(POLL_MS, wait.timeoutMs - elapsedMs));
    }
  };
};
