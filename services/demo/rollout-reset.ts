// A server that already ran a demo remembers how that one's rollout ended; this one is to start from the beginning.
import type { RolloutStatus } from '#engine/model/api.ts';
import type { Admin } from './admin.ts';
import { waitFor } from './wait.ts';

const SETTLE_MS = 30_000;
const reason = 'a new demo begins';

const catalogOf = async (admin: Pick<Admin, 'rollouts'>): Promise<RolloutStatus | undefined> =>
  (await admin.rollouts()).rollouts.find(({ service }) => service === 'bibby/catalog-service');

/** All traffic is back at the baseline when it resolves. True: the new version must be named, as it is not new any more. */
export const endEarlierRollout = async (admin: Admin): Promise<boolean> => {
  const earlier = await catalogOf(admin);
  if (!earlier?.canary) return false;
  if (earlier.state !== 'failed' && earlier.state !== 'idle') {
    const [namespace = '', name = ''] = earlier.id.split('/');
    if (earlier.state !== 'rollingBack') await admin.rollout('abort', { namespace, name, reason });
    await waitFor(
      'taking back the rollout of an earlier demo',
      async () => ((await catalogOf(admin))?.state === 'failed' ? true : undefined),
      { timeoutMs: SETTLE_MS },
    );
  }
  return true;
};

/** Once the agent beside the new version is live. */
export const beginAgain = async (admin: Admin, agent: string): Promise<void> => {
  await waitFor(
    agent,
    async () => {
      const { agents } = await admin.fleet();
      return agents.some((one) => one.agent === agent && one.state === 'live') ? true : undefined;
    },
    { timeoutMs: SETTLE_MS },
  );
  const rollout = await catalogOf(admin);
  const [namespace = '', name = ''] = (rollout?.id ?? '').split('/');
  const verb = rollout?.state === 'failed' ? 'retry' : 'start';
  await admin.rollout(verb, {
    namespace,
    name,
    reason,
    ...(verb === 'start' ? { version: 'v1.1' } : {}),
  });
};
