// What is kept of a policy canary, and how the admin API tells it.
import {
  type CohortPlan,
  type CohortState,
  readCohortState,
  startCohort,
} from '#engine/analysis/cohort.ts';
import {
  type PolicyCanaryEffect,
  type PolicyCanaryState,
  readPolicyCanaryState,
} from '#engine/machines/policy-canary.ts';
import type { PolicyCanaryStatus } from '#engine/model/policy-canary.ts';
import type { Candidate } from './candidate.ts';

/** Persisted as JSON. */
export interface CanaryRecord {
  readonly v: 1;
  readonly machine: PolicyCanaryState;
  readonly analysis: CohortState | undefined;
  /** Grows with every transition that said something; names its events. */
  readonly turn: number;
  /** Recorded, perhaps not yet said. */
  readonly pending: readonly Announcement[];
}
type Announcement = Extract<PolicyCanaryEffect, { type: 'event' }>;

export interface Known {
  readonly record: CanaryRecord;
  readonly candidate: Candidate;
}

export const analysisPlan = (
  { context }: PolicyCanaryState,
  usual?: CohortPlan['usual'],
): CohortPlan => {
  const { id, revision, cohorts, sizes } = context;
  const share = ([scope, agents]: [string, readonly string[]]): [string, number] => [
    scope,
    (100 * agents.length) / Math.max(agents.length, sizes[scope] ?? 0),
  ];
  const shares = Object.fromEntries(Object.entries(cohorts).map(share));
  return { id, revision, cohorts, shares, ...(usual && { usual }) };
};

/** The evidence of very many scopes does not fit into one message: then it is gathered anew after a restart. */
export const savedRecord = (record: CanaryRecord): CanaryRecord =>
  JSON.stringify(record.analysis ?? null).length > MAX_EVIDENCE_BYTES
    ? { ...record, analysis: undefined }
    : record;

const MAX_EVIDENCE_BYTES = 512 * 1024;

/** Undefined if no release that this one knows wrote it. */
export const readRecord = (value: unknown): CanaryRecord | undefined => {
  const record = value as Partial<CanaryRecord>;
  const machine = readPolicyCanaryState(record.machine);
  if (record.v !== 1 || !machine || !Array.isArray(record.pending)) return undefined;
  const analysis = readCohortState(record.analysis);
  // Evidence that cannot be read is gathered anew.
  const isBlind = machine.phase === 'watching' && !analysis;
  const begun = isBlind ? startCohort(analysisPlan(machine), machine.context.enteredMs) : analysis;
  return { ...(record as CanaryRecord), machine, analysis: begun };
};

export const statusOf = ({ record, candidate }: Known): PolicyCanaryStatus => {
  const { phase, context } = record.machine;
  const { id, revision, author, cohorts, sizes, startedMs, deadlineMs } = context;
  const { reason, culprits, verdict, history } = context;
  return {
    id,
    revision,
    base: candidate.base,
    state: phase,
    author,
    message: candidate.message,
    changed: candidate.changes.map((change) => change.id),
    cohorts: Object.entries(cohorts).map(([scope, agents]) => ({
      scope,
      agents,
      of: sizes[scope] ?? agents.length,
    })),
    startedMs,
    deadlineMs,
    reason,
    culprits,
    verdict,
    history,
  };
};
