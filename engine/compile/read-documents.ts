// Reads policy files into documents with an identity. Each document stands alone: a broken one harms no other.
import type { Source } from '../model/commit.ts';
import type { Diagnostic } from '../model/diagnostic.ts';
import { apiVersion, type Kind, kinds, type ResourceId } from '../model/resource.ts';
import { foreignWords } from './documents/foreign.ts';
import { type Parsed, parseDocument, tooLong } from './documents/parse-document.ts';
import { formatPath, type Path, valueAt } from './documents/path.ts';
import { show } from './documents/show.ts';
import { splitDocuments } from './documents/split-documents.ts';
import { didYouMean } from './documents/suggest.ts';
import { limits } from './documents/to-value.ts';

export interface File {
  /** As diagnostics name it. */
  readonly file: string;
  readonly text: string;
}

/** A document of which the kind and the name are known; nothing else has been checked. */
export interface Document {
  readonly id: ResourceId;
  readonly kind: Kind;
  readonly source: Source;
  /** As written, without defaults. */
  readonly value: Readonly<Record<string, unknown>>;
  readonly locate: Parsed['locate'];
}

export interface Documents {
  readonly documents: readonly Document[];
  readonly diagnostics: readonly Diagnostic[];
}

/**
 * Several documents of one identity are all left out, since nobody can tell which one is meant. Never throws, whatever
 * the text.
 */
export const readDocuments = (files: readonly File[]): Documents => {
  const read: Document[] = [];
  const diagnostics: Diagnostic[] = [];
  for (const { file, text } of files) {
    if (text.length > limits.fileLength) {
      const { code, message, hint } = tooLong('file', text.length, limits.fileLength);
      const location = { file, line: 1, column: 1 };
      diagnostics.push({ code, severity: 'error', message, hint, location });
      continue;
    }
    for (const piece of splitDocuments(text)) {
      const outcome = readDocument({ file, ...piece });
      diagnostics.push(...outcome.diagnostics);
      if (outcome.document) read.push(outcome.document);
    }
  }
  const { documents, duplicates } = withoutDuplicates(read);
  return { documents, diagnostics: [...diagnostics, ...duplicates] };
};

export interface DocumentRead {
  readonly document?: Document;
  readonly diagnostics: readonly Diagnostic[];
}

const readings = new WeakMap<Source, DocumentRead>();

/** Remembers what it made of a source for as long as that object lives: policy sets share unchanged sources. */
export const readDocument = (source: Source): DocumentRead => {
  const known = readings.get(source);
  if (known) return known;
  const outcome = identify(source, parseDocument(source));
  readings.set(source, outcome);
  return outcome;
};

const identify = (source: Source, parsed: Parsed): DocumentRead => {
  const { value, locate } = parsed;
  if (parsed.diagnostics.length > 0) return { diagnostics: parsed.diagnostics };
  const refuse = (
    code: Diagnostic['code'],
    path: Path,
    words: Pick<Diagnostic, 'message' | 'hint'>,
  ): DocumentRead => ({
    diagnostics: [
      { code, severity: 'error', ...words, location: locate(path), path: formatPath(path) },
    ],
  });
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return refuse('ERR_FIELD_TYPE', [], {
      message: 'a document must be a mapping',
      hint: 'Start it with apiVersion, kind, metadata and spec.',
    });
  const version = valueAt(value, ['apiVersion']);
  if (version !== apiVersion)
    return refuse('ERR_RESOURCE_API_VERSION', ['apiVersion'], foreignWords(value));
  const kind = valueAt(value, ['kind']);
  if (!kinds.includes(kind as Kind))
    return refuse('ERR_RESOURCE_KIND_UNKNOWN', ['kind'], {
      message: kind === undefined ? 'kind is missing' : `there is no kind ${show(kind)}`,
      hint: didYouMean(String(kind), kinds, `The kinds are ${kinds.join(', ')}.`),
    });
  const name = valueAt(value, ['metadata', 'name']);
  const namespace = valueAt(value, ['metadata', 'namespace']) ?? 'default';
  for (const [path, text] of [
    [['metadata', 'name'], name],
    [['metadata', 'namespace'], namespace],
  ] as const)
    if (typeof text !== 'string' || !isName(text))
      return refuse(text === undefined ? 'ERR_FIELD_MISSING' : 'ERR_FIELD_VALUE', path, {
        message:
          text === undefined ? 'metadata.name is missing' : `${show(text)} is not a valid name`,
        hint: 'A name has at most 253 lower-case letters, digits, "-" and "." and starts and ends with a letter or digit.',
      });
  const id: ResourceId = `${kind as Kind}/${namespace as string}/${name as string}`;
  const document = { id, kind: kind as Kind, source, value: value as Document['value'], locate };
  return { document, diagnostics: [] };
};

const isName = (text: string): boolean => /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/.test(text);

const withoutDuplicates = (read: readonly Document[]) => {
  const byId = new Map<ResourceId, Document[]>();
  for (const document of read) {
    const same = byId.get(document.id);
    if (same) same.push(document);
    else byId.set(document.id, [document]);
  }
  const documents: Document[] = [];
  const duplicates: Diagnostic[] = [];
  for (const [id, [first, ...others]] of byId) {
    const last = others.at(-1);
    if (!first) continue;
    if (!last) {
      documents.push(first);
      continue;
    }
    const places = [first, ...others.slice(0, -1)]
      .map((document) => document.locate(['metadata', 'name']))
      .map((at) => `${at.file}:${at.line}`);
    duplicates.push({
      code: 'ERR_RESOURCE_DUPLICATE',
      severity: 'error',
      message: `${id} is defined here and at ${places.join(', ')}`,
      hint: 'Keep one of them, or give each a name of its own; none of them is taken.',
      location: last.locate(['metadata', 'name']),
      resource: id,
      path: 'metadata.name',
    });
  }
  return { documents, duplicates };
};
