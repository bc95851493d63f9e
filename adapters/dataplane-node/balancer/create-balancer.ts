// The balancer that a Service asks for.
import type { Upstream } from '#engine/model/snapshot.ts';
import type { Random } from '#engine/ports/clock.ts';
import type { Balancer } from './balancer.ts';
import { maglev } from './maglev.ts';
import { ringHash } from './ring-hash.ts';
import { roundRobin } from './round-robin.ts';
import { twoChoices } from './two-choices.ts';

export const createBalancer = (
  policy: Upstream['loadBalancing']['policy'],
  random: Random,
): Balancer => {
  switch (policy) {
    case 'LeastLatency':
      return twoChoices((endpoint, now) => endpoint.cost(now), random);
    case 'LeastRequest':
      return twoChoices((endpoint) => endpoint.active / endpoint.weight, random);
    case 'RoundRobin':
      return roundRobin(random);
    case 'Random':
      return {
        pick: (set, { avoid }, now) =>
          avoid && set.size > 1 ? set.drawOther(avoid, random, now) : set.draw(random, now),
      };
    case 'RingHash':
      return ringHash(random);
    case 'Maglev':
      return maglev(random);
  }
};
