// The two boundaries of each metric: what is worse enough to roll back, and what is good enough to promote. Each is a
// ratio to the baseline or a rate, whichever is larger.
import type { AnalysisPlan } from '../model/rollout-plan.ts';
import { isErrors, type LatencyMetric, tails } from './state.ts';

export interface Margins {
  readonly maxRatio: number;
  /** 0: the ratio alone decides. */
  readonly maxRate: number;
  /** Absent where promotion does not ask. */
  readonly promote?: { readonly ratio: number; readonly rate: number };
}

export const marginsOf = (plan: AnalysisPlan, metric: string): Margins => {
  if (isErrors(metric)) {
    const promote = { ratio: plan.promoteErrorRatio, rate: plan.promoteErrorRate };
    const margins = { maxRatio: plan.maxErrorRatio, maxRate: plan.maxErrorRate };
    // Endpoint groups are too many and too small to prove each of them good; the total is.
    return metric === 'errors' ? { ...margins, promote } : margins;
  }
  // A threshold is where about `tail` of the baseline's requests are slower. Where latencies are so alike that hardly any
  // is, ratios say nothing: then half the tail is not yet worse, and no more than the tail is good enough.
  const tail = tails[metric as LatencyMetric];
  const margins = { maxRatio: plan.maxLatencyRatio, maxRate: tail / 2 };
  const { p90, p99 } = plan.promoteLatencyRatio;
  if (metric === 'latency-p90') return { ...margins, promote: { ratio: p90, rate: tail } };
  if (metric === 'latency-p99') return { ...margins, promote: { ratio: p99, rate: tail } };
  return margins;
};
