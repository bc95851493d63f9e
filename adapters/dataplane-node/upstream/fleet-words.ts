// What the fleet says about endpoints and retries, as it concerns this agent: decisions in the snapshot, and those made since.
import type { DecisionBody } from '#engine/model/decision.ts';
import { edgeOf } from '#engine/model/decision-reach.ts';
import type { PlaneView } from '#engine/ports/data-plane.ts';

/** open: keep away. probing: this agent, and no other, tries one request at a time. */
export type BreakerWord = 'open' | 'probing';

export interface FleetWords {
  /** By endpoint (`namespace/service@version/address:port`); the others are closed. */
  readonly breakers: ReadonlyMap<string, BreakerWord>;
  /** Percent of a service's requests that may be retries, by `namespace/service`. */
  readonly retryPercents: ReadonlyMap<string, number>;
}

export const fleetWords = (
  { scope, snapshot, overlay }: Pick<PlaneView, 'scope' | 'snapshot' | 'overlay'>,
  agent: string,
): FleetWords => {
  const breakers = new Map<string, BreakerWord>();
  const retryPercents = new Map<string, number>();
  const take = (body: DecisionBody): void => {
    if (body.type === 'breaker') {
      if (body.state === 'closed') breakers.delete(body.target);
      else {
        const isOurs = body.state === 'halfOpen' && body.prober === agent;
        breakers.set(body.target, isOurs ? 'probing' : 'open');
      }
    } else if (body.type === 'retry-budget') {
      const { source, service } = edgeOf(body.target);
      if (source === scope) retryPercents.set(service, body.percent);
    }
  };
  for (const { body } of snapshot.standing) take(body);
  for (const body of overlay.values()) take(body);
  return { breakers, retryPercents };
};
