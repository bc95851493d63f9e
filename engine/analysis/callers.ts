// Callers that stay with their version are not drawn anew for every request: a few who cause most of the errors make two
// identical versions really differ. How uneven errors are among groups of callers, so far, is how much less evidence counts.
import { stickyGroups } from '../model/sticky.ts';
import type { StickyErrors } from '../model/telemetry.ts';
import { mostDispersion } from './dispersion.ts';
import type { AnalysisState } from './state.ts';

/** Fewer errors say nothing about callers. */
const minErrors = 20;

type Known = Pick<AnalysisState, 'callers' | 'dispersion'>;

export const addCallers = (
  { callers, dispersion, service }: Known & Pick<AnalysisState, 'service'>,
  series: readonly StickyErrors[] = [],
): Partial<Known> => {
  const own = series.filter((one) => one.service === service);
  if (own.length === 0) return {};
  const counts = [...(callers ?? Array.from({ length: stickyGroups }, () => 0))];
  for (const { errors } of own)
    for (let at = 0; at + 1 < errors.length; at += 2) {
      const group = errors[at] ?? 0;
      if (group < stickyGroups) counts[group] = (counts[group] ?? 0) + (errors[at + 1] ?? 0);
    }
  const errors = Math.min(mostDispersion, Math.max(dispersion.errors, unevenness(counts)));
  return { callers: counts, dispersion: { ...dispersion, errors } };
};

/** Variance over mean of the groups' errors, less one standard error; 1 where callers are alike. */
const unevenness = (counts: readonly number[]): number => {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total < minErrors) return 1;
  const mean = total / counts.length;
  const squares = counts.reduce((sum, count) => sum + (count - mean) ** 2, 0);
  const ratio = squares / ((counts.length - 1) * mean);
  return ratio - Math.sqrt((2 + 1 / mean) / counts.length);
};
