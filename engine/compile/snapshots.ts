// Puts the parts of each scope together: only what the scope needs, every record in the order of its keys.
import type { ResourceId } from '../model/resource.ts';
import { edgeScope, type Scope } from '../model/scope.ts';
import type { ConsumerPlan, Listener, Rule, Snapshot, Split, Upstream } from '../model/snapshot.ts';
import {
  type Attached,
  type Attachments,
  appliedTo,
  meshTarget,
  targetKey,
} from './build/attachments.ts';
import { backendOf, type Destination, destinationOf } from './build/destinations.ts';
import { listenersOf } from './build/listeners.ts';
import { consumerPlan, policyKey } from './build/policies.ts';
import { serviceKey } from './build/services.ts';
import { servicesOf, sidecarParts, type WorkloadGroup } from './build/sidecar.ts';
import { type Decisions, decisionsIn, decisionsOf } from './decisions.ts';
import type { Drafts } from './drafts.ts';
import { compareText, type Draft, type Findings } from './findings.ts';
import type { Plans } from './plans.ts';
import { type EdgeRules, edgeRules } from './routing/edge-rules.ts';
import { type LoginConflict, withLogins } from './routing/login-rules.ts';
import { type RouteRule, routeRules } from './routing/route-rules.ts';
import { scopeOf, servicesNamed } from './scopes.ts';
import type { StandingSet } from './standing.ts';

export interface SnapshotInput {
  readonly drafts: Drafts;
  readonly groups: readonly WorkloadGroup[];
  readonly plans: Plans;
  readonly attachments: Attachments;
  readonly standing: StandingSet;
  readonly findings: Findings;
}

export interface Snapshots {
  readonly snapshots: ReadonlyMap<Scope, Snapshot>;
  readonly retired: readonly string[];
  /** What the rules of each gateway turned out to be; for warnings. */
  readonly edges: readonly EdgeRules[];
  /** Everything that usable Routes forward to. */
  readonly destinations: ReadonlyMap<ResourceId, Destination>;
}

export const snapshotsOf = (input: SnapshotInput): Snapshots => {
  const { drafts, findings, groups } = input;
  const decisions = decisionsOf(input.standing, drafts, findings);
  const usable = drafts.of('Route').filter(({ id }) => findings.isGood(id));
  const destinations = destinationsOf(usable, input, decisions);
  const rulesOf = rulesMaker(destinations);
  const edges: EdgeRules[] = [];
  const snapshots = new Map<Scope, Snapshot>();
  for (const gateway of drafts.of('Gateway')) {
    if (!findings.isGood(gateway.id)) continue;
    const routes = usable.filter((route) => isAttached(route, gateway));
    const listeners = listenersOf(gateway.resource).flatMap((listener) =>
      listener.upstream === undefined ? listener : guarded(gateway, listener, input),
    );
    const edge = withLogins(
      edgeRules({ gateway, listeners, routes, rulesOf, attachments: input.attachments }),
      input.plans.authentications,
    );
    for (const conflict of edge.conflicts) tellConflict(conflict, input);
    edges.push(edge);
    const used = [
      ...routes.flatMap(servicesNamed),
      ...listeners.flatMap(({ upstream }): ResourceId[] =>
        upstream === undefined ? [] : [`Service/${upstream as `${string}/${string}`}`],
      ),
    ];
    const parts = forwardParts(used, destinations);
    const { hosts, rules } = edge;
    const scope = edgeScope(gateway.resource.metadata.name);
    snapshots.set(scope, assemble(scope, { listeners, hosts, rules, ...parts }, input, decisions));
  }
  const services = drafts.of('Service').filter(({ id }) => findings.isGood(id));
  for (const group of groups) {
    const { listeners, rule, upstream } = sidecarParts(
      group,
      servicesOf(group, services),
      input.attachments,
    );
    const hosts = [{ type: 'any', host: '', listeners: [], rules: [0] }] as const;
    const parts = { splits: {}, upstreams: { [upstream.id]: upstream } };
    const scope = scopeOf(group);
    const own = { listeners, hosts, rules: [rule], ...parts };
    snapshots.set(scope, assemble(scope, own, input, decisions));
  }
  return { snapshots: sortedMap(snapshots), retired: decisions.retired, edges, destinations };
};

/** With the policies about its connections; nothing where one of them cannot be enforced, so that nobody comes through. */
const guarded = (
  { resource: { metadata } }: Draft<'Gateway'>,
  listener: Listener,
  { attachments }: SnapshotInput,
): readonly Listener[] => {
  const { namespace, name } = metadata;
  const own = targetKey('Gateway', namespace, name, listener.name);
  const isNotEnforced = ({ kind, closed }: Attached): boolean => kind !== 'Authorization' || closed;
  if (attachments.get(own)?.some(isNotEnforced)) return [];
  const above = [meshTarget, targetKey('Gateway', namespace, name)];
  const isBroken = ({ kind, closed }: Attached): boolean => kind === 'Authorization' && closed;
  if (above.some((target) => attachments.get(target)?.some(isBroken))) return [];
  const { authorizations } = appliedTo(attachments, [...above, own]);
  return [authorizations.length === 0 ? listener : { ...listener, authorizations }];
};

const tellConflict = (
  { keys: [owner, key], path }: LoginConflict,
  { drafts, findings }: SnapshotInput,
): void => {
  const draft = drafts.of('Authentication').find((each) => policyKey(each) === key);
  if (draft)
    findings.add(draft, {
      code: 'WARN_POLICY_LOGIN_PATH',
      path: ['spec', 'methods'],
      message: `${path} is taken on the same host by Authentication/${owner}`,
      hint: 'Nobody gets through this login: give it a redirectPath and a logoutPath of its own.',
    });
};

const isAttached = ({ resource }: Draft<'Route'>, gateway: Draft<'Gateway'>): boolean =>
  resource.spec.parentRefs.some(
    ({ kind, name, namespace }) =>
      kind === 'Gateway' &&
      name === gateway.resource.metadata.name &&
      (namespace ?? resource.metadata.namespace) === gateway.resource.metadata.namespace,
  );

const destinationsOf = (
  routes: readonly Draft<'Route'>[],
  { drafts, groups, findings }: SnapshotInput,
  { byId }: Decisions,
): ReadonlyMap<ResourceId, Destination> => {
  const waysAround = new Map(
    drafts
      .of('Rollout')
      .filter(({ id }) => findings.isGood(id))
      .map(({ resource: { metadata, spec } }) => [`${metadata.namespace}/${spec.service}`, spec]),
  );
  const workloads = groups.flatMap(({ replicas }) => replicas);
  const named = new Set(routes.flatMap(servicesNamed));
  for (const { resource } of drafts.of('Gateway'))
    for (const { backend } of resource.spec.listeners)
      if (backend)
        named.add(`Service/${backend.namespace ?? resource.metadata.namespace}/${backend.service}`);
  return new Map(
    drafts
      .of('Service')
      .filter(({ id }) => named.has(id) && findings.isGood(id))
      .map((service) => [
        service.id,
        destinationOf(service, { workloads, waysAround, decisions: byId }),
      ]),
  );
};

const rulesMaker = (destinations: ReadonlyMap<ResourceId, Destination>) => {
  const made = new Map<Draft<'Route'>, readonly RouteRule[]>();
  return (route: Draft<'Route'>): readonly RouteRule[] => {
    const known = made.get(route);
    if (known) return known;
    const home = route.resource.metadata.namespace;
    const rules = routeRules(route, ({ service, namespace = home, version }) => {
      const destination = destinations.get(`Service/${namespace}/${service}`);
      if (!destination) throw new Error(`${route.id} was let through with a dangling ${service}`);
      return backendOf(destination, version);
    });
    made.set(route, rules);
    return rules;
  };
};

const forwardParts = (
  used: readonly ResourceId[],
  destinations: ReadonlyMap<ResourceId, Destination>,
) => {
  const splits = new Map<string, Split>();
  const upstreams = new Map<string, Upstream>();
  for (const id of new Set(used)) {
    const destination = destinations.get(id);
    if (!destination) continue;
    if (destination.split) splits.set(serviceKey(destination.service.resource), destination.split);
    for (const upstream of destination.upstreams) upstreams.set(upstream.id, upstream);
  }
  return { splits: record(splits), upstreams: record(upstreams) };
};

type Parts = Pick<Snapshot, 'listeners' | 'hosts' | 'rules' | 'splits' | 'upstreams'>;

const assemble = (
  scope: Scope,
  parts: Parts,
  { plans, drafts, findings }: SnapshotInput,
  { inForce }: Decisions,
): Snapshot => {
  const authentications = pick(plans.authentications, parts.rules, 'authentications');
  const proofs = new Set(
    Object.values(authentications).flatMap(({ methods }) => methods.map(({ type }) => type)),
  );
  const consumers = drafts
    .of('Consumer')
    .filter(({ id }) => proofs.size > 0 && findings.isGood(id))
    .map(consumerPlan)
    .filter((consumer) => isProvable(consumer, proofs));
  return {
    ...parts,
    authentications,
    authorizations: pick(
      plans.authorizations,
      [...parts.rules, ...parts.listeners],
      'authorizations',
    ),
    quotas: pick(plans.quotas, parts.rules, 'quotas'),
    consumers,
    standing: decisionsIn(scope, parts, inForce),
  };
};

const isProvable = (consumer: ConsumerPlan, proofs: ReadonlySet<string>): boolean =>
  (proofs.has('apiKey') && consumer.apiKeys.length > 0) ||
  (proofs.has('basic') && consumer.basic !== undefined) ||
  (proofs.has('jwt') && consumer.jwt !== undefined) ||
  (proofs.has('clientCertificate') && consumer.certificates.length > 0);

type PolicyMember = 'authentications' | 'authorizations' | 'quotas';

const pick = <T>(
  plans: ReadonlyMap<string, T>,
  places: readonly Partial<Pick<Rule, PolicyMember>>[],
  member: PolicyMember,
): Readonly<Record<string, T>> => {
  const used = new Map<string, T>();
  for (const place of places)
    for (const key of place[member] ?? []) {
      const plan = plans.get(key);
      if (plan) used.set(key, plan);
    }
  return record(used);
};

const sortedMap = <K extends string, T>(map: ReadonlyMap<K, T>): ReadonlyMap<K, T> =>
  new Map([...map].sort(([a], [b]) => compareText(a, b)));
const record = <T>(map: ReadonlyMap<string, T>): Readonly<Record<string, T>> =>
  Object.fromEntries(sortedMap(map));
