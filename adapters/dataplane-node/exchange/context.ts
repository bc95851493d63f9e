// What an exchange needs of the plane around it.

import type { Pipeline } from '#engine/pipeline/exchange.ts';
import type { Clock, Random } from '#engine/ports/clock.ts';
import type { AccessEntry } from '../access.ts';
import type { Deadlines } from '../deadlines.ts';
import { type Admission, everybody } from '../l4/admission.ts';
import { noTargets, type Targets } from '../l4/targets.ts';
import type { Rush } from '../rush.ts';
import type { Samples } from '../samples.ts';
import type { UpstreamState } from '../upstream/upstream-state.ts';
import { HeaderProtection } from './header-protection.ts';

/** What is in force; an exchange keeps the one that it began with. */
export interface ActiveView {
  readonly pipeline: Pipeline;
  readonly protection: HeaderProtection;
  /** By upstream id. */
  readonly upstreams: ReadonlyMap<string, UpstreamState>;
  /** For connections that no Route speaks of. */
  readonly targets: Targets;
  readonly admission: Admission;
}

export const activeView = (
  pipeline: Pipeline,
  upstreams: ReadonlyMap<string, UpstreamState>,
  targets: Targets = noTargets,
  admission: Admission = everybody,
): ActiveView => ({
  pipeline,
  upstreams,
  targets,
  admission,
  protection: new HeaderProtection(pipeline),
});

export interface PlaneContext {
  readonly clock: Clock;
  readonly random: Random;
  readonly deadlines: Deadlines;
  readonly samples: Samples;
  readonly onAccess: ((entry: AccessEntry) => void) | undefined;
  readonly log: (message: string, error?: unknown) => void;
  /** New requests are better refused. */
  readonly isOverloaded: () => boolean;
  /** Replaced in one assignment. */
  active: ActiveView;
  readonly reusePort: boolean;
  /** As many callers are connected as may be. */
  readonly isFull: () => boolean;
  readonly rush: Rush;
  isDraining: boolean;
  /** Exchanges and copies of requests under way. */
  exchanges: number;
  mirrors: number;
}
