// Tells where policies reach listeners that forward bytes, and so say less there, or nothing, or more, than of requests.
import { requestParts } from '../../model/connection-rules.ts';
import { type PolicyKind, policyKinds } from '../build/attachments.ts';
import { authorizationPlan } from '../build/policies.ts';
import type { Drafts } from '../drafts.ts';
import type { Draft, Findings } from '../findings.ts';

interface Tunnel {
  readonly namespace: string;
  readonly gateway: string;
  readonly listener: string;
}

export const warnOfConnections = (drafts: Drafts, findings: Findings): void => {
  const tunnels = drafts
    .of('Gateway')
    .filter(({ id }) => findings.isGood(id))
    .flatMap(tunnelsOf);
  if (tunnels.length === 0) return;
  for (const policy of policyKinds.flatMap((kind): readonly Draft<PolicyKind>[] =>
    drafts.of(kind),
  )) {
    const { spec } = policy.resource;
    if (!findings.isGood(policy.id) || ('mode' in spec && spec.mode === 'off')) continue;
    const reached = tunnels.filter((tunnel) => reaches(policy, tunnel));
    if (reached.length > 0) warn(policy, reached, findings);
  }
};

const tunnelsOf = ({ resource }: Draft<'Gateway'>): readonly Tunnel[] =>
  resource.spec.listeners
    .filter(({ backend }) => backend !== undefined)
    .map(({ name }) => ({ ...resource.metadata, gateway: resource.metadata.name, listener: name }));

const reaches = (
  { resource: { metadata, spec } }: Draft<PolicyKind>,
  { namespace, gateway, listener }: Tunnel,
): boolean =>
  spec.targetRefs.some(
    (ref) =>
      ref.kind === 'Mesh' ||
      (ref.kind === 'Gateway' &&
        ref.name === gateway &&
        (ref.namespace ?? metadata.namespace) === namespace &&
        (ref.sectionName ?? listener) === listener),
  );

const warn = (policy: Draft<PolicyKind>, tunnels: readonly Tunnel[], findings: Findings): void => {
  const names = tunnels.map(({ gateway, listener }) => `${gateway}/${listener}`).join(', ');
  const where = `the ${tunnels.length === 1 ? 'listener' : 'listeners'} ${names}`;
  if (policy.kind !== 'Authorization') {
    findings.add(policy, {
      code: 'WARN_POLICY_CONNECTIONS',
      path: ['spec', 'targetRefs'],
      message: `the policy says nothing about ${where}, where bytes are forwarded unread`,
      hint: 'An Authorization judges connections, by address, certificate, server name and port.',
    });
    return;
  }
  const { action, rules } = authorizationPlan(policy as Draft<'Authorization'>);
  for (const [index, rule] of rules.entries()) {
    const parts = requestParts(rule);
    if (parts.length === 0) continue;
    findings.add(policy, {
      code: 'WARN_POLICY_CONNECTIONS',
      path: ['spec', 'rules', index],
      message:
        action === 'ALLOW'
          ? `the rule lets no connection of ${where} in: nobody reads ${parts.join(', ')} there`
          : `the rule is judged without ${parts.join(', ')} on ${where}, where nobody reads requests`,
      hint: 'Attach it to the listeners that it is for, by sectionName, and say the rest in a policy of its own.',
    });
  }
};
