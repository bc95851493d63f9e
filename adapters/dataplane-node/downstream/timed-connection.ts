// A caller's connection, which may do nothing for so long only.
import { Deadline } from '../deadlines.ts';
import type { PlaneContext } from '../exchange/context.ts';

export abstract class TimedConnection extends Deadline {
  abstract readonly context: PlaneContext;

  /** 0 is never. */
  protected armIn(ms: number): void {
    const { deadlines } = this.context;
    deadlines.arm(this, ms === 0 ? Number.POSITIVE_INFINITY : deadlines.now + ms);
  }
}
