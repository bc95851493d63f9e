// The endpoints that may be used now, ready to be drawn from by weight. Made anew when one comes, goes, or changes health.
import type { Random } from '#engine/ports/clock.ts';
import type { EndpointState } from '../upstream/endpoint.ts';

/** Least share of its weight that an endpoint gets at the start of its slow start. */
const SLOW_START_FLOOR = 0.1;
const MAX_DRAWS = 4;

export class EndpointSet {
  readonly endpoints: readonly EndpointState[];
  /** All endpoints although most are unhealthy: better some answers than none. */
  readonly isPanic: boolean;
  private readonly slowStartMs: number;
  /** Sums of weights; undefined when all are equal. */
  private readonly sums: Float64Array | undefined;

  constructor(
    endpoints: readonly EndpointState[],
    options: { readonly isPanic: boolean; readonly slowStartMs: number },
  ) {
    this.endpoints = endpoints;
    this.isPanic = options.isPanic;
    this.slowStartMs = options.slowStartMs;
    const first = endpoints[0]?.weight;
    if (endpoints.some((each) => each.weight !== first)) {
      let sum = 0;
      this.sums = Float64Array.from(endpoints, (each) => (sum += each.weight));
    }
  }

  get size(): number {
    return this.endpoints.length;
  }

  /** One endpoint, by weight. */
  draw(random: Random, now: number): EndpointState {
    let endpoint = this.drawAny(random);
    if (this.slowStartMs === 0) return endpoint;
    for (let i = 1; i < MAX_DRAWS && !this.isReady(endpoint, random, now); i++)
      endpoint = this.drawAny(random);
    return endpoint;
  }

  /** Another one than `other`, where there is one. */
  drawOther(other: EndpointState, random: Random, now: number): EndpointState {
    for (let i = 0; i < MAX_DRAWS; i++) {
      const endpoint = this.draw(random, now);
      if (endpoint !== other) return endpoint;
    }
    const index = this.endpoints.indexOf(other);
    return this.endpoints[(index + 1) % this.size] as EndpointState;
  }

  /** By chance false while the endpoint is in its slow start. */
  isReady(endpoint: EndpointState, random: Random, now: number): boolean {
    const age = now - endpoint.since;
    if (age >= this.slowStartMs) return true;
    return random() < Math.max(SLOW_START_FLOOR, age / this.slowStartMs);
  }

  private drawAny(random: Random): EndpointState {
    const sums = this.sums;
    if (sums === undefined)
      return this.endpoints[Math.floor(random() * this.size)] as EndpointState;
    const wanted = random() * (sums[sums.length - 1] as number);
    let low = 0;
    let high = sums.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((sums[middle] as number) > wanted) high = middle;
      else low = middle + 1;
    }
    return this.endpoints[low] as EndpointState;
  }
}
