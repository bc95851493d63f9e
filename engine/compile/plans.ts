// Compiles policies that can be compiled without knowing where they apply.
import type { AuthenticationPlan, AuthorizationPlan, QuotaPlan } from '../model/snapshot.ts';
import { authenticationPlan, type KeySources } from './build/authentication.ts';
import { authorizationPlan, policyKey, quotaPlan } from './build/policies.ts';
import type { Drafts } from './drafts.ts';
import type { Findings } from './findings.ts';

/** By `namespace/name`. */
export interface Plans {
  readonly authentications: ReadonlyMap<string, AuthenticationPlan>;
  readonly authorizations: ReadonlyMap<string, AuthorizationPlan>;
  readonly quotas: ReadonlyMap<string, QuotaPlan>;
}

export const plansOf = (drafts: Drafts, sources: KeySources, findings: Findings): Plans => {
  const authentications = new Map<string, AuthenticationPlan>();
  for (const draft of drafts.of('Authentication')) {
    const plan = authenticationPlan(draft, sources, findings);
    if (plan && findings.isGood(draft.id)) authentications.set(policyKey(draft), plan);
  }
  return {
    authentications,
    authorizations: new Map(
      drafts.of('Authorization').map((draft) => [policyKey(draft), authorizationPlan(draft)]),
    ),
    quotas: new Map(drafts.of('Quota').map((draft) => [policyKey(draft), quotaPlan(draft)])),
  };
};
