// A revision to be: applied by `weir apply --canary`, tried by some agents, not committed yet.
import type { Change } from '#engine/model/commit.ts';
import type { ResourceId } from '#engine/model/resource.ts';
import { advance, type PolicyState } from './policy-state.ts';

export interface Candidate {
  /** Of the policy canary. */
  readonly id: string;
  /** Revision it was made against; on any other it counts for nothing. */
  readonly base: number;
  readonly author: string;
  readonly message: string;
  readonly changes: readonly Change[];
  readonly quarantined: readonly ResourceId[];
  /** Agents by scope. */
  readonly cohorts: Readonly<Record<string, readonly string[]>>;
}

/** As if it were committed; undefined once the policy set has moved on. */
export const stateWith = (
  state: PolicyState,
  { base, author, message, changes, quarantined }: Omit<Candidate, 'id' | 'cohorts'>,
): PolicyState | undefined =>
  base === state.revision
    ? advance(state, {
        v: 1,
        type: 'commit',
        revision: base + 1,
        author,
        message,
        atMs: 0,
        changes,
        quarantined,
      })
    : undefined;

/** Undefined if no release that this one knows wrote it. */
export const readCandidate = (value: unknown): Candidate | undefined => {
  const candidate = value as Partial<Candidate> | null | undefined;
  const isWhole =
    typeof candidate?.id === 'string' &&
    Number.isSafeInteger(candidate.base) &&
    typeof candidate.author === 'string' &&
    typeof candidate.message === 'string' &&
    Array.isArray(candidate.changes) &&
    Array.isArray(candidate.quarantined) &&
    typeof candidate.cohorts === 'object';
  return isWhole ? (candidate as Candidate) : undefined;
};
