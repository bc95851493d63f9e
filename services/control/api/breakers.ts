// The operations on breakers. Commands are the leader's; any replica can say how things stand.

import type { BreakerState } from '#engine/machines/breaker-types.ts';
import { lastingBreakers } from '#engine/machines/breakers.ts';
import type { BreakerAnswer, BreakerRequest, BreakerStatus, Caller } from '#engine/model/api.ts';
import { type FleetBreakers, loadBreakers } from '../breakers.ts';
import type { Leadership } from '../leadership.ts';
import type { MachineStore } from '../machine-store.ts';

export const createBreakerApi = ({
  breakers,
  machines,
  leadership,
}: {
  readonly breakers: FleetBreakers;
  readonly machines: MachineStore;
  readonly leadership: Leadership;
}) => {
  const answer = (states: readonly BreakerState[]): BreakerAnswer => ({
    breakers: states.map(statusOf).toSorted((a, b) => (a.endpoint < b.endpoint ? -1 : 1)),
  });

  const command =
    (type: 'forceOpen' | 'forceClose') =>
    async (caller: Caller, { endpoint, reason = '' }: BreakerRequest): Promise<BreakerAnswer> => {
      leadership.require();
      await breakers.force(type, { endpoint, by: caller.name, why: reason });
      const state = breakers.state.breakers[endpoint];
      return answer(state ? [state] : []);
    };

  return {
    status: async (): Promise<BreakerAnswer> => {
      const lasting = breakers.isRunning
        ? Object.values(lastingBreakers(breakers.state))
        : (await loadBreakers(machines)).records.flatMap((one) => Object.values(one.breakers));
      return answer(lasting);
    },
    /** A sentence for everything whose state was lost. */
    troubles: async (): Promise<readonly string[]> => {
      const lost = breakers.isRunning ? breakers.lost : (await loadBreakers(machines)).lost;
      return lost.map(
        ({ name, reason }) =>
          `breakers of ${name} went on with what was decided last: their state on record cannot be read: ${reason}`,
      );
    },
    open: command('forceOpen'),
    close: command('forceClose'),
  };
};

const statusOf = (state: BreakerState): BreakerStatus => {
  const { target, reason, openings, changedMs, dueMs, prober } = state.context;
  return {
    endpoint: target,
    state: state.phase,
    reason,
    openings,
    changedMs,
    ...(state.phase === 'open' && { openUntilMs: dueMs }),
    ...(state.phase === 'halfOpen' && prober !== undefined && { prober }),
  };
};
