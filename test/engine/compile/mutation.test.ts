// Whatever somebody does to the documents of the demo: compile answers, and what it puts in force hangs together.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { compile } from '#engine/compile/compile.ts';
import { readDocuments } from '#engine/compile/read-documents.ts';
import { record } from '#engine/compile/standing.ts';
import type { Snapshot } from '#engine/model/snapshot.ts';

const folder = join(import.meta.dirname, '..', '..', '..', 'policies');
const documents = readDocuments(
  readdirSync(folder).map((file) => ({ file, text: readFileSync(join(folder, file), 'utf8') })),
).documents.map(({ value }) => value);

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** Every place in a value, as a path. */
const placesIn = (value: unknown, path: (string | number)[] = []): (string | number)[][] =>
  typeof value !== 'object' || value === null
    ? [path]
    : [path, ...Object.entries(value).flatMap(([key, inner]) => placesIn(inner, [...path, key]))];

const change = (
  root: unknown,
  path: readonly (string | number)[],
  to: Json | undefined,
): unknown => {
  const copy = structuredClone(root);
  let holder = copy as Record<string | number, unknown>;
  for (const step of path.slice(0, -1)) holder = holder[step] as typeof holder;
  const last = path.at(-1);
  if (last === undefined) return copy;
  if (to !== undefined) holder[last] = to;
  else if (Array.isArray(holder)) holder.splice(Number(last), 1);
  else delete holder[last];
  return copy;
};

const names =
  'public catalog catalog-service bibby default v1.0 v9 web read * Route Gateway Service';
const texts = 'Mesh HTTPS / /catalog (a+)+ 5s listed';
const others: readonly Json[] = ['', 0, 1, -1, 8080, 99_999, true, false, null, [], {}, [{}]];
const words: readonly Json[] = [...names.split(' '), ...texts.split(' '), ...others];
const mutation = fc.record({
  document: fc.nat(documents.length - 1),
  place: fc.nat(1000),
  to: fc.option(fc.constantFrom(...words), { nil: undefined }),
});

const apply = (mutations: readonly { document: number; place: number; to: Json | undefined }[]) => {
  const changed: unknown[] = [...documents];
  for (const { document, place, to } of mutations) {
    const places = placesIn(changed[document]).slice(1);
    const path = places[place % places.length];
    if (path) changed[document] = change(changed[document], path, to);
  }
  return changed;
};

/** Names inside a snapshot that lead nowhere. */
const dangling = ({ hosts, rules, splits, upstreams, ...plans }: Snapshot): readonly string[] => {
  const missing: string[] = [];
  const need = (table: object, key: string | undefined): void => {
    if (key !== undefined && !Object.hasOwn(table, key)) missing.push(key);
  };
  for (const { rules: indexes } of hosts) for (const index of indexes) need(rules, String(index));
  for (const { choices } of Object.values(splits)) {
    for (const { upstream } of choices) need(upstreams, upstream);
    const total = choices.reduce((sum, { weight }) => sum + weight, 0);
    if (total !== 10_000) missing.push(`${total} basis points`);
  }
  for (const { action, ...rule } of rules) {
    for (const key of rule.authentications) need(plans.authentications, key);
    for (const key of rule.authorizations) need(plans.authorizations, key);
    for (const key of rule.quotas) need(plans.quotas, key);
    if (action.type !== 'forward') continue;
    for (const backend of action.backends)
      if ('split' in backend) need(splits, backend.split);
      else need(upstreams, backend.upstream);
  }
  return missing;
};

it('answers to any change of the documents, and every name in a snapshot leads somewhere', () => {
  const standing = record(new Map(), {
    id: 'split:bibby/catalog-service',
    serial: 1,
    body: { type: 'split', target: 'bibby/catalog-service', weights: { 'v1.0': 4000, v9: 6000 } },
    by: 'a test',
    reason: '',
  });
  fc.assert(
    fc.property(fc.array(mutation, { minLength: 1, maxLength: 4 }), (mutations) => {
      const text = apply(mutations)
        .map((value) => JSON.stringify(value))
        .join('\n---\n');
      const read = readDocuments([{ file: 'all.yaml', text }]);
      const compiled = compile({
        sources: new Map(read.documents.map(({ id, source }) => [id, source])),
        standing,
        workloads: [],
        capabilities: () => undefined,
        files: () => '{"keys":[]}',
      });
      expect([...compiled.snapshots.values()].flatMap(dangling)).toEqual([]);
      const named = new Set(compiled.diagnostics.map(({ resource }) => resource));
      expect(compiled.quarantined.filter((id) => !named.has(id))).toEqual([]);
    }),
    { numRuns: 150 },
  );
});
