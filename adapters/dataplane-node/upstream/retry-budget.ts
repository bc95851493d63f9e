// Bounds retries to a share of what is under way, so that a failing upstream is not buried by them.
import type { RetryPlan } from '#engine/model/snapshot.ts';

export class RetryBudget {
  /** Retries waiting or under way. */
  active = 0;

  admits(plan: Pick<RetryPlan, 'budgetPercent' | 'minRetries'>, activeRequests: number): boolean {
    const share = Math.floor((activeRequests * plan.budgetPercent) / 100);
    return this.active < Math.max(plan.minRetries, share);
  }
}
