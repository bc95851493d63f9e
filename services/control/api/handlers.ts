// Every operation of the table, implemented once.
import type { StandingSet } from '#engine/compile/standing.ts';
import type { ControlDeps, Parts } from '../parts.ts';
import { createBreakerApi } from './breakers.ts';
import type { Handlers } from './call.ts';
import { createExplain } from './explain.ts';
import { createFleetApi } from './fleet.ts';
import { createPolicyApi } from './policy.ts';
import { createPolicyCanaryApi } from './policy-canary.ts';
import { createRevocationApi } from './revocations.ts';
import { createRolloutApi } from './rollouts.ts';
import { createWait } from './wait.ts';

export const createHandlers = (
  parts: Parts,
  { time }: ControlDeps,
  saidRevision: () => number,
): Handlers => {
  const { news, ring } = parts;
  const standing = async (): Promise<StandingSet> =>
    ring.isLeading ? ring.standing : parts.recordedStanding();
  const waitUntilApplied = createWait({
    ...parts,
    time,
    saidRevision,
    news: (ms) => news.wait(ms),
  });
  const policy = createPolicyApi({ ...parts, time, waitUntilApplied });
  const canary = createPolicyCanaryApi(parts);
  const rollouts = createRolloutApi({ ...parts, time, standing });
  const breakers = createBreakerApi(parts);
  const troubles = async (): Promise<readonly string[]> => [
    ...(await rollouts.troubles()),
    ...(await breakers.troubles()),
  ];
  const fleet = createFleetApi({ ...parts, time, troubles });
  const revocations = createRevocationApi({ ...parts, time, standing });
  return {
    'policy.apply': policy.apply,
    'policy.diff': policy.diff,
    'policy.get': policy.get,
    'policy.delete': policy.delete,
    'policy.history': policy.history,
    'policy.rollback': policy.rollback,
    'policy-canary.status': canary.status,
    'policy-canary.promote': canary.promote,
    'policy-canary.abort': canary.abort,
    'policy.explain': createExplain({ ...parts, clock: time }),
    'fleet.status': fleet.status,
    'access.revoke': revocations.revoke,
    'access.restore': revocations.restore,
    'access.revocations': revocations.list,
    'breaker.status': breakers.status,
    'breaker.open': breakers.open,
    'breaker.close': breakers.close,
    'rollout.status': rollouts.status,
    'rollout.start': rollouts.start,
    'rollout.promote': rollouts.promote,
    'rollout.abort': rollouts.abort,
    'rollout.pause': rollouts.pause,
    'rollout.resume': rollouts.resume,
    'rollout.retry': rollouts.retry,
    'rollout.skip': rollouts.skip,
    'rollout.undo': rollouts.undo,
    'rollout.approve': rollouts.approve,
    'rollout.reject': rollouts.reject,
  };
};
