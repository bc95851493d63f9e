// Smooth weighted round robin: over any stretch every endpoint gets its share, and heavy ones do not come in bursts.
import type { Random } from '#engine/ports/clock.ts';
import type { EndpointState } from '../upstream/endpoint.ts';
import type { Balancer } from './balancer.ts';
import type { EndpointSet } from './endpoint-set.ts';

export const roundRobin = (random: Random): Balancer => {
  let builtFor: EndpointSet | undefined;
  let credits = new Float64Array(0);

  const next = (set: EndpointSet): EndpointState => {
    if (builtFor !== set) {
      builtFor = set;
      // Many proxies start at the same time; they must not all start with the same endpoint.
      credits = Float64Array.from(set.endpoints, () => random() * 0.5);
    }
    let best = 0;
    let total = 0;
    for (let i = 0; i < set.size; i++) {
      const { weight } = set.endpoints[i] as EndpointState;
      credits[i] = (credits[i] as number) + weight;
      total += weight;
      if ((credits[i] as number) > (credits[best] as number)) best = i;
    }
    credits[best] = (credits[best] as number) - total;
    return set.endpoints[best] as EndpointState;
  };

  return {
    pick: (set, { avoid }, now) => {
      let endpoint = next(set);
      for (let i = 0; i < 3; i++) {
        if (endpoint !== avoid && set.isReady(endpoint, random, now)) return endpoint;
        endpoint = next(set);
      }
      return endpoint;
    },
  };
};
