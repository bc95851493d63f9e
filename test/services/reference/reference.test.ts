import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import Schema from 'typebox/schema';
import { describe, expect, it } from 'vitest';
import { readDocuments } from '#engine/compile/read-documents.ts';
import { kinds, resourceSchemas } from '#engine/model/resource.ts';
import { editorSchema } from '#services/reference/editor-schema.ts';
import { fieldsOf } from '#services/reference/fields.ts';
import { pages } from '#services/reference/pages.ts';
import type { Shape } from '#services/reference/shape.ts';

const root = join(import.meta.dirname, '..', '..', '..');

describe('the reference', () => {
  it.each([...pages()])('%s is what `npm run docs` writes', (file, text) => {
    expect(readFileSync(join(root, 'docs', file), 'utf8')).toBe(text);
  });

  it('has no page too many', () => {
    const written = readdirSync(join(root, 'docs', 'reference')).map((file) => `reference/${file}`);
    expect(written.filter((file) => !pages().has(file))).toEqual([]);
  });

  it.each(kinds)('says what every field of %s means', (kind) => {
    const silent = fieldsOf(resourceSchemas[kind] as Shape).filter(({ meaning }) => meaning === '');
    expect(silent.map(({ path }) => path)).toEqual([]);
  });
});

describe('the types of fields', () => {
  it('are in the plural inside of lists', () => {
    const types = kinds.flatMap((kind) =>
      fieldsOf(resourceSchemas[kind] as Shape).map(({ type }) => type),
    );
    expect(types).toContain('list of numbers above 0 to 100');
    expect(types).toContain('list of maps to anything');
    expect(types.filter((type) => /aboves|tos |ss$/.test(type))).toEqual([]);
  });
});

describe('the schema for editors', () => {
  const check = Schema.Compile(editorSchema());
  const folder = join(root, 'policies');
  const files = readdirSync(folder).map((file) => ({
    file,
    text: readFileSync(join(folder, file), 'utf8'),
  }));

  it('takes the policies of the demo as they are written', () => {
    const { documents } = readDocuments(files);
    expect(documents.length).toBeGreaterThan(5);
    for (const { id, value } of documents) expect([id, check.Check(value)]).toEqual([id, true]);
  });

  it('refuses a field that does not exist', () => {
    const [document] = readDocuments(files).documents;
    expect(check.Check({ ...document?.value, extra: 1 })).toBe(false);
    expect(check.Check({ ...document?.value, kind: 'Other' })).toBe(false);
  });
});
