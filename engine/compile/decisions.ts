// What standing decisions mean for the policy as it is written now.
import type { StandingDecision } from '../model/decision.ts';
import { concerns, type Reachable } from '../model/decision-reach.ts';
import type { Scope } from '../model/scope.ts';
import { baselineOf } from './build/services.ts';
import type { Drafts } from './drafts.ts';
import { compareText, type Findings } from './findings.ts';
import type { StandingSet } from './standing.ts';

export interface Decisions {
  /** In the order of their ids. */
  readonly inForce: readonly StandingDecision[];
  readonly byId: ReadonlyMap<string, StandingDecision>;
  /** Policy itself says the same. */
  readonly retired: readonly string[];
}

const TOTAL = 10_000;

export const decisionsOf = (
  standing: StandingSet,
  drafts: Drafts,
  findings: Findings,
): Decisions => {
  const retired: string[] = [];
  const inForce: StandingDecision[] = [];
  for (const decision of [...standing.values()].sort((a, b) => compareText(a.id, b.id))) {
    const { body } = decision;
    // Without a decision an endpoint is what a closed breaker says it is.
    if (body.type === 'breaker' && body.state === 'closed') {
      retired.push(decision.id);
      continue;
    }
    const [namespace = '', name = ''] = body.target.split('/');
    const service = body.type === 'split' ? drafts.find('Service', namespace, name) : undefined;
    if (body.type !== 'split' || !service) {
      inForce.push(decision);
      continue;
    }
    const versions = service.resource.spec.versions.map((version) => version.name);
    const unknown = Object.keys(body.weights).filter((version) => !versions.includes(version));
    for (const version of unknown.filter((one) => body.weights[one] !== 0).sort(compareText))
      findings.warn({
        code: 'WARN_DECISION_VERSION',
        message: `decision ${decision.id} gives traffic to ${version}, which ${service.id} does not have`,
        hint: 'Its share goes to the baseline. Withdraw the decision, or bring the version back.',
        resource: service.id,
      });
    const baseline = baselineOf(service.resource);
    const isAlone = body.cohort === undefined && body.mirror === undefined;
    if (isAlone && baseline !== undefined && body.weights[baseline] === TOTAL)
      retired.push(decision.id);
    else inForce.push(decision);
  }
  return { retired, inForce, byId: new Map(inForce.map((decision) => [decision.id, decision])) };
};

/** The decisions that a snapshot contains: those about its own parts, and every revocation. */
export const decisionsIn = (
  scope: Scope,
  parts: Reachable,
  inForce: readonly StandingDecision[],
): readonly StandingDecision[] => inForce.filter(({ body }) => concerns(body, scope, parts));
