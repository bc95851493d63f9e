// Waits for one trial of one version to end, and tells each step of it on the way.
import type { RolloutStatus } from '#engine/model/api.ts';
import type { Client } from './client.ts';
import { CliError, exitCodes } from './exit.ts';
import { formatAge } from './output.ts';
import type { Session } from './session.ts';

const INTERVAL_MS = 1000;

/** Returns when it is promoted; throws what else became of it. `begun` is what its start was answered with. */
export const waitForRollout = async (
  session: Session,
  client: Client,
  begun: RolloutStatus,
  timeoutMs: number,
): Promise<void> => {
  const { world } = session;
  const endMs = world.now() + timeoutMs;
  const [namespace, name] = begun.id.split('/');
  let told = Number.NEGATIVE_INFINITY;
  let now = begun;
  for (;;) {
    if (session.format() === 'table')
      for (const { atMs, state, weight, reason } of now.history) {
        if (atMs <= told || atMs < begun.startedMs) continue;
        told = atMs;
        const at = `+${formatAge(atMs - begun.startedMs)}`;
        world.out(`${at.padEnd(6)} ${state.padEnd(12)} ${`${weight}%`.padStart(5)}  ${reason}\n`);
      }
    const outcome = outcomeOf(now, begun);
    if (outcome === 'promoted') return session.print({ rollouts: [now] }, () => '');
    if (outcome !== undefined) throw new CliError(exitCodes.failed, `${now.id} ${outcome}`);
    if (world.stop.aborted) throw new CliError(exitCodes.failed, 'interrupted');
    if (world.now() >= endMs)
      throw new CliError(
        exitCodes.timedOut,
        `${now.id} is still ${now.state} after ${formatAge(timeoutMs)}: ${now.reason}`,
      );
    await world.sleep(INTERVAL_MS);
    now = (await look(client, { namespace, name })) ?? now;
  }
};

/** A moment without control is survived. */
const look = async (client: Client, request: object): Promise<RolloutStatus | undefined> => {
  try {
    return (await client.call('rollout.status', request)).rollouts[0];
  } catch (error) {
    const code = error instanceof CliError ? error.exitCode : undefined;
    if (code === exitCodes.unreachable || code === exitCodes.timedOut) return undefined;
    throw error;
  }
};

/** Undefined while it goes on. */
const outcomeOf = (now: RolloutStatus, begun: RolloutStatus): string | undefined => {
  const { state, canary, baseline, reason } = now;
  // The policy may confirm a promotion before we look again.
  if (state === 'idle') return baseline === begun.canary ? 'promoted' : `has ended: ${reason}`;
  if (canary !== begun.canary) return `went on with ${canary ?? 'nothing'}: ${reason}`;
  if (state === 'succeeded') return 'promoted';
  if (state === 'failed' || state === 'broken') return `has ${state}: ${reason}`;
  return undefined;
};
