import { describe, it } from 'vitest';
import { canonicalPath, type PathPolicy } from '#adapters/dataplane-node/http1/path.ts';
import { fuzz } from './fuzz.ts';

const levels = ['None', 'Base', 'MergeSlashes', 'DecodeAndMergeSlashes'] as const;
const slashes = ['reject', 'keep', 'decode'] as const;

const pieces = [
  '/',
  '//',
  '.',
  '..',
  '/../',
  '/./',
  '%2e',
  '%2E%2e',
  '%2f',
  '%5C',
  '%252e',
  '%25',
  '%00',
  '%3b',
  '%c3%a9',
  '%',
  '\\',
  ';',
  '..;',
  '..%3B',
  '%61',
  '~',
];

/** Segments as a server sees that decodes once, and then drops parameters. */
const decodedSegments = (path: string): readonly string[] =>
  path
    .replaceAll(/%([0-9A-Fa-f]{2})/g, (_, hex: string) =>
      String.fromCharCode(Number.parseInt(hex, 16)),
    )
    .split(/[/\\]/)
    .map((segment) => segment.replace(/;.*$/s, ''));

const flaw = (path: string, policy: PathPolicy): string | undefined => {
  const { normalization, encodedSlash } = policy;
  if (!path.startsWith('/')) return 'does not begin with a slash';
  if (normalization === 'None') return undefined;
  if (/\/\.{1,2}(?:\/|$)|\\|%00|%(?![0-9A-F]{2})/.test(path)) return 'is not normal';
  if (normalization !== 'Base' && path.includes('//')) return 'has two slashes in a row';
  if (encodedSlash === 'keep' && normalization !== 'DecodeAndMergeSlashes') return undefined;
  const segments = decodedSegments(path);
  if (segments.length !== path.split('/').length) return 'has a hidden slash';
  return segments.some((segment) => segment === '.' || segment === '..')
    ? 'climbs once it is decoded'
    : undefined;
};

describe('a canonical path', () => {
  it('is a fixed point, and means the same to a server that decodes it', () => {
    fuzz({
      inputs: 200_000,
      bases: ['/', '/a/b/c', '/a/../b', '/a/%2e%2e/b', '//a//b/', '/a;v=1/b', '/caf%c3%a9/~x'],
      pieces,
      check: (text, random) => {
        const policy = { normalization: random.pick(levels), encodedSlash: random.pick(slashes) };
        const raw = text.replaceAll(/[^!-~]|[?#]/g, '');
        const path = canonicalPath(raw.startsWith('/') ? raw : `/${raw}`, policy);
        if (path === undefined) return undefined;
        const wrong = flaw(path, policy);
        if (wrong !== undefined)
          return `becomes ${path} under ${JSON.stringify(policy)}, which ${wrong}`;
        const again = canonicalPath(path, policy);
        return again === path
          ? undefined
          : `becomes ${path}, and then ${again} (${JSON.stringify(policy)})`;
      },
    });
  });
});
