// Bounds retries to a share of what is under way, so that a failing upstream is not buried by them. When the fleet as a
// whole retries too much, control sets a share of all requests instead: it holds however few are under way.
import type { RetryPlan } from '#engine/model/snapshot.ts';

/** Retries saved up in quiet times under a limit, at most. */
const MAX_SAVED = 10;

export class RetryBudget {
  /** Retries waiting or under way. */
  active = 0;
  private percent: number | undefined;
  private saved = 0;

  /** By decision; undefined lifts it. */
  limit(percent: number | undefined): void {
    if (percent !== this.percent) this.saved = 0;
    this.percent = percent;
  }

  /** A request comes in, not a retry. */
  earn(): void {
    if (this.percent !== undefined)
      this.saved = Math.min(MAX_SAVED, this.saved + this.percent / 100);
  }

  admits(plan: Pick<RetryPlan, 'budgetPercent' | 'minRetries'>, activeRequests: number): boolean {
    if (this.percent !== undefined && this.saved < 1) return false;
    const share = Math.floor((activeRequests * plan.budgetPercent) / 100);
    return this.active < Math.max(plan.minRetries, share);
  }

  begin(): void {
    this.active++;
    if (this.percent !== undefined) this.saved = Math.max(0, this.saved - 1);
  }

  end(): void {
    this.active--;
  }
}
