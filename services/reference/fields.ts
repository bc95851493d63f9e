// One row per field of a kind, in the order of the schema.
import type { Shape } from './shape.ts';

export interface Field {
  /** `rules[].matches[].path.prefix` */
  readonly path: string;
  readonly type: string;
  /** `required`, a default in YAML's words, or empty. */
  readonly preset: string;
  readonly meaning: string;
  /** Features that a data plane must have, each with the value that asks for it; an empty value means any. */
  readonly needs: readonly { readonly feature: string; readonly value: string }[];
}

export const fieldsOf = (shape: Shape, prefix = ''): readonly Field[] =>
  Object.entries(shape.properties ?? {}).flatMap(([name, member]) => {
    const path = prefix === '' ? name : `${prefix}.${name}`;
    const isRequired = shape.required?.includes(name) === true && member.default === undefined;
    return [
      {
        path,
        type: typeOf(member),
        preset: isRequired ? '**required**' : presetOf(member.default),
        meaning: member.description ?? '',
        needs: needsOf(member),
      },
      ...inner(member, path),
    ];
  });

const inner = (shape: Shape, path: string): readonly Field[] => {
  if (shape.properties) return fieldsOf(shape, path);
  return shape.items ? inner(shape.items, `${path}[]`) : [];
};

const typeOf = (shape: Shape): string => {
  const choices = shape.enum ?? shape.anyOf?.map((branch) => branch.const);
  if (choices) return choices.map((choice) => `\`${String(choice)}\``).join(', ');
  if (shape.const !== undefined) return `\`${JSON.stringify(shape.const).replaceAll('"', '')}\``;
  if (shape.title !== undefined) return shape.title;
  switch (shape.type ?? 'any') {
    case 'array':
      return `list of ${plural(typeOf(shape.items ?? {}))}`;
    case 'object':
      return shape.properties ? 'mapping' : `map to ${plural(valueTypeOf(shape))}`;
    case 'integer':
      return `whole number${rangeOf(shape)}`;
    case 'number':
      return `number${rangeOf(shape)}`;
    case 'boolean':
      return '`true`, `false`';
    case 'string':
      return 'text';
    default:
      return 'anything';
  }
};

const valueTypeOf = (shape: Shape): string => {
  const [value] = Object.values(shape.patternProperties ?? {});
  return typeOf(value ?? {});
};

const plural = (type: string): string => {
  if (type.startsWith('`') || type === 'text' || type === 'anything') return type;
  if (type === 'labels') return type;
  return type.replace(/^(whole number|header name|header value|\w+)/, '$1s');
};

const rangeOf = ({ minimum, maximum, exclusiveMinimum }: Shape): string => {
  const low = minimum ?? exclusiveMinimum;
  const from = exclusiveMinimum === undefined ? 'from' : 'above';
  if (low !== undefined && maximum !== undefined) return ` ${from} ${low} to ${maximum}`;
  return low === undefined ? '' : ` ${from} ${low}`;
};

const presetOf = (preset: unknown): string => {
  if (preset === undefined || JSON.stringify(preset) === '{}') return '';
  return `\`${typeof preset === 'string' ? preset : JSON.stringify(preset)}\``;
};

const needsOf = (shape: Shape): Field['needs'] => [
  ...(shape.needs === undefined ? [] : [{ feature: shape.needs, value: '' }]),
  ...(shape.anyOf ?? []).flatMap((branch) =>
    branch.needs === undefined ? [] : [{ feature: branch.needs, value: String(branch.const) }],
  ),
];
