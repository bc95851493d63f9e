// What callers are told: RateLimit and RateLimit-Policy (IETF draft), X-RateLimit-* as Kong names them, Retry-After.
import type { QuotaPlan } from '../../model/snapshot.ts';

export interface LimitNames {
  /** In RateLimit and RateLimit-Policy: a quoted name. */
  readonly policy: string;
  readonly limitHeader: string;
  readonly remainingHeader: string;
  readonly requests: string;
}

const periods: ReadonlyMap<number, string> = new Map([
  [1000, 'second'],
  [60_000, 'minute'],
  [3_600_000, 'hour'],
  [86_400_000, 'day'],
]);

export const limitNames = (plan: QuotaPlan): readonly LimitNames[] => {
  const quota = plan.id.slice(plan.id.lastIndexOf('/') + 1);
  return plan.limits.map(({ requests, windowMs }) => {
    const period = periods.get(windowMs) ?? `${Math.ceil(windowMs / 1000)}s`;
    return {
      policy: JSON.stringify(plan.limits.length > 1 ? `${quota}-${period}` : quota),
      limitHeader: `x-ratelimit-limit-${period}`,
      remainingHeader: `x-ratelimit-remaining-${period}`,
      requests: String(requests),
    };
  });
};

/** `"per-user";q=1000;w=3600` */
export const policyHeader = (plan: QuotaPlan): string => {
  const names = limitNames(plan);
  return plan.limits
    .map(({ requests, windowMs }, i) => `${names[i]?.policy};q=${requests};w=${seconds(windowMs)}`)
    .join(', ');
};

export const seconds = (ms: number): number => Math.max(1, Math.ceil(ms / 1000));
