// One JSON Schema for all kinds, as editors want it: what has a default is not required, and nothing but standard keywords.
import { kinds, resourceSchemas } from '#engine/model/resource.ts';
import type { Shape } from './shape.ts';

export const editorSchema = (): Record<string, unknown> => ({
  $schema: 'http://json-schema.org/draft-07/schema#',
  title: 'Weir policy',
  type: 'object',
  required: ['apiVersion', 'kind', 'metadata', 'spec'],
  properties: {
    kind: { description: 'What the document is about.', enum: [...kinds] },
  },
  allOf: kinds.map((kind) => ({
    if: { properties: { kind: { const: kind } }, required: ['kind'] },
    // oxlint-disable-next-line unicorn/no-thenable -- a keyword of JSON Schema
    then: { $ref: `#/definitions/${kind}` },
  })),
  definitions: Object.fromEntries(
    kinds.map((kind) => [kind, forEditors(resourceSchemas[kind] as Shape)]),
  ),
});

const forEditors = (node: unknown): unknown => {
  if (Array.isArray(node)) return node.map(forEditors);
  if (typeof node !== 'object' || node === null) return node;
  const shape = node as Shape & Readonly<Record<string, unknown>>;
  const result: Record<string, unknown> = {};
  for (const [key, member] of Object.entries(shape)) {
    if (key === 'needs') continue;
    if (key === 'properties')
      result[key] = Object.fromEntries(
        Object.entries(shape.properties ?? {}).map(([name, one]) => [name, forEditors(one)]),
      );
    else if (key === 'required') {
      const required = shape.required?.filter(
        (name) => shape.properties?.[name]?.default === undefined,
      );
      if (required && required.length > 0) result[key] = required;
    } else result[key] = forEditors(member);
  }
  return result;
};
