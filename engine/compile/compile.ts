// Turns policy documents into one snapshot per scope. Pure: the same input, in whatever order, gives the same bytes.
// Collects every diagnostic; a bad resource stays out, what depends on it is reported, and the rest applies.
import type { Source } from '../model/commit.ts';
import type { Diagnostic } from '../model/diagnostic.ts';
import type { Resource, ResourceId } from '../model/resource.ts';
import type { RolloutPlan } from '../model/rollout-plan.ts';
import type { Scope } from '../model/scope.ts';
import type { Snapshot } from '../model/snapshot.ts';
import type { Workload } from '../model/telemetry.ts';
import type { Capabilities } from '../ports/data-plane.ts';
import type { KeyAddress, KeySet } from '../ports/keys.ts';
import { attach } from './attach.ts';
import { keyAddressesOf, keyIssuersOf } from './build/authentication.ts';
import { groupWorkloads } from './build/group-workloads.ts';
import { rolloutPlan } from './build/rollouts.ts';
import { ownFindings } from './checks/own-checks.ts';
import { checkNames, checkReferences } from './checks/references.ts';
import { type Drafts, draftsOf } from './drafts.ts';
import { Findings } from './findings.ts';
import { plansOf } from './plans.ts';
import { checkFeatures, landingOf } from './scopes.ts';
import { snapshotsOf } from './snapshots.ts';
import type { StandingSet } from './standing.ts';
import { addWarnings } from './warnings.ts';

export interface CompileInput {
  readonly sources: ReadonlyMap<ResourceId, Source>;
  readonly standing: StandingSet;
  readonly workloads: readonly Workload[];
  /** Undefined while no agent of the scope is known; then nothing is refused on its behalf. */
  readonly capabilities: (scope: Scope) => Capabilities | undefined;
  /** Text of a file that a policy names (`jwksFile`, `secretFile`), or undefined if it cannot be read. */
  readonly files: (path: string) => string | undefined;
  /** Key sets that control fetched; absent where nobody fetches, and then `jwksUri` and `discovery` are refused. */
  readonly keys?: (address: KeyAddress) => KeySet | undefined;
}

export interface Compiled {
  readonly snapshots: ReadonlyMap<Scope, Snapshot>;
  readonly rollouts: readonly RolloutPlan[];
  /** By place. */
  readonly diagnostics: readonly Diagnostic[];
  readonly quarantined: readonly ResourceId[];
  /** Ids of standing decisions that policy itself now says. */
  readonly retired: readonly string[];
  /** Everything that passed its schema, defaults filled in. */
  readonly resources: ReadonlyMap<ResourceId, Resource>;
  /** Key sets to keep fresh for `keys`. */
  readonly keyAddresses: readonly KeyAddress[];
  /** The same by issuer: where to look when a token of his names an unknown key. */
  readonly keyIssuers: ReadonlyMap<string, readonly KeyAddress[]>;
}

export const compile = (input: CompileInput): Compiled => {
  const findings = new Findings();
  const drafts = draftsOf(input.sources, findings);
  const groups = groupWorkloads(input.workloads);
  for (const draft of drafts.all)
    for (const finding of ownFindings(draft)) findings.add(draft, finding);
  checkNames(drafts, findings);
  const fleet = { groups, capabilities: input.capabilities };
  const landing = landingOf(drafts, fleet);
  checkFeatures(drafts, { landing, fleet, fetchesKeys: input.keys !== undefined, findings });
  checkReferences({ drafts, findings });
  const plans = plansOf(drafts, input, findings);
  const broken = new Set(findings.quarantined);
  const attachments = attach(drafts, (id) => broken.has(id), findings);
  const built = snapshotsOf({
    drafts,
    groups,
    plans,
    attachments,
    standing: input.standing,
    findings,
  });
  addWarnings(drafts, built, findings);
  return {
    snapshots: built.snapshots,
    rollouts: rolloutsOf(drafts, findings),
    diagnostics: findings.diagnostics,
    quarantined: findings.quarantined,
    retired: built.retired,
    resources: new Map(drafts.all.map(({ id, resource }) => [id, resource])),
    keyAddresses: keyAddressesOf(drafts.of('Authentication')),
    keyIssuers: keyIssuersOf(drafts.of('Authentication')),
  };
};

/** Where the keys come from that these documents name, whatever else may be wrong with them. */
export const keyAddressesIn = (sources: CompileInput['sources']): readonly KeyAddress[] => {
  const named = new Map([...sources].filter(([id]) => id.startsWith('Authentication/')));
  return keyAddressesOf(draftsOf(named, new Findings()).of('Authentication'));
};

const rolloutsOf = (drafts: Drafts, findings: Findings): readonly RolloutPlan[] =>
  drafts.of('Rollout').flatMap((draft) => {
    const { metadata, spec } = draft.resource;
    const service = drafts.find('Service', metadata.namespace, spec.service);
    return service && findings.isGood(draft.id) ? [rolloutPlan(draft, service)] : [];
  });
