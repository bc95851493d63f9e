// What a request would make of the policy set: which resources change, which are refused, what the compiler says.
//
// A document that can never become right by itself (syntax, unknown kind or field, wrong type) is refused and not written
// to the log. One that is whole but asks for something that is not there is written and quarantined: it comes into force
// the moment the missing piece arrives, and until then its last good version, if any, stays.
import { readDocuments } from '#engine/compile/read-documents.ts';
import { validate } from '#engine/compile/validate.ts';
import type { ApplyAnswer } from '#engine/model/api.ts';
import type { Change, Source } from '#engine/model/commit.ts';
import type { Diagnostic } from '#engine/model/diagnostic.ts';
import type { ResourceId } from '#engine/model/resource.ts';
import type { PolicyResult } from '../compiler.ts';
import { advance, type PolicyState } from '../policy-state.ts';
import { unifiedDiff } from './text-diff.ts';

export interface Wanted {
  /** By id; undefined deletes. */
  readonly sources: ReadonlyMap<ResourceId, Source | undefined>;
  readonly refused: readonly ResourceId[];
  readonly diagnostics: readonly Diagnostic[];
}

export interface Proposal {
  readonly base: PolicyState;
  readonly changes: readonly Change[];
  readonly result: PolicyResult;
  readonly answer: Pick<ApplyAnswer, 'changes' | 'quarantined' | 'diagnostics'>;
}

/** Every document of the files, good or refused. */
export const wantedBy = (files: readonly { file: string; text: string }[]): Wanted => {
  const { documents, diagnostics } = readDocuments(files);
  const sources = new Map<ResourceId, Source>();
  const refused = new Set<ResourceId>();
  const found = [...diagnostics];
  for (const document of documents) {
    const outcome = validate(document);
    found.push(...outcome.diagnostics);
    if (outcome.resource) sources.set(document.id, document.source);
    else refused.add(document.id);
  }
  for (const { resource } of diagnostics) if (resource) refused.add(resource as ResourceId);
  return { sources, refused: [...refused], diagnostics: found };
};

/** What makes `state` the set of `target`. */
export const wantedFor = (state: PolicyState, target: PolicyState): Wanted => {
  const sources = new Map<ResourceId, Source | undefined>(target.sources);
  for (const id of state.sources.keys()) if (!target.sources.has(id)) sources.set(id, undefined);
  return { sources, refused: [], diagnostics: [] };
};

export const propose = (
  base: PolicyState,
  before: PolicyResult | undefined,
  wanted: Wanted,
  preview: (state: PolicyState) => PolicyResult,
): Proposal => {
  const changes: Change[] = [];
  for (const [id, source] of wanted.sources)
    if (!source) changes.push({ type: 'delete', id });
    else if (source.text !== base.sources.get(id)?.text) changes.push({ type: 'put', id, source });
  const result = preview(changes.length === 0 ? base : draft(base, changes));
  const asked = new Set<string | undefined>(wanted.sources.keys());
  const known = new Set(before?.quarantined);
  const bad = result.quarantined.filter((id) => asked.has(id) || !known.has(id));
  const about = new Set<string | undefined>([...asked, ...bad]);
  return {
    base,
    changes,
    result,
    answer: {
      changes: summary(base, wanted, changes),
      quarantined: [...new Set([...wanted.refused, ...bad])].toSorted(),
      diagnostics: [
        ...wanted.diagnostics,
        ...result.diagnostics.filter(({ resource }) => about.has(resource)),
      ],
    },
  };
};

/** As if committed, and as if all of it were good: only its sources are looked at. */
const draft = (base: PolicyState, changes: readonly Change[]): PolicyState => {
  const { sources, revision } = advance(base, {
    v: 1,
    type: 'commit',
    revision: base.revision + 1,
    author: '',
    message: '',
    atMs: 0,
    changes,
  });
  return { sources, revision, good: base.good };
};

const summary = (
  base: PolicyState,
  wanted: Wanted,
  changes: readonly Change[],
): ApplyAnswer['changes'] => {
  const changed = new Map(changes.map((change) => [change.id, change]));
  return [...wanted.sources.keys()].map((id) => {
    const change = changed.get(id);
    const old = base.sources.get(id)?.text;
    if (!change) return { id, change: 'unchanged' };
    const text = change.type === 'put' ? change.source.text : '';
    const diff = unifiedDiff(
      { name: old === undefined ? '/dev/null' : `r${base.revision}/${id}`, text: old ?? '' },
      { name: change.type === 'put' ? id : '/dev/null', text },
    );
    if (change.type === 'delete') return { id, change: 'deleted', diff };
    return { id, change: old === undefined ? 'created' : 'updated', diff };
  });
};
