// Who tries a revision: of each scope that it changes some agents, and never all.
import { chooseCohort } from '#engine/machines/policy-canary.ts';
import { EngineError } from '#engine/model/errors.ts';
import type { CanaryOptions } from '#engine/model/policy-canary.ts';
import type { Scope } from '#engine/model/scope.ts';
import type { Fleet } from './fleet.ts';

/** Throws ERR_CANARY_STATE where there is nobody to try it, or nobody to compare with. */
export const cohortsOf = (
  fleet: Fleet,
  scopes: readonly Scope[],
  { id, percent, count }: CanaryOptions & { readonly id: string },
) => {
  const cohorts: Record<string, readonly string[]> = {};
  const sizes: Record<string, number> = {};
  const alone: string[] = [];
  for (const scope of scopes) {
    const live = fleet
      .live(scope)
      .filter(({ beat: { state } }) => state === 'live' || state === 'static');
    const agents = live.map(({ beat }) => beat.agent);
    const cohort = chooseCohort(agents, {
      id,
      ...(percent !== undefined && { percent }),
      ...(count !== undefined && { count }),
    });
    if (cohort) cohorts[scope] = cohort;
    else if (agents.length === 1) alone.push(scope);
    sizes[scope] = agents.length;
  }
  if (scopes.length === 0)
    throw refuse('it changes nothing that an agent enforces; apply it without a canary');
  if (alone.length > 0)
    throw refuse(
      `only one agent serves ${alone.join(', ')}, so there would be none to compare it with; start another one, or apply it without a canary`,
    );
  if (Object.keys(cohorts).length === 0)
    throw refuse(`no agent serves ${scopes.join(', ')}; apply it without a canary`);
  return { cohorts, sizes };
};

export const refuse = (message: string): EngineError =>
  new EngineError('ERR_CANARY_STATE', message, { source: 'caller' });
