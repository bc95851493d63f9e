// Compiles a policy set as it stands, with the last good version in the place of what does not compile.
import { type Compiled, type CompileInput, compile } from '#engine/compile/compile.ts';
import type { Source } from '#engine/model/commit.ts';
import type { ResourceId } from '#engine/model/resource.ts';
import { type PolicyState, withLastGood } from './policy-state.ts';

export type Surroundings = Omit<CompileInput, 'sources'>;

export interface PolicyResult extends Compiled {
  readonly revision: number;
  /** What does not compile as it was written last, whether or not an earlier version stands in for it. */
  readonly quarantined: readonly ResourceId[];
  /** Quarantined, and in force in their last good version. */
  readonly replaced: readonly ResourceId[];
}

export const compilePolicy = (state: PolicyState, around: Surroundings): PolicyResult => {
  const run = (sources: ReadonlyMap<ResourceId, Source>) => compile({ sources, ...around });
  const newest = run(state.sources);
  const { sources, replaced } = withLastGood(state, newest.quarantined);
  const inForce = replaced.length > 0 ? run(sources) : newest;
  return {
    ...inForce,
    revision: state.revision,
    quarantined: newest.quarantined,
    diagnostics: newest.diagnostics,
    replaced: replaced.filter((id) => !inForce.quarantined.includes(id)),
  };
};
