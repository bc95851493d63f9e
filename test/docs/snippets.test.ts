// Every policy that the documentation shows is one: it compiles for Weir's own data plane, whole or as part of a `spec`.
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { capabilities } from '#adapters/dataplane-node/capabilities.ts';
import { compile } from '#engine/compile/compile.ts';
import { readDocuments } from '#engine/compile/read-documents.ts';
import { type Kind, kinds, resourceSchemas } from '#engine/model/resource.ts';
import { readTable } from '#services/cli/authz/table.ts';
import { blocksOf, pages, type Snippet } from './pages.ts';
import { surroundings } from './surroundings.ts';

const snippets = pages.flatMap((page) => blocksOf(page, 'yaml'));
const hasKind = (text: string) => /^kind:/m.test(text);
const isTable = (text: string) => text.startsWith('tests:');

/** What a `spec` needs beside the part that is shown. */
const rests: Partial<Record<Kind, Record<string, unknown>>> = {
  Authentication: { targetRefs: [{ kind: 'Gateway', name: 'public' }] },
  Authorization: { targetRefs: [{ kind: 'Gateway', name: 'public' }] },
  Gateway: { listeners: [{ name: 'other', port: 9999 }] },
  Rollout: { service: 'loan-service' },
  Route: { parentRefs: [{ name: 'public' }] },
};

const kindsWith = (fields: readonly string[]): readonly Kind[] =>
  kinds.filter((kind) => {
    const { properties } = resourceSchemas[kind] as { properties: { spec: unknown } };
    const spec = properties.spec as { properties: Record<string, unknown> };
    return fields.every((field) => field in spec.properties);
  });

/** A snippet may stand in for a document of its surroundings; what those miss then is not its fault. */
const errorsOf = (text: string): readonly string[] => {
  const file = 'snippet.yaml';
  const read = readDocuments([{ file, text }]);
  const around = readDocuments([{ file: 'surroundings.yaml', text: surroundings }]);
  const { diagnostics } = compile({
    sources: new Map(
      [...around.documents, ...read.documents].map(({ id, source }) => [id, source]),
    ),
    standing: new Map(),
    workloads: [],
    capabilities: () => capabilities,
    files: () => JSON.stringify({ keys: [] }),
    keys: () => ({
      keys: [],
      endpoints: {
        authorization: 'https://id.bibby.com/auth',
        token: 'https://id.bibby.com/token',
        namesItself: false,
        secretInBody: false,
      },
    }),
  });
  return [...read.diagnostics, ...diagnostics]
    .filter(({ severity, location }) => severity === 'error' && location?.file === file)
    .map(({ location, code, message }) => `${location?.file}:${location?.line} ${code} ${message}`);
};

const asParts = (text: string): readonly { kind: Kind; errors: readonly string[] }[] => {
  const shown = parse(text) as Record<string, unknown>;
  const part = (shown['spec'] as Record<string, unknown> | undefined) ?? shown;
  return kindsWith(Object.keys(part)).map((kind) => ({
    kind,
    errors: errorsOf(
      JSON.stringify({
        apiVersion: 'weir.dev/v1',
        kind,
        metadata: { name: 'shown', namespace: 'bibby' },
        spec: { ...rests[kind], ...part },
      }),
    ),
  }));
};

const title = ({ file, line }: Snippet) => `${file}:${line}`;

describe('what the documentation shows', () => {
  it.each(
    snippets.filter(({ text }) => hasKind(text)).map((snippet) => [title(snippet), snippet.text]),
  )('%s is a policy that compiles', (_, text) => {
    expect(errorsOf(text)).toEqual([]);
  });

  it.each(
    snippets
      .filter(({ text }) => !hasKind(text) && !isTable(text))
      .map((snippet) => [title(snippet), snippet.text]),
  )('%s is a part of a policy that compiles', (_, text) => {
    const parts = asParts(text);
    expect(parts.length).toBeGreaterThan(0);
    if (parts.every(({ errors }) => errors.length > 0)) expect(parts).toEqual([]);
  });

  it.each(
    snippets.filter(({ text }) => isTable(text)).map((snippet) => [title(snippet), snippet.text]),
  )('%s is a table of requests', (_, text) => {
    expect(readTable('shown.yaml', text).tests.length).toBeGreaterThan(0);
  });

  it('has policies to show, among others that are sound', () => {
    expect(snippets.length).toBeGreaterThan(15);
    const { documents, diagnostics } = readDocuments([{ file: 'a.yaml', text: surroundings }]);
    expect(documents.length).toBeGreaterThan(15);
    expect(diagnostics).toEqual([]);
  });
});
