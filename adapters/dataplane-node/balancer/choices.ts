// The endpoints of an upstream, ready to choose from: one set, or several where it matters how far away they are.
import type { Upstream } from '#engine/model/snapshot.ts';
import type { Random } from '#engine/ports/clock.ts';
import type { EndpointState } from '../upstream/endpoint.ts';
import type { Balancer, PickFacts } from './balancer.ts';
import { createBalancer } from './create-balancer.ts';
import { EndpointSet } from './endpoint-set.ts';
import { hash32 } from './hash.ts';
import { distance, shareLevels } from './levels.ts';

interface Level {
  readonly set: EndpointSet;
  readonly balancer: Balancer;
  /** Percent of the requests. */
  readonly load: number;
}

export class Choices {
  private readonly random: Random;
  /** Where this agent stands. */
  private readonly locality: string | undefined;
  private policy: Upstream['loadBalancing']['policy'] | undefined;
  private balancers: Balancer[] = [];
  private levels: readonly Level[] = [];

  constructor(random: Random, locality: string | undefined) {
    this.random = random;
    this.locality = locality;
  }

  update(
    plan: Upstream,
    listed: readonly EndpointState[],
    usable: ReadonlySet<EndpointState>,
  ): void {
    if (plan.loadBalancing.policy !== this.policy) this.balancers = [];
    this.policy = plan.loadBalancing.policy;
    const groups = this.group(plan, listed);
    const shares = shareLevels(
      groups.map((group) => ({
        healthy: group.filter((each) => usable.has(each)).length,
        total: group.length,
      })),
      plan.panicThreshold,
    );
    this.levels = groups.flatMap((group, at) => {
      const { load, isPanic } = shares[at] as (typeof shares)[number];
      const endpoints = isPanic ? group : group.filter((each) => usable.has(each));
      if (endpoints.length === 0) return [];
      const { slowStartMs } = plan.loadBalancing;
      const set = new EndpointSet(endpoints, { isPanic, slowStartMs });
      return [{ set, load, balancer: this.balancer(at, plan) }];
    });
  }

  get size(): number {
    let size = 0;
    for (const { set } of this.levels) size += set.size;
    return size;
  }

  has(endpoint: EndpointState): boolean {
    return this.levels.some(({ set }) => set.endpoints.includes(endpoint));
  }

  pick(facts: PickFacts, now: number): EndpointState | undefined {
    const level = this.levels.length > 1 ? this.level(facts) : this.levels[0];
    if (level === undefined) return undefined;
    const { set, balancer } = level;
    return set.size === 1 ? set.endpoints[0] : balancer.pick(set, facts, now);
  }

  /** By their shares; the same key always goes the same way. Those without one still take retries. */
  private level({ hashKey, avoid }: PickFacts): Level | undefined {
    const point =
      hashKey === undefined ? this.random() * 100 : (hash32(hashKey, LEVEL_SEED) % 10_000) / 100;
    let sum = 0;
    const chosen = this.levels.find(({ load }) => (sum += load) > point) ?? this.levels[0];
    const isOnlyFailed = chosen?.set.size === 1 && chosen.set.endpoints[0] === avoid;
    return isOnlyFailed ? this.levels.find((other) => other !== chosen) : chosen;
  }

  /** As in Istio, distance counts where it is known who is well: otherwise a dead zone would keep its callers. */
  private group(plan: Upstream, listed: readonly EndpointState[]): readonly EndpointState[][] {
    const { locality } = this;
    const isWatched = plan.outlierDetection !== undefined || plan.healthCheck !== undefined;
    if (locality === undefined || !isWatched || listed.every((each) => each.locality === undefined))
      return [[...listed]];
    const groups: [EndpointState[], EndpointState[], EndpointState[]] = [[], [], []];
    for (const each of listed) groups[distance(locality, each.locality)]?.push(each);
    return groups.filter((group) => group.length > 0);
  }

  private balancer(at: number, { loadBalancing }: Upstream): Balancer {
    return (this.balancers[at] ??= createBalancer(loadBalancing.policy, this.random));
  }
}

/** So that the choice of a level tells nothing about the choice within it. */
const LEVEL_SEED = 3;
