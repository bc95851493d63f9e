// The operations on the policy canary. Commands are the leader's; any replica can say how things stand.
import type { Caller } from '#engine/model/api.ts';
import type { PolicyCanaryAnswer, PolicyCanaryRequest } from '#engine/model/policy-canary.ts';
import type { Leadership } from '../leadership.ts';
import type { PolicyCanaries } from '../policy-canaries.ts';

export const createPolicyCanaryApi = ({
  canaries,
  leadership,
}: {
  readonly canaries: PolicyCanaries;
  readonly leadership: Leadership;
}) => {
  const command =
    (type: 'promote' | 'abort') =>
    async (caller: Caller, { reason = '' }: PolicyCanaryRequest): Promise<PolicyCanaryAnswer> => {
      leadership.require();
      return { canary: await canaries.command(type, { by: caller.name, why: reason }) };
    };

  return {
    status: async (): Promise<PolicyCanaryAnswer> => {
      const canary = await canaries.status();
      return canary ? { canary } : {};
    },
    promote: command('promote'),
    abort: command('abort'),
  };
};
