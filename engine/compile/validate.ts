// Judges one document by the schema of its kind and fills in the defaults.

import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import Value from 'typebox/value';
import type { Diagnostic } from '../model/diagnostic.ts';
import { type Kind, type Resource, resourceSchemas } from '../model/resource.ts';
import { fieldErrors } from './documents/field-errors.ts';
import { formatPath } from './documents/path.ts';
import type { Document } from './read-documents.ts';

export interface Validated {
  /** Absent as soon as there is one error. */
  readonly resource?: Resource;
  /** All of them, in the order of the document. */
  readonly diagnostics: readonly Diagnostic[];
}

const validators = new Map<Kind, { Check(value: unknown): boolean }>();
const validatorOf = (kind: Kind) => {
  const known = validators.get(kind);
  if (known) return known;
  const made = Compile(resourceSchemas[kind] as TSchema);
  validators.set(kind, made);
  return made;
};

const verdicts = new WeakMap<Document, Validated>();

export const validate = (document: Document): Validated => {
  const known = verdicts.get(document);
  if (known) return known;
  const outcome = judge(document);
  verdicts.set(document, outcome);
  return outcome;
};

const judge = (document: Document): Validated => {
  const schema = resourceSchemas[document.kind] as TSchema;
  const value = Value.Default(schema, structuredClone(document.value));
  if (validatorOf(document.kind).Check(value))
    return { resource: value as Resource, diagnostics: [] };
  const diagnostics = fieldErrors(schema, value).map(
    ({ code, path, part, message, hint }): Diagnostic => ({
      code,
      severity: 'error',
      message,
      hint,
      location: document.locate(path, part),
      resource: document.id,
      path: formatPath(path),
    }),
  );
  return { diagnostics: diagnostics.sort(byPlace) };
};

const byPlace = (a: Diagnostic, b: Diagnostic): number =>
  (a.location?.line ?? 0) - (b.location?.line ?? 0) ||
  (a.location?.column ?? 0) - (b.location?.column ?? 0);
