// What the rollouts of one group have to tell each other. Looks at what is on record only, so a new leader says the same.
import type { RolloutEvent, RolloutState } from '#engine/machines/rollout.ts';

interface Member {
  readonly id: string;
  readonly group: string | undefined;
  readonly machine: RolloutState;
}

export interface GroupNews {
  readonly id: string;
  readonly event: Extract<RolloutEvent, { type: 'released' | 'peerFailed' }>;
}

const onTrial: ReadonlySet<string> = new Set([
  'initializing',
  'progressing',
  'holding',
  'paused',
  'inconclusive',
]);

/** A member without a version on trial is not waited for. */
export const groupNews = (members: readonly Member[], nowMs: number): readonly GroupNews[] => {
  const groups = Map.groupBy(
    members.filter(({ group }) => group !== undefined),
    ({ group }) => group,
  );
  return [...groups.values()].flatMap((group) => [
    ...failures(group, nowMs),
    ...releases(group, nowMs),
  ]);
};

const isReady = ({ machine: { context } }: Member): boolean =>
  context.waiting.some(({ gate }) => gate === 'group');

const releases = (group: readonly Member[], nowMs: number): readonly GroupNews[] => {
  const tried = group.filter(({ machine }) => onTrial.has(machine.phase));
  if (!tried.every((one) => isReady(one) || one.machine.context.released)) return [];
  return tried
    .filter(isReady)
    .map(({ id }): GroupNews => ({ id, event: { type: 'released', nowMs } }));
};

const failures = (group: readonly Member[], nowMs: number): readonly GroupNews[] =>
  group.flatMap(({ id, machine }): GroupNews[] => {
    if (!isInvolved(machine, nowMs)) return [];
    const failed = group.find(
      (other) => other.id !== id && (failedMs(other.machine) ?? 0) >= machine.context.startedMs,
    );
    if (!failed) return [];
    const why = failed.machine.context.reason;
    return [{ id, event: { type: 'peerFailed', peer: failed.id, why, nowMs } }];
  });

const isInvolved = ({ phase, context }: RolloutState, nowMs: number): boolean =>
  onTrial.has(phase) ||
  phase === 'promoting' ||
  (phase === 'succeeded' && nowMs < context.watchUntilMs);

/** Undefined unless its last trial ended in a rollback. */
const failedMs = ({ phase, context }: RolloutState): number | undefined => {
  if (phase !== 'rollingBack' && phase !== 'failed') return undefined;
  const entry = context.history.findLast(({ state }) => state === 'rollingBack');
  return entry?.atMs ?? context.enteredMs;
};
