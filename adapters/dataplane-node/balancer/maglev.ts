// Maglev (Eisenbud et al., 2016): a prime table that the endpoints fill in turn, each by its own permutation.
import type { Random } from '#engine/ports/clock.ts';
import type { EndpointState } from '../upstream/endpoint.ts';
import type { Balancer } from './balancer.ts';
import type { EndpointSet } from './endpoint-set.ts';
import { hash32 } from './hash.ts';

const TABLE_SIZE = 65_537;

/** Index of the owner by slot. */
export const buildTable = (endpoints: readonly EndpointState[]): Int32Array => {
  const table = new Int32Array(TABLE_SIZE).fill(-1);
  const offsets = endpoints.map((each) => hash32(each.name, 1) % TABLE_SIZE);
  const skips = endpoints.map((each) => (hash32(each.name, 2) % (TABLE_SIZE - 1)) + 1);
  const heaviest = Math.max(...endpoints.map((each) => each.weight));
  const credits = endpoints.map(() => 0);
  let filled = 0;
  const claim = (index: number): void => {
    let slot = offsets[index] as number;
    const skip = skips[index] as number;
    while (table[slot] !== -1) slot = (slot + skip) % TABLE_SIZE;
    table[slot] = index;
    offsets[index] = (slot + skip) % TABLE_SIZE;
    filled++;
  };
  while (filled < TABLE_SIZE)
    for (let i = 0; i < endpoints.length && filled < TABLE_SIZE; i++) {
      // The heaviest claims in every round, others in proportion.
      credits[i] = (credits[i] as number) + (endpoints[i] as EndpointState).weight / heaviest;
      if ((credits[i] as number) < 1) continue;
      credits[i] = (credits[i] as number) - 1;
      claim(i);
    }
  return table;
};

export const maglev = (random: Random): Balancer => {
  let builtFor: EndpointSet | undefined;
  let table: Int32Array = new Int32Array(0);
  return {
    pick: (set, { hashKey, avoid }, now) => {
      if (hashKey === undefined) return set.draw(random, now);
      if (builtFor !== set) {
        table = buildTable(set.endpoints);
        builtFor = set;
      }
      const slot = hash32(hashKey) % TABLE_SIZE;
      const endpoint = set.endpoints[table[slot] as number] as EndpointState;
      if (endpoint !== avoid || set.size === 1) return endpoint;
      return set.endpoints[((table[slot] as number) + 1) % set.size] as EndpointState;
    },
  };
};
