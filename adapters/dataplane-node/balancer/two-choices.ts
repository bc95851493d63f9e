// Power of two choices: draws two endpoints and takes the cheaper. Good spread without looking at every endpoint.
import type { Random } from '#engine/ports/clock.ts';
import type { EndpointState } from '../upstream/endpoint.ts';
import type { Balancer } from './balancer.ts';

export const twoChoices = (
  cost: (endpoint: EndpointState, now: number) => number,
  random: Random,
): Balancer => ({
  pick: (set, { avoid }, now) => {
    if (set.size === 1) return set.endpoints[0] as EndpointState;
    const first = avoid ? set.drawOther(avoid, random, now) : set.draw(random, now);
    const second = set.drawOther(first, random, now);
    if (second === avoid) return first;
    return cost(second, now) < cost(first, now) ? second : first;
  },
});
