// Where a caller's connection came in.
import type { Pipeline } from '#engine/pipeline/exchange.ts';
import type { PortPlan } from './listener-plan.ts';

/** A caller's connection as its listener sees it, whatever it speaks. */
export interface CallerConnection {
  /** The next answer says that it is the last. `isIdleToo`: who asks for nothing is not waited for. */
  drain(isIdleToo: boolean): void;
  /** Ends what was let in by something that has been revoked since. */
  cutRevoked(pipeline: Pipeline): void;
  destroy(): void;
}

export interface ConnectionHome {
  /** Replaced when policy changes; a request keeps the one that it began with. */
  readonly plan: PortPlan;
  readonly isClosing: boolean;
  /** By other rules those inside might not have come in: they are not served again. */
  readonly isRetired: boolean;
  /** Returns it. */
  remember<Connection extends CallerConnection>(connection: Connection): Connection;
  forget(connection: CallerConnection): void;
}
