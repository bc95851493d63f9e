// What a document asks of a data plane: every marked part of its schema that it really sets, as written.
import type { TSchema } from 'typebox';
import { isExpression, parseExpression } from '../../model/expression.ts';
import { type Feature, features } from '../../model/features.ts';
import { type Kind, resourceSchemas } from '../../model/resource.ts';
import { type Path, valueAt } from '../documents/path.ts';
import type { Document } from '../read-documents.ts';

export interface Need {
  readonly feature: Feature;
  readonly path: Path;
}

type Node = Readonly<Record<string, unknown>>;

/** In the order of the schema. Setting a marked switch to false asks for nothing. */
export const needsOf = (document: Document): readonly Need[] => {
  const known = remembered.get(document);
  if (known) return known;
  const needs: Need[] = [...implied(document)];
  collect(resourceSchemas[document.kind] as TSchema as Node, document.value, [], needs);
  remembered.set(document, needs);
  return needs;
};

const remembered = new WeakMap<Document, readonly Need[]>();

const collect = (schema: Node, value: unknown, path: Path, needs: Need[]): void => {
  if (value === undefined || value === null) return;
  const { needs: feature } = schema;
  if (isFeature(feature) && value !== false) needs.push({ feature, path });
  if (Array.isArray(schema['anyOf'])) {
    const branch = (schema['anyOf'] as Node[]).find((one) => one['const'] === value);
    if (branch) collect(branch, value, path, needs);
    return;
  }
  if (Array.isArray(value)) {
    const items = schema['items'] as Node | undefined;
    if (items)
      for (const [index, item] of value.entries()) collect(items, item, [...path, index], needs);
    return;
  }
  const properties = schema['properties'] as Readonly<Record<string, Node>> | undefined;
  if (typeof value !== 'object' || !properties) return;
  for (const [name, member] of Object.entries(properties))
    if (Object.hasOwn(value, name)) collect(member, (value as Node)[name], [...path, name], needs);
};

const isFeature = (value: unknown): value is Feature => features.includes(value as Feature);

/** What a kind asks for by its very presence. */
const impliedByKind: Partial<Record<Kind, { readonly feature: Feature; readonly path: Path }>> = {
  Route: { feature: 'http', path: ['spec', 'rules'] },
  Authorization: { feature: 'authorization', path: ['spec'] },
};

const implied = ({ kind, value }: Document): readonly Need[] => {
  const need = impliedByKind[kind];
  if (kind === 'Authorization' && need) return [need, ...peerNeeds(value)];
  if (need) return [need];
  const spec = value['spec'] as Node | undefined;
  if (kind === 'Quota' && spec?.['scope'] === undefined)
    return [{ feature: 'quota-local', path: ['spec'] }];
  return kind === 'Rollout' && spec?.['strategy'] === undefined
    ? [{ feature: 'rollout-canary', path: ['spec'] }]
    : [];
};

/** Conditions may ask for the peer's identity without a field of their own for it. */
const peerNeeds = (value: Document['value']): readonly Need[] => {
  const rules = valueAt(value, ['spec', 'rules']);
  if (!Array.isArray(rules)) return [];
  return rules.flatMap((_, index): Need[] => {
    const path: Path = ['spec', 'rules', index];
    const needs: Need[] = [];
    const conditions = valueAt(value, [...path, 'when']);
    if (Array.isArray(conditions))
      for (const place of conditions.keys()) {
        const at = [...path, 'when', place, 'key'];
        if (isAboutPeer(valueAt(value, at))) needs.push({ feature: 'peer-principal', path: at });
      }
    const cel = valueAt(value, [...path, 'cel']);
    const expression = typeof cel === 'string' ? parseExpression(cel) : undefined;
    if (expression && isExpression(expression) && expression.usesPeer)
      needs.push({ feature: 'peer-principal', path: [...path, 'cel'] });
    return needs;
  });
};

const isAboutPeer = (key: unknown): boolean =>
  typeof key === 'string' && /^source\.(principal|namespace|serviceAccount|trustDomain)$/.test(key);

/** Enforced by the engine itself, whatever the data plane. */
export const engineFeatures: ReadonlySet<Feature> = new Set<Feature>([
  'rollout-canary',
  'rollout-gates',
  'rollout-blue-green',
  'rollout-ab',
  'rollout-mirror',
  'rollout-group',
  'rollout-metrics',
]);

/** Of these nothing would reach a data plane yet, so nobody's word that it can enforce them counts. */
export const notCompiled: ReadonlySet<Feature> = new Set<Feature>(['peer-mtls', 'plugin']);
