import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readDocuments } from '#engine/compile/read-documents.ts';
import { validate } from '#engine/compile/validate.ts';
import type { Diagnostic } from '#engine/model/diagnostic.ts';

const read = (text: string) => readDocuments([{ file: 'a.yaml', text }]);
const route = (name: string, rest = 'spec: {}') =>
  `apiVersion: weir.dev/v1\nkind: Route\nmetadata: { name: ${name} }\n${rest}\n`;

describe('documents of a file', () => {
  it('are separated by lines of dashes, empty ones left out', () => {
    const { documents, diagnostics } = read(
      `---\n${route('a')}---\n# nothing\n---\n${route('b')}...\n`,
    );
    expect(diagnostics).toEqual([]);
    expect(documents.map(({ id }) => id)).toEqual(['Route/default/a', 'Route/default/b']);
  });

  it('carry their own text and the line it starts at', () => {
    const { documents } = read(`# head\n---\n${route('a')}---\n${route('b')}`);
    expect(documents[1]?.source).toEqual({ file: 'a.yaml', line: 8, text: route('b') });
  });

  it('compile the same from their own text, places included', () => {
    const [, second] = read(`${route('a')}---\n${route('b')}`).documents;
    const again = readDocuments([{ file: 'a.yaml', text: second?.source.text ?? '' }]).documents[0];
    expect(again?.value).toEqual(second?.value);
    expect(again?.locate(['metadata', 'name'])).toEqual({ file: 'a.yaml', line: 3, column: 19 });
    expect(second?.locate(['metadata', 'name'])).toEqual({ file: 'a.yaml', line: 8, column: 19 });
  });

  it('may start on the line of their dashes and have directives', () => {
    const { documents } = read(
      `%YAML 1.2\n---\n${route('a')}--- {apiVersion: weir.dev/v1, kind: Route, metadata: {name: b}}\n`,
    );
    expect(documents.map(({ id }) => id)).toEqual(['Route/default/a', 'Route/default/b']);
    expect(documents[1]?.locate(['kind'])).toMatchObject({ line: 7 });
  });

  it('may contain dashes in a block of text', () => {
    const { documents } = read(route('a', 'spec:\n  body: |\n    ---\n    text'));
    expect(documents[0]?.value['spec']).toEqual({ body: '---\ntext\n' });
  });

  it('may be JSON with tabs', () => {
    const text =
      '{\n\t"apiVersion": "weir.dev/v1",\n\t"kind": "Route",\n\t"metadata": {"name": "a"}\n}';
    expect(read(text).documents[0]?.locate(['kind'])).toEqual({
      file: 'a.yaml',
      line: 3,
      column: 10,
    });
  });

  it('may have Windows line ends and a byte order mark', () => {
    const { documents, diagnostics } = read(`\ufeff${route('a').replaceAll('\n', '\r\n')}`);
    expect(diagnostics).toEqual([]);
    expect(documents[0]?.locate(['metadata', 'name'])).toMatchObject({ line: 3, column: 19 });
  });

  it('take no part in prototypes', () => {
    const { diagnostics } = read(route('a', 'spec: { __proto__: { polluted: true } }'));
    expect(diagnostics).toMatchObject([{ code: 'ERR_YAML_SYNTAX', location: { line: 4 } }]);
    const { documents } = read(route('b', 'spec: { constructor: 1, toString: 2 }'));
    expect(documents[0] && validate(documents[0]).diagnostics.map(({ code }) => code)).toEqual([
      'ERR_FIELD_MISSING',
      'ERR_FIELD_MISSING',
      'ERR_FIELD_UNKNOWN',
      'ERR_FIELD_UNKNOWN',
    ]);
  });
});

describe('places', () => {
  const text = route('a', 'spec:\n  hosts: &h [x.example, y.example]\n  more: *h\n  none:');
  const [document] = read(text).documents;

  it('tell a member from its value', () => {
    expect(document?.locate(['spec', 'hosts', 1])).toMatchObject({ line: 5, column: 25 });
    expect(document?.locate(['spec', 'hosts'], 'key')).toMatchObject({ line: 5, column: 3 });
    expect(document?.locate(['spec', 'none'])).toMatchObject({ line: 7 });
  });

  it('fall back to what encloses a missing member', () => {
    expect(document?.locate(['spec', 'rules', 0, 'timeout'])).toMatchObject({ line: 4, column: 1 });
  });

  it('inside an alias are the place of the alias', () => {
    expect(document?.locate(['spec', 'more', 1])).toMatchObject({ line: 6, column: 3 });
  });
});

describe('limits', () => {
  it('refuse a file of 10 MB with one finding and read the others', () => {
    const files = [
      { file: 'huge.yaml', text: `a: ${'x'.repeat(10_000_000)}` },
      { file: 'good.yaml', text: route('a') },
    ];
    const { documents, diagnostics } = readDocuments(files);
    expect(diagnostics).toMatchObject([
      { code: 'ERR_YAML_TOO_LARGE', location: { file: 'huge.yaml', line: 1, column: 1 } },
    ]);
    expect(documents).toHaveLength(1);
  });

  it('refuse one large document among others of its file', () => {
    const { documents, diagnostics } = read(`${route('a')}---\na: ${'x'.repeat(1_100_000)}\n`);
    expect(diagnostics).toMatchObject([{ code: 'ERR_YAML_TOO_LARGE', location: { line: 6 } }]);
    expect(documents).toHaveLength(1);
  });

  it.each([
    ['brackets', '['.repeat(1_000_000)],
    ['dashes', '- '.repeat(500_000)],
    ['nested members', Array.from({ length: 200 }, (_, i) => `${' '.repeat(i)}a:`).join('\n')],
    ['question marks', '? '.repeat(400_000)],
    ['many members', Array.from({ length: 90_000 }, (_, i) => `k${i}: 1`).join('\n')],
    ['many aliases', `a: &a 1\nb: [${'*a,'.repeat(200_000)}]`],
    ['a self-containing alias', 'a: &a [*a]'],
    [
      'a bomb of aliases',
      `a0: &a0 [x]\n${Array.from({ length: 9 }, (_, i) => `a${i + 1}: &a${i + 1} [${Array(10).fill(`*a${i}`).join()}]`).join('\n')}`,
    ],
  ])('refuse %s with one finding', (_, text) => {
    const { documents, diagnostics } = read(text);
    expect(documents).toEqual([]);
    expect(diagnostics).toMatchObject([{ code: 'ERR_YAML_TOO_LARGE' }]);
  });
});

describe('identity', () => {
  it('that two documents share leaves both out, with one finding at the second', () => {
    const { documents, diagnostics } = readDocuments([
      { file: 'a.yaml', text: route('a') },
      { file: 'b.yaml', text: `${route('a')}---\n${route('b')}` },
    ]);
    expect(documents.map(({ id }) => id)).toEqual(['Route/default/b']);
    expect(diagnostics).toMatchObject([
      {
        code: 'ERR_RESOURCE_DUPLICATE',
        resource: 'Route/default/a',
        location: { file: 'b.yaml', line: 3 },
      },
    ]);
    expect(diagnostics[0]?.message).toContain('a.yaml:3');
  });

  it('is apart for each namespace and kind', () => {
    const { documents } = read(
      `${route('a')}---\n${route('a, namespace: other')}---\n${route('a').replace('Route', 'Quota')}`,
    );
    expect(documents.map(({ id }) => id)).toEqual([
      'Route/default/a',
      'Route/other/a',
      'Quota/default/a',
    ]);
  });
});

describe('any text', () => {
  const signs = 'a: \n-[]{},|>"\'#%!\t\r\0~\u2028'.split('');
  const words = ['&x ', '*x', '? ', '---\n', '...\n', '!!map ', '<<: ', '.nan', '0x', '  '];
  const lines = ['apiVersion: weir.dev/v1\n', 'kind: Route\n', 'metadata: {name: a}\n'];
  const yamlish = fc
    .array(fc.constantFrom(...signs, ...words, ...lines), { maxLength: 60 })
    .map((parts) => parts.join(''));

  it('is read without throwing, and every finding has a place in it', () => {
    fc.assert(
      fc.property(fc.oneof(yamlish, fc.string({ unit: 'binary' })), (text) => {
        const { documents, diagnostics } = read(text);
        const lastLine = text.split('\n').length + 1;
        const isMisplaced = ({ location }: Diagnostic) =>
          !location || location.line < 1 || location.line > lastLine || location.column < 1;
        expect(diagnostics.filter(isMisplaced)).toEqual([]);
        for (const document of documents) validate(document);
      }),
      { numRuns: 200 },
    );
  });
});
