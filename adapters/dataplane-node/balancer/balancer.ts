// Chooses one of the endpoints that may be used.
import type { EndpointState } from '../upstream/endpoint.ts';
import type { EndpointSet } from './endpoint-set.ts';

/** What one pick may take into account, beside the set. */
export interface PickFacts {
  readonly hashKey: string | undefined;
  /** Endpoint of the try before; another one is preferred. */
  readonly avoid: EndpointState | undefined;
}

export interface Balancer {
  /** The set is never empty. */
  pick(set: EndpointSet, facts: PickFacts, now: number): EndpointState;
}
