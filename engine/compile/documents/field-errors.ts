// Turns TypeBox's findings about one document into sentences for people: one finding per mistake, the nearest known
// name, and the choices there are.
import type { TSchema } from 'typebox';
import type { TLocalizedValidationError } from 'typebox/error';
import { Settings } from 'typebox/system';
import Value from 'typebox/value';
import type { DiagnosticCode } from '../../model/diagnostic.ts';
import type { Part } from './parse-document.ts';
import { formatPath, type Path, valueAt } from './path.ts';
import { show } from './show.ts';
import { didYouMean } from './suggest.ts';

export interface FieldError {
  readonly code: DiagnosticCode;
  readonly path: Path;
  readonly part: Part;
  readonly message: string;
  readonly hint: string;
}

type Finding = TLocalizedValidationError;
type Node = Readonly<Record<string, unknown>>;

const MAX_FINDINGS = 200;

export const fieldErrors = (schema: TSchema, value: unknown): readonly FieldError[] => {
  const byPath = new Map<string, Finding[]>();
  for (const finding of allFindings(schema, value)) {
    const key = finding.instancePath;
    const same = byPath.get(key);
    if (same) same.push(finding);
    else byPath.set(key, [finding]);
  }
  const errors: FieldError[] = [];
  for (const [pointer, findings] of byPath) {
    const path = pathOf(pointer, value);
    errors.push(...explain(findings, path, { schema, value: valueAt(value, path) }));
  }
  return errors;
};

/** TypeBox stops at a number of findings that is a setting of the whole process. */
const allFindings = (schema: TSchema, value: unknown): readonly Finding[] => {
  const { maxErrors } = Settings.Get();
  Settings.Set({ maxErrors: MAX_FINDINGS });
  try {
    return Value.Errors(schema, value);
  } finally {
    Settings.Set({ maxErrors });
  }
};

const unescape = (step: string): string => step.replaceAll('~1', '/').replaceAll('~0', '~');

/** A JSON pointer does not say whether a step is an index; the value does. */
const pathOf = (pointer: string, root: unknown): Path => {
  const path: (string | number)[] = [];
  for (const step of pointer.split('/').slice(1).map(unescape)) {
    const holder = valueAt(root, path);
    path.push(Array.isArray(holder) ? Number(step) : step);
  }
  return path;
};

const schemaAt = (root: TSchema, pointer: string): Node => {
  let node: unknown = root;
  for (const step of pointer.split('/').slice(1).map(unescape))
    node = (node as Node | undefined)?.[step];
  return (node ?? {}) as Node;
};

interface Subject {
  readonly schema: TSchema;
  readonly value: unknown;
}

const explain = (
  findings: readonly Finding[],
  path: Path,
  subject: Subject,
): readonly FieldError[] => {
  const missing: FieldError[] = [];
  const rest: Finding[] = [];
  for (const finding of findings)
    if (finding.keyword === 'required')
      for (const name of finding.params.requiredProperties)
        missing.push({
          code: 'ERR_FIELD_MISSING',
          path: [...path, name],
          part: 'value',
          message: `${name} is missing`,
          hint: describe(schemaAt(subject.schema, `${finding.schemaPath}/properties/${name}`)),
        });
    // The member itself is reported, under the keyword `boolean`.
    else if (finding.keyword !== 'additionalProperties') rest.push(finding);
  const first = rest[0];
  return first ? [...missing, explainValue(first, rest, path, subject)] : missing;
};

const explainValue = (
  first: Finding,
  rest: readonly Finding[],
  path: Path,
  { schema, value }: Subject,
): FieldError => {
  const name = memberName(path);
  const at = { path, part: 'value' } as const;
  if (first.keyword === 'boolean') {
    const owner = schemaAt(schema, first.schemaPath.replace(/\/additionalProperties$/, ''));
    const known = Object.keys((owner['properties'] as Node | undefined) ?? {});
    return {
      code: 'ERR_FIELD_UNKNOWN',
      path,
      part: 'key',
      message: `there is no field "${name}" here`,
      hint: didYouMean(name, known, `The fields here are ${list(known)}.`),
    };
  }
  const choices = rest.flatMap(allowed);
  if (choices.length > 0)
    return {
      ...at,
      code: 'ERR_FIELD_VALUE',
      message: `${name} cannot be ${show(value)}`,
      hint:
        typeof value === 'string'
          ? didYouMean(value, choices.map(String), `It is one of ${list(choices)}.`)
          : `It is one of ${list(choices)}.`,
    };
  const type = rest.find((finding) => finding.keyword === 'type');
  if (type)
    return {
      ...at,
      code: 'ERR_FIELD_TYPE',
      message: `${name} must be ${article(typeName(type.params.type))}, not ${kindOf(value)}`,
      hint: describe(schemaAt(schema, type.schemaPath)),
    };
  return {
    ...at,
    code: 'ERR_FIELD_VALUE',
    message: `${name} cannot be ${show(value)}: it ${first.message}`,
    hint: describe(schemaAt(schema, first.schemaPath)),
  };
};

/** `timeout`, `steps[4]` */
const memberName = (path: Path): string => {
  const last = path.at(-1);
  if (last === undefined) return 'the document';
  return typeof last === 'number' ? formatPath(path.slice(-2)) : last;
};

const allowed = (finding: Finding): readonly unknown[] => {
  if (finding.keyword === 'const') return [finding.params.allowedValue];
  return finding.keyword === 'enum' ? finding.params.allowedValues : [];
};

const list = (values: readonly unknown[]): string => values.map(String).join(', ');

const typeNames: Readonly<Record<string, string>> = {
  object: 'mapping',
  array: 'list',
  integer: 'whole number',
  boolean: 'true or false',
};
const typeName = (type: string | readonly string[]): string =>
  typeof type === 'string' ? (typeNames[type] ?? type) : type.join(' or ');
const article = (noun: string): string => (noun === 'true or false' ? noun : `a ${noun}`);

const kindOf = (value: unknown): string => {
  if (value === null) return 'empty';
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' ? 'a mapping' : `the ${typeof value} ${show(value)}`;
};

/** What a field wants, in a few sentences made from its schema. */
const describe = (node: Node): string => {
  const { description, minimum, maximum, title, default: preset } = node;
  const parts: string[] = [];
  if (typeof description === 'string') parts.push(description);
  const values = choicesOf(node);
  if (values) parts.push(`It is one of ${list(values)}.`);
  if (typeof minimum === 'number' && typeof maximum === 'number')
    parts.push(`It goes from ${minimum} to ${maximum}.`);
  if (title === 'duration') parts.push('Write a duration such as 300ms, 15s, 1m30s or 24h.');
  const properties = Object.keys((node['properties'] as Node | undefined) ?? {});
  if (properties.length > 0) parts.push(`Its fields are ${list(properties)}.`);
  if (typeof preset === 'string' || typeof preset === 'number')
    parts.push(`Leave it out for ${preset}.`);
  return parts.length > 0 ? parts.join(' ') : `Write ${article(typeName(String(node['type'])))}.`;
};

const choicesOf = (node: Node): readonly unknown[] | undefined => {
  if (Array.isArray(node['enum'])) return node['enum'];
  const branches = node['anyOf'] as readonly Node[] | undefined;
  return branches?.map((branch) => branch['const']);
};
