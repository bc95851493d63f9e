// Which policies apply where. Less specific targets come first: mesh, gateway, listener, route, rule.
import type { ResourceId } from '../../model/resource.ts';

export type PolicyKind = 'Authentication' | 'Authorization' | 'Quota';
export const policyKinds = ['Authentication', 'Authorization', 'Quota'] as const;

export interface Attached {
  readonly id: ResourceId;
  readonly kind: PolicyKind;
  /** `namespace/name`: its key in a snapshot. */
  readonly key: string;
  /** Not enforceable as it stands: what it protects answers 503 instead of standing open. */
  readonly closed: boolean;
}

/** By target key, as `targetKey` makes them; each list in the order of namespace and name. */
export type Attachments = ReadonlyMap<string, readonly Attached[]>;

export const meshTarget = 'Mesh';
export const targetKey = (
  kind: 'Gateway' | 'Route' | 'Service',
  namespace: string,
  name: string,
  section?: string,
): string => `${kind}/${namespace}/${name}${section === undefined ? '' : `#${section}`}`;

export interface Applied {
  readonly authentications: readonly string[];
  readonly authorizations: readonly string[];
  readonly quotas: readonly string[];
  /** Policies that keep the rule closed. */
  readonly closedBy: readonly ResourceId[];
}

/**
 * `targets` from the least to the most specific. Authorizations and quotas add up; of authentications only those of the
 * most specific target that has any count, since two of them would ask for two proofs of who is calling.
 */
export const appliedTo = (attachments: Attachments, targets: readonly string[]): Applied => {
  const levels = targets.map((target) => attachments.get(target) ?? []);
  const authentications = levels
    .map((level) => level.filter(({ kind }) => kind === 'Authentication'))
    .findLast((level) => level.length > 0);
  const all = levels.flat();
  const of = (kind: PolicyKind) => all.filter((one) => one.kind === kind && !one.closed);
  const inForce = [
    ...(authentications ?? []),
    ...all.filter((one) => one.kind === 'Authorization'),
  ];
  return {
    authentications: keys((authentications ?? []).filter(({ closed }) => !closed)),
    authorizations: keys(of('Authorization')),
    quotas: keys(of('Quota')),
    closedBy: [...new Set(inForce.filter(({ closed }) => closed).map(({ id }) => id))],
  };
};

const keys = (list: readonly Attached[]): readonly string[] => [
  ...new Set(list.map(({ key }) => key)),
];
