// Where a caller's connection came in.
import type { Deadline } from '../deadlines.ts';
import type { PortPlan } from './listener-plan.ts';

export interface ConnectionHome {
  /** Replaced when policy changes; a request keeps the one that it began with. */
  readonly plan: PortPlan;
  readonly isClosing: boolean;
  forget(connection: Deadline): void;
}
