// Which scopes a resource lands in, and whether the data planes there can enforce what it asks for.
import type { Feature } from '../model/features.ts';
import type { ResourceId } from '../model/resource.ts';
import { edgeScope, type Scope, sidecarScope } from '../model/scope.ts';
import type { Capabilities } from '../ports/data-plane.ts';
import { servicesOf, type WorkloadGroup } from './build/sidecar.ts';
import { engineFeatures, needsOf, notCompiled } from './checks/features.ts';
import { formatPath } from './documents/path.ts';
import type { Drafts } from './drafts.ts';
import { type AnyDraft, compareText, type Draft, type Findings } from './findings.ts';

export interface Fleet {
  readonly groups: readonly WorkloadGroup[];
  /** Undefined while no agent of the scope is known; then nothing is refused on its behalf. */
  readonly capabilities: (scope: Scope) => Capabilities | undefined;
}

export type Landing = ReadonlyMap<ResourceId, ReadonlySet<Scope>>;

/** By names alone: a resource with errors of its own still lands where it says. */
export const landingOf = (drafts: Drafts, { groups }: Fleet): Landing => {
  const landing = new Map<ResourceId, Set<Scope>>();
  const land = (id: ResourceId, scopes: Iterable<Scope>): void => {
    const set = landing.get(id) ?? new Set<Scope>();
    landing.set(id, set);
    for (const scope of scopes) set.add(scope);
  };
  const services = drafts.of('Service');
  for (const gateway of drafts.of('Gateway')) {
    const { metadata, spec } = gateway.resource;
    const scope = edgeScope(metadata.name);
    land(gateway.id, [scope]);
    for (const { backend } of spec.listeners)
      if (backend)
        land(`Service/${backend.namespace ?? metadata.namespace}/${backend.service}`, [scope]);
  }
  for (const route of drafts.of('Route')) {
    const scopes = route.resource.spec.parentRefs
      .filter(({ kind }) => kind === 'Gateway')
      .map(({ name }) => edgeScope(name));
    land(route.id, scopes);
    for (const id of servicesNamed(route)) land(id, scopes);
  }
  const sidecars = new Map<ResourceId, Scope[]>();
  for (const group of groups)
    for (const { id } of servicesOf(group, services))
      sidecars.set(id, [...(sidecars.get(id) ?? []), scopeOf(group)]);
  const everywhere = [
    ...drafts.of('Gateway').map(({ resource }) => edgeScope(resource.metadata.name)),
    ...groups.map(scopeOf),
  ];
  for (const draft of drafts.all) {
    if ('targetRefs' in draft.resource.spec)
      for (const { kind, name, namespace } of draft.resource.spec.targetRefs) {
        const id = `${kind}/${namespace ?? draft.resource.metadata.namespace}/${name}`;
        if (kind === 'Mesh') land(draft.id, everywhere);
        else if (kind === 'Service') land(draft.id, sidecars.get(id as ResourceId) ?? []);
        else land(draft.id, landing.get(id as ResourceId) ?? []);
      }
    if (draft.kind === 'PeerAuthentication') land(draft.id, everywhere);
  }
  const asking = drafts.of('Authentication').flatMap(({ id }) => [...(landing.get(id) ?? [])]);
  for (const { id } of drafts.of('Consumer')) land(id, asking);
  return landing;
};

export const scopeOf = ({ namespace, name }: WorkloadGroup): Scope => sidecarScope(namespace, name);

export const servicesNamed = ({ resource }: Draft<'Route'>): readonly ResourceId[] =>
  resource.spec.rules.flatMap(({ backends, mirror }) =>
    [...(backends ?? []), ...(mirror ? [mirror] : [])].map(
      ({ service, namespace }): ResourceId =>
        `Service/${namespace ?? resource.metadata.namespace}/${service}`,
    ),
  );

/** Each part of a document that some scope cannot enforce is refused, naming the first such scope. */
export const checkFeatures = (
  drafts: Drafts,
  options: {
    readonly landing: Landing;
    readonly fleet: Fleet;
    readonly fetchesKeys: boolean;
    readonly findings: Findings;
  },
): void => {
  const { landing, fleet, fetchesKeys, findings } = options;
  const byEngine = new Set<Feature>(engineFeatures);
  if (fetchesKeys) byEngine.add('jwks-remote');
  const lacks = (draft: AnyDraft, feature: Feature): string | undefined => {
    if (byEngine.has(feature)) return undefined;
    if (notCompiled.has(feature) || feature === 'jwks-remote' || draft.kind === 'Rollout')
      return 'any scope';
    const scopes = [...(landing.get(draft.id) ?? [])].sort(compareText);
    return scopes.find((scope) => fleet.capabilities(scope)?.has(feature) === false);
  };
  for (const draft of drafts.all) {
    for (const { feature, path } of needsOf(draft.document)) {
      const scope = lacks(draft, feature);
      if (scope === undefined) continue;
      findings.add(draft, {
        code: 'ERR_POLICY_NOT_SUPPORTED',
        path,
        part: 'key',
        message: `${formatPath(path) || draft.kind} asks for "${feature}", which no data plane of ${scope} enforces`,
        hint: 'Leave it out, or serve the scope with a data plane that can.',
      });
    }
  }
};
