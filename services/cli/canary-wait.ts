// Waits for a policy canary to be decided, and tells each step of it on the way.
import type { PolicyCanaryStatus } from '#engine/model/policy-canary.ts';
import { isOver, step } from './canary-view.ts';
import type { Client } from './client.ts';
import { CliError, exitCodes } from './exit.ts';
import { formatAge } from './output.ts';
import type { Session } from './session.ts';

const INTERVAL_MS = 1000;

/** Returns when it is promoted; throws what else became of it. */
export const waitForCanary = async (
  session: Session,
  client: Client,
  begun: PolicyCanaryStatus,
  timeoutMs: number,
): Promise<void> => {
  const { world } = session;
  const endMs = world.now() + timeoutMs;
  let told = 0;
  let now = begun;
  for (;;) {
    if (session.format() === 'table')
      for (const entry of now.history.slice(told)) world.out(step(now, entry));
    told = now.history.length;
    if (now.state === 'promoted') return session.print({ canary: now }, () => '');
    if (isOver(now.state))
      throw new CliError(exitCodes.failed, `r${now.revision} is ${now.state}: ${now.reason}`);
    if (world.stop.aborted) throw new CliError(exitCodes.failed, 'interrupted');
    if (world.now() >= endMs)
      throw new CliError(
        exitCodes.timedOut,
        `r${now.revision} is still ${now.state} after ${formatAge(timeoutMs)}: ${now.reason}`,
      );
    await world.sleep(INTERVAL_MS);
    const seen = (await look(client)) ?? now;
    if (seen.id !== begun.id)
      throw new CliError(
        exitCodes.failed,
        `r${seen.revision} of ${seen.author} has taken its place`,
      );
    now = seen;
  }
};

/** A moment without control is survived. */
const look = async (client: Client): Promise<PolicyCanaryStatus | undefined> => {
  try {
    return (await client.call('policy-canary.status')).canary;
  } catch (error) {
    const code = error instanceof CliError ? error.exitCode : undefined;
    if (code === exitCodes.unreachable || code === exitCodes.timedOut) return undefined;
    throw error;
  }
};
