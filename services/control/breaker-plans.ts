// Which endpoints the fleet has breakers for: those of every Service whose outlier detection is shared.

import { type BreakerPlan, defaultBreakerPlan } from '#engine/machines/breaker-types.ts';
import type { Fleet as BreakerFleet, UpstreamFacts } from '#engine/machines/breakers.ts';
import { endpointId } from '#engine/model/endpoint.ts';
import type { Scope } from '#engine/model/scope.ts';
import type { OutlierPlan, Snapshot } from '#engine/model/snapshot.ts';
import type { Fleet } from './fleet.ts';

export const sharedUpstreams = (
  snapshots: ReadonlyMap<Scope, Snapshot>,
  fleet: Fleet,
): BreakerFleet => {
  const found = new Map<string, UpstreamFacts>();
  for (const [scope, { upstreams }] of snapshots) {
    const shared = Object.values(upstreams).filter((each) => each.outlierDetection?.shared);
    if (shared.length === 0) continue;
    const agents = fleet
      .live(scope)
      .filter(({ beat }) => beat.state === 'live')
      .map(({ beat }) => beat.agent);
    for (const { id, endpoints, outlierDetection } of shared) {
      const known = found.get(id);
      const names = endpoints.map((each) => endpointId(id, each));
      found.set(id, {
        endpoints: known ? [...new Set([...known.endpoints, ...names])] : names,
        agents: known ? [...new Set([...known.agents, ...agents])] : agents,
        plan: outlierDetection ? breakerPlan(outlierDetection) : defaultBreakerPlan,
      });
    }
  }
  return found;
};

/** What a Service says for each agent holds for the fleet too. */
export const breakerPlan = (plan: OutlierPlan): BreakerPlan => ({
  ...defaultBreakerPlan,
  minFailures:
    plan.consecutive5xxErrors || plan.consecutiveGatewayErrors || defaultBreakerPlan.minFailures,
  baseOpenMs: plan.baseEjectionTimeMs,
  maxOpenMs: Math.max(plan.baseEjectionTimeMs, plan.maxEjectionTimeMs),
  maxOpenShare: plan.maxEjectionPercent / 100,
});
