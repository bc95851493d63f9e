// What callers' connections have in common, whatever they speak: they may do nothing for so long only, and a defect ends its own.
import { Deadline } from '../deadlines.ts';
import { leaveRead } from '../event-rounds.ts';
import type { PlaneContext } from '../exchange/context.ts';

export abstract class TimedConnection extends Deadline {
  abstract readonly context: PlaneContext;

  abstract destroy(): void;

  onDefect(error: unknown): void {
    leaveRead();
    this.context.log('connection failed', error);
    this.destroy();
  }

  /** 0 is never. */
  protected armIn(ms: number): void {
    const { deadlines } = this.context;
    deadlines.arm(this, ms === 0 ? Number.POSITIVE_INFINITY : deadlines.now + ms);
  }
}
