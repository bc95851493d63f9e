// Verdicts in words, with the numbers an operator asks for.
import type { Verdict } from '../model/verdict.ts';
import type { Weighed } from './evidence.ts';
import { type JudgeFacts, suspicionAt } from './facts.ts';
import type { Finding } from './readings.ts';
import type { AnalysisState } from './state.ts';

interface Judged {
  readonly state: AnalysisState;
  readonly facts: JudgeFacts;
  readonly verdict: Omit<Verdict, 'reason'>;
  readonly weighed: Weighed;
  readonly readings: Finding;
}

export const explain = (judged: Judged): string => {
  const { state, facts, verdict, weighed, readings } = judged;
  const { evidence } = verdict;
  const numbers = `${rates(verdict)}; e-value ${short(evidence.rollback)} of ${short(evidence.rollbackAt)} for rollback, ${short(evidence.promote)} of ${short(evidence.promoteAt)} for promotion`;
  if (verdict.outcome === 'fail')
    return evidence.rollback >= evidence.rollbackAt
      ? `worse than allowed in ${blame(weighed, evidence.readings)}: ${numbers}`
      : `${readings.fails ?? 'a metric is bad'}: ${numbers}`;
  if (verdict.outcome === 'error')
    return state.samples === 0
      ? 'no telemetry yet'
      : `no telemetry for ${Math.round((facts.nowMs - state.heardMs) / 1000)} s`;
  if (verdict.outcome === 'pass') return `not worse than the margins: ${numbers}`;
  return `${waitingFor(judged)}: ${numbers}`;
};

const waitingFor = ({ state, facts, verdict, readings }: Judged): string => {
  const { evidence } = verdict;
  if (verdict.baselineUnhealthy) return 'holding, the baseline itself is failing';
  if (evidence.rollback >= suspicionAt) return 'suspicious, not proven';
  if (verdict.futile) return `cannot be decided within the deadline${needed(evidence)}`;
  if (verdict.learning) return 'still learning what is normal';
  if (readings.waits) return `holding, ${readings.waits}`;
  if (evidence.promote < evidence.promoteAt) return `not enough evidence yet${needed(evidence)}`;
  const soaked = Math.round((facts.nowMs - facts.startedMs) / 1000);
  return `evidence suffices, soaking (${soaked} of ${Math.round(state.plan.minSoakMs / 1000)} s)`;
};

const needed = ({ requestsNeeded }: Verdict['evidence']): string =>
  requestsNeeded === undefined
    ? ''
    : `, about ${requestsNeeded} more canary request${requestsNeeded === 1 ? '' : 's'} needed`;

const blame = (
  { culprits, metrics }: Weighed,
  readings: Verdict['evidence']['readings'] = [],
): string => {
  const named = (culprit: string): string => {
    const reading = readings.find(({ metric }) => culprit === `value:${metric}`);
    return reading ? `metric "${reading.metric}", ${reading.reason}` : culprit;
  };
  if (culprits.length > 0) return culprits.slice(0, 3).map(named).join(', ');
  const worst = [...metrics].sort(
    (a, b) => b.rollback + Math.log(b.weight) - a.rollback - Math.log(a.weight),
  );
  return `${worst
    .slice(0, 2)
    .map(({ metric }) => metric)
    .join(' and ')} together`;
};

const rates = ({ evidence: { canary, baseline } }: Pick<Verdict, 'evidence'>): string =>
  `${canary.errors} of ${canary.requests} canary requests failed, ${baseline.errors} of ${baseline.requests} at the baseline; p99 ${Math.round(canary.p99Ms)} against ${Math.round(baseline.p99Ms)} ms`;

const short = (value: number): string => {
  if (value >= 1e6) return value.toExponential(1);
  return String(Number(value < 1 ? value.toFixed(2) : value.toPrecision(3)));
};
