import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalPath, type PathPolicy } from '#adapters/dataplane-node/http1/path.ts';

const policy = (changes: Partial<PathPolicy> = {}): PathPolicy => ({
  normalization: 'MergeSlashes',
  encodedSlash: 'reject',
  ...changes,
});

describe('the canonical path', () => {
  it.each<[string, string | undefined]>([
    ['/', '/'],
    ['/a/b', '/a/b'],
    ['//', '/'],
    ['/a//b', '/a/b'],
    ['///a', '/a'],
    ['/a/./b', '/a/b'],
    ['/a/../b', '/b'],
    ['/a/..', '/'],
    ['/a/b/..', '/a/'],
    ['/a/.', '/a/'],
    ['/../../a', '/a'],
    ['/..', '/'],
    ['/a//../b', '/b'],
    ['/%61', '/a'],
    ['/%2e%2e/admin', '/admin'],
    ['/a/%2E%2e/b', '/b'],
    ['/a%7eb', '/a~b'],
    ['/a%3fb', '/a%3Fb'],
    ['/caf%c3%a9', '/caf%C3%A9'],
    ['/%252e%252e/', '/%252e%252e/'],
    ['/.hidden', '/.hidden'],
    ['/a..b', '/a..b'],
    ['/a/...', '/a/...'],
    ['/a\\..\\b', '/b'],
    ['/a;v=1/b', '/a;v=1/b'],
    ['/%', undefined],
    ['/%2', undefined],
    ['/%zz', undefined],
    ['/%00', undefined],
    ['/a%2fb', undefined],
    ['/a%5Cb', undefined],
    ['/a/..;/b', undefined],
    ['/a/.;x=1/b', undefined],
    ['/a/%2e%2e;/b', undefined],
    ['/a/..%3b/b', undefined],
    ['/a/.%3Bx=1/b', undefined],
  ])('of %s is %s', (path, expected) => {
    expect(canonicalPath(path, policy())).toBe(expected);
  });

  it.each<[Partial<PathPolicy>, string, string | undefined]>([
    [{ normalization: 'None' }, '/a//b/%61', '/a//b/%61'],
    [{ normalization: 'None' }, '/a/../b', '/a/../b'],
    [{ normalization: 'None' }, '/a/%2e%2e/b', '/a/%2e%2e/b'],
    [{ normalization: 'None' }, '/a\\b', '/a\\b'],
    [{ normalization: 'None' }, '/a%2Fb', undefined],
    [{ normalization: 'Base' }, '/a//b', '/a//b'],
    [{ normalization: 'Base' }, '/a//../b', '/a/b'],
    [{ normalization: 'Base' }, '//a', '//a'],
    [{ encodedSlash: 'keep' }, '/a%2fb', '/a%2Fb'],
    [{ encodedSlash: 'decode' }, '/a%2fb', '/a/b'],
    [{ encodedSlash: 'decode' }, '/a%2f..%2fb', '/b'],
    [{ encodedSlash: 'decode' }, '/a%2f%2fb', '/a/b'],
    [{ encodedSlash: 'decode' }, '/a%5cb', '/a/b'],
    [{ normalization: 'DecodeAndMergeSlashes' }, '/a%2f%2fb', '/a/b'],
  ])('under %j of %s is %s', (changes, path, expected) => {
    expect(canonicalPath(path, policy(changes))).toBe(expected);
  });

  it('is a fixed point, and has no dot segment, no double slash and no needless escape', () => {
    const piece = fc.constantFrom(
      '/',
      '.',
      '..',
      '%2e',
      '%2f',
      '%5c',
      '\\',
      ';',
      'a',
      '%61',
      '%25',
      '%c3',
      'b',
    );
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 12 }),
        fc.constantFrom('reject', 'keep', 'decode'),
        (pieces, encodedSlash) => {
          const path = canonicalPath(
            `/${pieces.join('')}`,
            policy({ encodedSlash: encodedSlash as 'keep' }),
          );
          if (path === undefined) return;
          expect(canonicalPath(path, policy({ encodedSlash: 'keep' }))).toBe(path);
          expect(path).toMatch(/^\//);
          expect(path).not.toMatch(/\/\/|\/\.{1,2}(\/|$)|%61|%2e|\\/i);
        },
      ),
      { numRuns: 3000 },
    );
  });
});
