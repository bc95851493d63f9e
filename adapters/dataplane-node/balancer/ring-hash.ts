// Ketama ring: an endpoint owns arcs in proportion to its weight; when one goes, only its own keys move.
import type { Random } from '#engine/ports/clock.ts';
import type { EndpointState } from '../upstream/endpoint.ts';
import type { Balancer } from './balancer.ts';
import type { EndpointSet } from './endpoint-set.ts';
import { hash32 } from './hash.ts';

const MIN_RING = 1024;
const MIN_ARCS = 32;

interface Ring {
  readonly positions: Uint32Array;
  readonly owners: readonly EndpointState[];
}

const buildRing = (set: EndpointSet): Ring => {
  const weights = set.endpoints.map((each) => each.weight);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const wanted = Math.max(MIN_RING / total, MIN_ARCS / Math.min(...weights));
  // In steps of two, so that the arcs of those that stay do not change with every endpoint that comes or goes.
  const arcsPerWeight = 2 ** Math.ceil(Math.log2(wanted));
  const points: { readonly at: number; readonly owner: EndpointState }[] = [];
  for (const owner of set.endpoints) {
    const arcs = Math.ceil(owner.weight * arcsPerWeight);
    for (let i = 0; i < arcs; i++) points.push({ at: hash32(`${owner.name}_${i}`), owner });
  }
  points.sort((a, b) => a.at - b.at || (a.owner.name < b.owner.name ? -1 : 1));
  return {
    positions: Uint32Array.from(points, (point) => point.at),
    owners: points.map((point) => point.owner),
  };
};

const firstAtOrAfter = (positions: Uint32Array, wanted: number): number => {
  let low = 0;
  let high = positions.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((positions[middle] as number) < wanted) low = middle + 1;
    else high = middle;
  }
  return low === positions.length ? 0 : low;
};

export const ringHash = (random: Random): Balancer => {
  let builtFor: EndpointSet | undefined;
  let ring: Ring = { positions: new Uint32Array(0), owners: [] };
  return {
    pick: (set, { hashKey, avoid }, now) => {
      if (hashKey === undefined) return set.draw(random, now);
      if (builtFor !== set) {
        ring = buildRing(set);
        builtFor = set;
      }
      let at = firstAtOrAfter(ring.positions, hash32(hashKey));
      // A retry goes to the next owner on the ring, so that retries of one key stay together too.
      for (let i = 1; ring.owners[at] === avoid && i < ring.owners.length; i++)
        at = (at + 1) % ring.owners.length;
      return ring.owners[at] as EndpointState;
    },
  };
};
