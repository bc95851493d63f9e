import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readDocuments } from '#engine/compile/read-documents.ts';
import { validate } from '#engine/compile/validate.ts';
import { kinds } from '#engine/model/resource.ts';

const document = (kind: string, spec: unknown) => {
  const text = JSON.stringify({ apiVersion: 'weir.dev/v1', kind, metadata: { name: 'a' }, spec });
  const [found] = readDocuments([{ file: 'a.json', text }]).documents;
  if (!found) throw new Error('not a document');
  return found;
};
const findings = (kind: string, spec: unknown) =>
  validate(document(kind, spec)).diagnostics.map(({ code, path, hint }) => ({ code, path, hint }));

const route = (rule: object) => ({ parentRefs: [{ name: 'g' }], rules: [rule] });

describe('validation', () => {
  it('fills in defaults, also inside parts that a data plane must support', () => {
    const spec = route({ retry: {}, cors: { origins: ['https://a.example'] } });
    const { resource } = validate(document('Route', spec));
    expect(resource?.spec).toMatchObject({
      hosts: [],
      rules: [{ timeout: '15s', retry: { attempts: 2 }, cors: { credentials: false } }],
    });
  });

  it('leaves the document as it was written', () => {
    const written = document('Route', route({ retry: {} }));
    validate(written);
    expect(written.value['spec']).toEqual(route({ retry: {} }));
  });

  it('offers the name that was probably meant', () => {
    expect(findings('Route', route({ timout: '1s' }))).toEqual([
      { code: 'ERR_FIELD_UNKNOWN', path: 'spec.rules[0].timout', hint: 'Did you mean "timeout"?' },
    ]);
  });

  it('tells one mistake once, however many branches of a choice it misses', () => {
    expect(findings('Route', route({ redirect: { status: 300 } }))).toEqual([
      {
        code: 'ERR_FIELD_VALUE',
        path: 'spec.rules[0].redirect.status',
        hint: 'It is one of 301, 302, 303, 307, 308.',
      },
    ]);
    expect(findings('Gateway', { listeners: [{ name: 'a', port: 80, protocol: 'HTPS' }] })).toEqual(
      [
        {
          code: 'ERR_FIELD_VALUE',
          path: 'spec.listeners[0].protocol',
          hint: 'Did you mean "HTTPS"?',
        },
      ],
    );
  });

  it('tells all mistakes of a document, more than eight of them', () => {
    const rules = Array.from({ length: 30 }, () => ({ timeout: 5 }));
    expect(findings('Route', { parentRefs: [{ name: 'g' }], rules })).toHaveLength(30);
  });

  it('names each field that is missing', () => {
    expect(findings('Route', {}).map(({ code, path }) => [code, path])).toEqual([
      ['ERR_FIELD_MISSING', 'spec.parentRefs'],
      ['ERR_FIELD_MISSING', 'spec.rules'],
    ]);
  });

  it('takes any JSON for a spec without throwing, and explains each refusal', () => {
    fc.assert(
      fc.property(fc.constantFrom(...kinds), fc.jsonValue({ maxDepth: 5 }), (kind, spec) => {
        fc.pre(!JSON.stringify(spec).includes('__proto__'));
        const { resource, diagnostics } = validate(document(kind, spec));
        expect(resource === undefined).toBe(diagnostics.length > 0);
        for (const { message, hint } of diagnostics) {
          expect(message).not.toContain('undefined');
          expect(hint).toMatch(/[.?]$/);
        }
      }),
    );
  });
});
