// Endpoints that this agent tries for the fleet: real requests, one at a time, and none for a while after a failure.
import type { EndpointState } from './endpoint.ts';

/** Control hears of the failure within a second; should it not, the next try is made after this. */
const PAUSE_MS = 5_000;

export class Probes {
  private readonly endpoints = new Map<EndpointState, { quietUntil: number }>();

  /** Those that have been on trial already go on as they were. */
  set(endpoints: readonly EndpointState[]): void {
    const wanted = new Set(endpoints);
    for (const each of this.endpoints.keys()) if (!wanted.has(each)) this.endpoints.delete(each);
    for (const each of wanted)
      if (!this.endpoints.has(each)) this.endpoints.set(each, { quietUntil: 0 });
  }

  /** One that may have the next request. A retry has failed once already and is not risked again. */
  next(isRetry: boolean, now: number): EndpointState | undefined {
    if (this.endpoints.size === 0 || isRetry) return undefined;
    for (const [endpoint, { quietUntil }] of this.endpoints)
      if (endpoint.active === 0 && endpoint.isHealthy && now >= quietUntil) return endpoint;
    return undefined;
  }

  report(endpoint: EndpointState, failed: boolean, now: number): void {
    const trial = this.endpoints.get(endpoint);
    if (trial && failed) trial.quietUntil = now + PAUSE_MS;
  }
}
