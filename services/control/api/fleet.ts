// What the fleet looks like from here.
import type { FleetAnswer } from '#engine/model/api.ts';
import type { Fleet } from '../fleet.ts';
import type { Leadership } from '../leadership.ts';
import type { PolicyLog } from '../policy-log.ts';
import { newestFor, type Published } from '../published.ts';
import type { Time } from '../time.ts';

export interface FleetApiDeps {
  readonly policy: PolicyLog;
  readonly fleet: Fleet;
  readonly published: Published;
  readonly leadership: Leadership;
  readonly time: Time;
  /** What stands still, or began anew. */
  readonly troubles: () => Promise<readonly string[]>;
}

export const createFleetApi = ({
  policy,
  fleet,
  published,
  leadership,
  ...deps
}: FleetApiDeps) => ({
  status: async (): Promise<FleetAnswer> => ({
    revision: policy.state.revision,
    leader: leadership.leader,
    agents: fleet.statuses(
      deps.time.monotonic(),
      (scope, agent) => newestFor(published.of(scope), agent),
      deps.time.now(),
    ),
    // Read from the bus by a follower; without it the rest is still worth telling.
    troubles: await deps.troubles().catch(() => []),
  }),
});
