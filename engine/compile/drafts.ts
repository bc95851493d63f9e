// All resources of a compile that passed their schemas, to be looked up by kind and name.
import type { Source } from '../model/commit.ts';
import type { Kind, ResourceId } from '../model/resource.ts';
import { type AnyDraft, compareText, type Draft, type Findings } from './findings.ts';
import { type Document, readDocument } from './read-documents.ts';
import { validate } from './validate.ts';

export interface Drafts {
  readonly all: readonly AnyDraft[];
  /** In the order of namespace and name. */
  of<K extends Kind>(kind: K): readonly Draft<K>[];
  find<K extends Kind>(kind: K, namespace: string, name: string): Draft<K> | undefined;
  /** Documents that failed their schema; what they are about may still have to be closed. */
  readonly unusable: readonly Document[];
}

export const draftsOf = (sources: ReadonlyMap<ResourceId, Source>, findings: Findings): Drafts => {
  const all: AnyDraft[] = [];
  const unusable: Document[] = [];
  for (const [id, source] of [...sources].sort(([a], [b]) => compareText(a, b))) {
    const { document, diagnostics } = readDocument(source);
    if (!document) {
      findings.quarantine(id, diagnostics);
      continue;
    }
    const validated = validate(document);
    if (validated.resource)
      all.push({ id, kind: document.kind, document, resource: validated.resource });
    else {
      findings.quarantine(id, validated.diagnostics);
      unusable.push(document);
    }
  }
  const byId = new Map(all.map((draft) => [draft.id, draft]));
  const byKind = new Map<Kind, AnyDraft[]>();
  for (const draft of all) {
    const same = byKind.get(draft.kind);
    if (same) same.push(draft);
    else byKind.set(draft.kind, [draft]);
  }
  return {
    all,
    unusable,
    of: <K extends Kind>(kind: K) =>
      (byKind.get(kind) ?? []) as readonly AnyDraft[] as readonly Draft<K>[],
    find: <K extends Kind>(kind: K, namespace: string, name: string) =>
      byId.get(`${kind}/${namespace}/${name}`) as Draft<K> | undefined,
  };
};
