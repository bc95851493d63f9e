// Puts policies to their targets. A security policy never loses its force by halves: where it cannot be enforced, what it
// protects is closed.
import type { ResourceId } from '../model/resource.ts';
import {
  type Attached,
  type Attachments,
  meshTarget,
  type PolicyKind,
  policyKinds,
  targetKey,
} from './build/attachments.ts';
import { valueAt } from './documents/path.ts';
import { didYouMean } from './documents/suggest.ts';
import type { Drafts } from './drafts.ts';
import { type AnyDraft, compareText, type Draft, type Findings } from './findings.ts';
import type { Document } from './read-documents.ts';
import { ruleNameOf } from './routing/route-rules.ts';

type PolicyDraft = Draft<PolicyKind>;
type TargetRef = PolicyDraft['resource']['spec']['targetRefs'][number];

/** Policies in `broken` cannot be enforced; a target that does not exist breaks nothing but the reference. */
export const attach = (
  drafts: Drafts,
  broken: (id: ResourceId) => boolean,
  findings: Findings,
): Attachments => {
  const attachments = new Map<string, Attached[]>();
  const put = (target: string, attached: Attached): void => {
    const list = attachments.get(target);
    if (list) list.push(attached);
    else attachments.set(target, [attached]);
  };
  for (const kind of policyKinds) {
    for (const draft of drafts.of(kind)) {
      const { metadata, spec } = draft.resource;
      if ('mode' in spec && spec.mode === 'off') continue;
      const key = `${metadata.namespace}/${metadata.name}`;
      const attached = { id: draft.id, kind, key, closed: broken(draft.id) };
      for (const [index, ref] of spec.targetRefs.entries()) {
        const target = resolveTarget(draft, ref, index, { drafts, findings });
        if (target !== undefined) put(target, attached);
      }
    }
    for (const document of drafts.unusable)
      if (document.kind === kind)
        for (const target of roughTargets(document))
          put(target, { id: document.id, kind, key: '', closed: true });
  }
  for (const list of attachments.values()) list.sort((a, b) => compareText(a.id, b.id));
  return attachments;
};

interface Context {
  readonly drafts: Drafts;
  readonly findings: Findings;
}

const resolveTarget = (
  draft: PolicyDraft,
  ref: TargetRef,
  index: number,
  { drafts, findings }: Context,
): string | undefined => {
  const { kind, name, sectionName } = ref;
  if (kind === 'Mesh') return meshTarget;
  const namespace = ref.namespace ?? draft.resource.metadata.namespace;
  const target: AnyDraft | undefined = drafts.find(kind, namespace, name);
  const path = ['spec', 'targetRefs', index];
  if (!target) {
    const names = drafts
      .of(kind)
      .filter(({ resource }) => resource.metadata.namespace === namespace)
      .map(({ resource }) => resource.metadata.name);
    findings.add(draft, {
      code: 'ERR_POLICY_UNKNOWN_TARGET',
      path: [...path, 'name'],
      message: `there is no ${kind.toLowerCase()} "${name}" in the namespace ${namespace}`,
      hint: didYouMean(name, names, `Apply the ${kind} first, or correct the name.`),
    });
    return undefined;
  }
  const sections = sectionsOf(target);
  if (sectionName !== undefined && !sections.includes(sectionName)) {
    findings.add(draft, {
      code: 'ERR_POLICY_UNKNOWN_TARGET',
      path: [...path, 'sectionName'],
      message: `${target.id} has no section "${sectionName}"`,
      hint: didYouMean(sectionName, sections, `It has ${sections.join(', ') || 'no sections'}.`),
    });
    return undefined;
  }
  if (sectionName !== undefined && draft.kind !== 'Authorization' && isTunnel(target, sectionName))
    findings.add(draft, {
      code: 'ERR_POLICY_NOT_SUPPORTED',
      path: [...path, 'sectionName'],
      message: `the listener "${sectionName}" forwards bytes; there are no requests to judge, so it stays closed`,
      hint: 'Leave the policy out, or ask for client certificates in the tls of the listener. An Authorization may speak of connections.',
    });
  return targetKey(kind, namespace, name, sectionName);
};

const isTunnel = ({ resource }: AnyDraft, listener: string): boolean =>
  resource.kind === 'Gateway' &&
  resource.spec.listeners.some(
    ({ name, protocol }) => name === listener && (protocol === 'TCP' || protocol === 'TLS'),
  );

/** A Gateway's listeners, a Route's rules. */
const sectionsOf = ({ resource }: AnyDraft): readonly string[] => {
  if (resource.kind === 'Gateway') return resource.spec.listeners.map(({ name }) => name);
  return resource.kind === 'Route' ? resource.spec.rules.map(ruleNameOf) : [];
};

/** The targets of a document that failed its schema, as far as they can be read. */
const roughTargets = ({ value, id }: Document): readonly string[] => {
  const refs = valueAt(value, ['spec', 'targetRefs']);
  if (!Array.isArray(refs)) return [];
  return refs.flatMap((ref: unknown): string[] => {
    const kind = valueAt(ref, ['kind']);
    const name = valueAt(ref, ['name']);
    const namespace = valueAt(ref, ['namespace']) ?? id.split('/')[1];
    const section = valueAt(ref, ['sectionName']);
    if (kind === 'Mesh') return [meshTarget];
    if (kind !== 'Gateway' && kind !== 'Route' && kind !== 'Service') return [];
    if (typeof name !== 'string' || typeof namespace !== 'string') return [];
    return [targetKey(kind, namespace, name, typeof section === 'string' ? section : undefined)];
  });
};
