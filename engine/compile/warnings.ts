// What is allowed but probably not meant: rules nobody reaches, services nobody serves, policies that apply to nothing.
import type { Snapshot } from '../model/snapshot.ts';
import { policyKinds } from './build/attachments.ts';
import { policyKey } from './build/policies.ts';
import { warnOfConnections } from './checks/connections.ts';
import type { Drafts } from './drafts.ts';
import type { Findings } from './findings.ts';
import { coversPattern, hostPattern, routeHosts } from './routing/hosts.ts';
import type { RouteRule } from './routing/route-rules.ts';
import type { Snapshots } from './snapshots.ts';

export const addWarnings = (
  drafts: Drafts,
  { snapshots, edges, destinations }: Snapshots,
  findings: Findings,
): void => {
  const told = new Set<RouteRule>();
  for (const { rule, by } of edges.flatMap(({ shadowed }) => shadowed)) {
    if (told.has(rule)) continue;
    told.add(rule);
    const at = by.rule.origin;
    findings.add(rule.draft, {
      code: 'WARN_ROUTE_UNREACHABLE',
      path: pathOf(rule),
      message: `${rule.rule.id} is never reached: ${by.rule.id} (${at.file}:${at.line}) always matches first`,
      hint: 'Make the match more specific, or take the rule out.',
    });
  }
  const homeless = edges.map((edge) => new Set(edge.homeless));
  for (const route of drafts.of('Route')) {
    const attached = homeless.filter((set) => set.has(route)).length;
    if (attached === 0 || !findings.isGood(route.id)) continue;
    findings.add(route, {
      code: 'WARN_POLICY_UNATTACHED',
      path: ['spec', 'hosts'],
      message: 'no listener of the gateway takes any of these hosts',
      hint: 'Compare the hosts with the hostname of the listeners.',
    });
  }
  for (const { service, missing } of destinations.values()) {
    if (missing.length === 0) continue;
    const versions = missing.filter((version) => version !== '');
    const what = versions.length === 0 ? service.id : `${service.id} ${versions.join(', ')}`;
    findings.add(service, {
      code: 'WARN_SERVICE_NO_ENDPOINTS',
      path: ['spec'],
      message: `${what} has no endpoint; requests are answered 503`,
      hint: 'Start a workload with the labels of the selector, or list endpoints.',
    });
  }
  warnOfConnections(drafts, findings);
  warnOfHiddenPreviews(drafts, findings);
  warnOfIdlePolicies(drafts, [...snapshots.values()], findings);
};

const warnOfHiddenPreviews = (drafts: Drafts, findings: Findings): void => {
  const hosts = drafts
    .of('Route')
    .filter(({ id }) => findings.isGood(id))
    .flatMap(({ resource }) => routeHosts(resource.spec));
  for (const rollout of drafts.of('Rollout')) {
    const wanted = rollout.resource.spec.preview?.host;
    if (wanted === undefined || !findings.isGood(rollout.id)) continue;
    if (hosts.some((host) => coversPattern(host, hostPattern(wanted)))) continue;
    findings.add(rollout, {
      code: 'WARN_POLICY_UNATTACHED',
      path: ['spec', 'preview', 'host'],
      message: `no Route takes requests for ${wanted}, so nobody sees the preview`,
      hint: 'Name the host in the `hosts` of a Route to the service.',
    });
  }
};

const warnOfIdlePolicies = (
  drafts: Drafts,
  snapshots: readonly Snapshot[],
  findings: Findings,
): void => {
  const used = new Set<string>();
  for (const { authentications, authorizations, quotas } of snapshots) {
    for (const key of Object.keys(authentications)) used.add(`Authentication ${key}`);
    for (const key of Object.keys(authorizations)) used.add(`Authorization ${key}`);
    for (const key of Object.keys(quotas)) used.add(`Quota ${key}`);
  }
  for (const draft of policyKinds.flatMap((kind) => [...drafts.of(kind)])) {
    const { spec } = draft.resource;
    const isOff = 'mode' in spec && spec.mode === 'off';
    if (isOff || !findings.isGood(draft.id) || used.has(`${draft.kind} ${policyKey(draft)}`))
      continue;
    const isForService = spec.targetRefs.some(({ kind }) => kind === 'Service');
    findings.add(draft, {
      code: 'WARN_POLICY_UNATTACHED',
      path: ['spec', 'targetRefs'],
      message: 'the policy applies to nothing at the moment',
      hint: isForService
        ? 'The policies of a Service are enforced by the sidecars of its workloads; none has reported.'
        : 'Its targets have no rules, or another policy of the same kind is more specific.',
    });
  }
};

const pathOf = ({ ruleIndex, matchIndex }: RouteRule) => [
  'spec',
  'rules',
  ruleIndex,
  ...(matchIndex === undefined ? [] : ['matches', matchIndex]),
];
