// One address of an upstream: its idle connections, what is going on there, and how well it is doing.
import { endpointName } from '#engine/model/endpoint.ts';
import type { UpstreamEndpoint } from '#engine/model/snapshot.ts';
import type { IdleConnection } from './client.ts';
import type { BreakerWord } from './fleet-words.ts';

/** Time constant of the latency average. */
const DECAY_MS = 10_000;

export class EndpointState {
  readonly address: string;
  readonly port: number;
  /** `address:port` */
  readonly name: string;
  weight: number;
  /** `region/zone`, where it is known. */
  locality: string | undefined;
  /** Requests under way. */
  active = 0;
  /** Newest last. */
  readonly idle: IdleConnection[] = [];
  /** False once policy no longer lists it. */
  isListed = true;
  /** Verdict of the active health check. */
  isHealthy = true;
  isEjected = false;
  /** What the fleet has found; undefined while nothing is wrong. */
  word: BreakerWord | undefined;
  /** Tries since they were last told to the fleet. */
  requests = 0;
  failures = 0;
  failedAt = Number.NEGATIVE_INFINITY;
  /** Start of its slow start: when it was added, or came back. Monotonic milliseconds. */
  since: number;
  private latencyMs = 0;
  private measuredAt = 0;

  constructor(endpoint: UpstreamEndpoint, now: number) {
    this.address = endpoint.address;
    this.port = endpoint.port;
    this.name = endpointName(endpoint);
    this.weight = endpoint.weight;
    this.locality = endpoint.locality;
    this.since = now;
  }

  /** What policy says of it now; the address is the same. */
  update({ weight, locality }: UpstreamEndpoint): void {
    this.weight = weight;
    this.locality = locality;
  }

  /** By this agent's own experience. */
  get isUsable(): boolean {
    return this.isHealthy && !this.isEjected;
  }

  /** Peak-sensitive moving average: jumps up at once, comes down slowly. */
  observe(latencyMs: number, now: number): void {
    if (latencyMs >= this.latencyMs || this.measuredAt === 0) this.latencyMs = latencyMs;
    else {
      const share = 1 - Math.exp((this.measuredAt - now) / DECAY_MS);
      this.latencyMs += (latencyMs - this.latencyMs) * share;
    }
    this.measuredAt = now;
  }

  /** Expected wait of one more request, relative to others; what has never been measured is tried first, once. */
  cost(now: number): number {
    if (this.measuredAt === 0) return this.active === 0 ? 0 : 1000 * (this.active + 1);
    const idleMs = now - this.measuredAt;
    const latency = idleMs > 100 ? this.latencyMs * Math.exp(-idleMs / DECAY_MS) : this.latencyMs;
    return (latency + 0.01) * (this.active + 1);
  }
}
