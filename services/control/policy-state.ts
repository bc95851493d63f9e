// The fold of the commit log as control needs it: what was written last, and what last compiled.
//
// The rule for bad resources: a commit names every resource of the set that did not compile at that moment. What is not
// named is good as it stands. Of a resource that does not compile, the last good version stays in force if there is one.
// So the state follows from the log alone, on every replica and after every restart.
import {
  type Commit,
  emptyPolicySet,
  foldCommit,
  type PolicySet,
  type Source,
} from '#engine/model/commit.ts';
import type { ResourceId } from '#engine/model/resource.ts';

export interface PolicyState extends PolicySet {
  /** The version of each resource that compiled last. */
  readonly good: ReadonlyMap<ResourceId, Source>;
}

export const emptyPolicyState: PolicyState = { ...emptyPolicySet, good: new Map() };

export const advance = (state: PolicyState, commit: Commit): PolicyState => {
  const set = foldCommit(state, commit);
  const bad = new Set(commit.quarantined);
  const good = new Map<ResourceId, Source>();
  for (const [id, source] of set.sources) {
    const kept = bad.has(id) ? state.good.get(id) : source;
    if (kept) good.set(id, kept);
  }
  return { ...set, good };
};

/** The set with the last good version in the place of each resource named, where there is a different one. */
export const withLastGood = (
  state: PolicyState,
  bad: Iterable<ResourceId>,
): {
  readonly sources: ReadonlyMap<ResourceId, Source>;
  readonly replaced: readonly ResourceId[];
} => {
  const sources = new Map(state.sources);
  const replaced: ResourceId[] = [];
  for (const id of bad) {
    const good = state.good.get(id);
    if (!good || good.text === state.sources.get(id)?.text) continue;
    sources.set(id, good);
    replaced.push(id);
  }
  return { sources, replaced };
};

/** A commit's worth of state, written now and then so that replay is short. */
export interface Checkpoint {
  readonly v: 1;
  readonly type: 'checkpoint';
  readonly revision: number;
  /** Sequence of the commit it was taken after. */
  readonly sequence: number;
  readonly sources: readonly (readonly [ResourceId, Source])[];
  /** Only where it differs from `sources`. */
  readonly good: readonly (readonly [ResourceId, Source | null])[];
}

export const checkpointOf = (state: PolicyState, sequence: number): Checkpoint => {
  const good: [ResourceId, Source | null][] = [];
  for (const [id, source] of state.sources) {
    const kept = state.good.get(id);
    if (kept !== source) good.push([id, kept ?? null]);
  }
  return {
    v: 1,
    type: 'checkpoint',
    revision: state.revision,
    sequence,
    sources: [...state.sources],
    good,
  };
};

export const stateOf = (checkpoint: Checkpoint): PolicyState => {
  const sources = new Map(checkpoint.sources);
  const good = new Map(sources);
  for (const [id, source] of checkpoint.good)
    if (source) good.set(id, source);
    else good.delete(id);
  return { revision: checkpoint.revision, sources, good };
};
