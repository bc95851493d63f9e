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

export interface Landing {
  /** In alphabetical order. */
  of(id: ResourceId): readonly Scope[];
}

/** By names alone: a resource with errors of its own still lands where it says. */
export const landingOf = (drafts: Drafts, { groups }: Fleet): Landing => {
  const landing = new Places();
  for (const gateway of drafts.of('Gateway')) landGateway(gateway, landing);
  for (const route of drafts.of('Route')) {
    const scopes = route.resource.spec.parentRefs
      .filter(({ kind }) => kind === 'Gateway')
      .map(({ name }) => edgeScope(name));
    for (const id of [route.id, ...servicesNamed(route)]) landing.add(id, scopes);
  }
  for (const { id, resource } of drafts.of('Rollout'))
    landing.add(id, landing.of(`Service/${resource.metadata.namespace}/${resource.spec.service}`));
  const sidecars = new Places();
  for (const group of groups)
    for (const { id } of servicesOf(group, drafts.of('Service')))
      sidecars.add(id, [scopeOf(group)]);
  const everywhere = [
    ...drafts.of('Gateway').map(({ resource }) => edgeScope(resource.metadata.name)),
    ...groups.map(scopeOf),
  ];
  for (const draft of drafts.all)
    if (draft.kind === 'PeerAuthentication') landing.add(draft.id, everywhere);
    else
      for (const { kind, id } of targetsOf(draft)) {
        if (kind === 'Mesh') landing.add(draft.id, everywhere);
        else landing.add(draft.id, (kind === 'Service' ? sidecars : landing).of(id));
      }
  const asking = drafts.of('Authentication').flatMap(({ id }) => landing.of(id));
  for (const { id } of drafts.of('Consumer')) landing.add(id, asking);
  return landing;
};

class Places implements Landing {
  readonly #scopes = new Map<ResourceId, Set<Scope>>();

  add(id: ResourceId, scopes: Iterable<Scope>): void {
    const known = this.#scopes.get(id) ?? new Set();
    this.#scopes.set(id, known);
    for (const scope of scopes) known.add(scope);
  }

  of(id: ResourceId): readonly Scope[] {
    return [...(this.#scopes.get(id) ?? [])].sort(compareText);
  }
}

const landGateway = ({ id, resource: { metadata, spec } }: Draft<'Gateway'>, to: Places): void => {
  const scopes = [edgeScope(metadata.name)];
  to.add(id, scopes);
  for (const { backend } of spec.listeners)
    if (backend)
      to.add(`Service/${backend.namespace ?? metadata.namespace}/${backend.service}`, scopes);
};

const targetsOf = ({ resource }: AnyDraft): readonly { kind: string; id: ResourceId }[] =>
  'targetRefs' in resource.spec
    ? resource.spec.targetRefs.map(({ kind, name, namespace }) => ({
        kind,
        id: `${kind}/${namespace ?? resource.metadata.namespace}/${name}` as ResourceId,
      }))
    : [];

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
  const identifying = identifyingScopes(drafts);
  if (fetchesKeys) byEngine.add('jwks-remote');
  /** Who cannot, as the end of a sentence; undefined if all can. */
  const lacking = (draft: AnyDraft, feature: Feature): string | undefined => {
    if (byEngine.has(feature)) return undefined;
    if (
      notCompiled.has(feature) ||
      (!fetchesKeys && (feature === 'jwks-remote' || feature === 'oidc')) ||
      feature.startsWith('rollout-')
    )
      return 'nothing enforces yet';
    const scopes = landing.of(draft.id);
    const scope = scopes.find((one) => fleet.capabilities(one)?.has(feature) === false);
    if (scope) return `no data plane of ${scope} enforces`;
    if (feature !== 'peer-principal' || !decides(draft)) return undefined;
    const anonymous = scopes.find((one) => !identifying.has(one));
    return anonymous && `callers of ${anonymous} do not show`;
  };
  for (const draft of drafts.all)
    for (const { feature, path } of needsOf(draft.document)) {
      const who = lacking(draft, feature);
      if (who === undefined || findings.hasErrorAt(draft.id, path)) continue;
      const what = path.length > 1 ? formatPath(path) : draft.kind;
      findings.add(draft, {
        code: 'ERR_POLICY_NOT_SUPPORTED',
        path,
        part: 'key',
        message: `${what} asks for "${feature}", which ${who}`,
        hint: feature === 'peer-principal' ? askForIdentity : otherDataPlane,
      });
    }
};

const otherDataPlane = 'Leave it out, or serve the scope with a data plane that can.';
const askForIdentity =
  'Ask for client certificates (tls.clientCertificate of a listener), or say "mode: audit" to see what it would do.';

/** Where callers can have an identity at all: a listener asks for their certificates. What comes in at sidecars is plain. */
const identifyingScopes = (drafts: Drafts): ReadonlySet<Scope> =>
  new Set(
    drafts
      .of('Gateway')
      .filter(({ resource }) =>
        resource.spec.listeners.some(
          ({ tls }) => (tls?.clientCertificate?.mode ?? 'none') !== 'none',
        ),
      )
      .map(({ resource }) => edgeScope(resource.metadata.name)),
  );

/** A policy that only watches may wait for identities that are not there yet. */
const decides = ({ resource }: AnyDraft): boolean =>
  resource.kind !== 'Authorization' ||
  (resource.spec.mode === 'enforce' && resource.spec.action !== 'AUDIT');
