// The commit log: history, audit and source of record of the policy set.
import type { ResourceId } from './resource.ts';

export interface Commit {
  readonly v: 1;
  readonly type: 'commit';
  /** From 1, without gaps; expected-sequence writes make it the order of the world. */
  readonly revision: number;
  readonly author: string;
  readonly message: string;
  readonly atMs: number;
  readonly changes: readonly Change[];
  /** The policy canary that it came through. */
  readonly canary?: string;
  /** Every resource of the set that did not compile when this was committed; absent means none. */
  readonly quarantined?: readonly ResourceId[];
}

export type Change =
  | { readonly type: 'put'; readonly id: ResourceId; readonly source: Source }
  | { readonly type: 'delete'; readonly id: ResourceId };

/** A document as it was written, and where; diagnostics stay precise after any number of recompiles. */
export interface Source {
  readonly file: string;
  /** Line of the file at which `text` starts, from 1. */
  readonly line: number;
  readonly text: string;
}

/** The fold of the log up to and including `revision`: by resource id. */
export interface PolicySet {
  readonly revision: number;
  readonly sources: ReadonlyMap<ResourceId, Source>;
}

export const emptyPolicySet: PolicySet = { revision: 0, sources: new Map() };

export const foldCommit = (set: PolicySet, commit: Commit): PolicySet => {
  const sources = new Map(set.sources);
  for (const change of commit.changes)
    if (change.type === 'put') sources.set(change.id, change.source);
    else sources.delete(change.id);
  return { revision: commit.revision, sources };
};
