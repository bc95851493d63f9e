// One path for routing, authorization, the access log and the upstream: no spelling of a path gets around a policy about it.
import { describe, expect, it } from 'vitest';
import type { AuthorizationPlan, Rule } from '#engine/model/snapshot.ts';
import { createPipeline } from '#engine/pipeline/create-pipeline.ts';
import {
  forwardTo,
  listenerAt,
  ruleFor,
  snapshotOf,
  upstreamAt,
  viewOf,
} from '#test/conformance/data-plane-world.ts';
import { pipelineDeps } from '#test/support/pipeline-deps.ts';
import { inMemoryProxy } from './in-memory.ts';
import { readStrictly } from './strict-reader.ts';

const hex = (letter: string): string => `%${letter.charCodeAt(0).toString(16).padStart(2, '0')}`;

/** What is put between two segments instead of a slash, or around one. */
const slashes = [
  '//',
  '///',
  '/./',
  '/.//',
  '/x/../',
  '/x/%2e%2e/',
  '/x/.%2E/',
  '/%2e/',
  '/.;/',
  '/..;/',
  '/x/..;/',
  '/x/..;a=b/',
  '/x/..%3b/',
  '/;/',
  ';/',
  ';a=b/',
  '%2f',
  '%2F',
  '/%2f',
  '\\',
  '\\\\',
  '%5c',
  '%5C/',
  '/\\',
  '/x\\..\\',
  '/x%2f..%2f',
  '/x/..%5c',
  '%252f',
  '/%252e%252e/',
  '/%c0%ae%c0%ae/',
  '%c0%af',
  '/%u002e/',
  '/%00/',
  '%00/',
  '/\t/',
  '%09/',
  '/ /',
  '%20/',
  '/\xef\xbc\x8f/',
  '/?/',
  '/#/',
];

const endings = [
  '',
  '/',
  '//',
  '/.',
  '/..',
  '/./',
  '/x/..',
  '/%2e',
  ';',
  ';a=b',
  '?',
  '?x=/../y',
  '#',
  '#x',
  '%00',
  '%20',
  '%23',
  '%3f',
  '.',
  '..',
  '\\',
  '%2f',
  '%5c',
  '/;',
  '%',
  '%2',
];

/** Spellings of `path` that somebody may read as `path`. */
const spellingsOf = (path: string): readonly string[] => {
  const list = new Set<string>(endings.map((ending) => path + ending));
  const places = [...path.matchAll(/\//g)].map(({ index }) => index);
  for (const slash of slashes)
    for (const at of places) list.add(path.slice(0, at) + slash + path.slice(at + 1));
  for (const one of slashes)
    for (const other of slashes)
      if (places.length > 1) list.add(one + path.slice(1).replace('/', other));
  for (let at = 1; at < path.length; at++) {
    const [before, letter, after] = [path.slice(0, at), path.charAt(at), path.slice(at + 1)];
    list.add(before + hex(letter) + after);
    list.add(before + hex(letter).toUpperCase() + after);
    list.add(`${before}%25${hex(letter).slice(1)}${after}`);
    list.add(`http://a${before}${hex(letter)}${after}`);
  }
  list.add(
    path
      .split('')
      .map((letter, at) => (at === 0 ? letter : hex(letter)))
      .join(''),
  );
  for (const prefix of [
    '/x/..',
    '/x/y/../..',
    '/..',
    '/../..',
    '/.',
    '//a',
    '/%2e%2e',
    '/x/..;',
    '/a@b/..',
    '.',
    '',
    'http://a',
    'HTTP://A',
    'http://a/x/..',
  ])
    list.add(prefix + path);
  return [...list];
};

const resolved = (path: string): string => {
  const kept: string[] = [];
  for (const segment of path.split(/[/\\]/))
    if (segment === '..') kept.pop();
    else if (segment !== '' && segment !== '.') kept.push(segment);
  return `/${kept.join('/')}${/[/\\]$/.test(path) ? '/' : ''}`;
};

/** As servers read a path: encodings and the parameters of dot segments taken away, slashes of both kinds, dot segments resolved. */
const readings = (path: string): readonly string[] => {
  const decoded = path.replaceAll(/%([0-9A-Fa-f]{2})/g, (_, code: string) =>
    String.fromCharCode(Number.parseInt(code, 16)),
  );
  const bare = (text: string): string => text.replaceAll(/([/\\]\.{1,2});[^/\\]*/g, '$1');
  return [path, decoded, bare(path), bare(decoded)].map(resolved);
};

const SECRET = '/admin/keys';
const isSecret = (path: string): boolean => /^\/admin(?:\/|$)/.test(path);
const isSecretFile = (path: string): boolean => path === SECRET;

const origin = { resource: 'AuthorizationPolicy/bibby/admin' };
const target = 'bibby/catalog';

const denying = (paths: readonly string[]): AuthorizationPlan => ({
  origin,
  action: 'DENY',
  mode: 'enforce',
  rules: [{ to: [{ paths }] }],
});

const allowing = (paths: readonly string[]): AuthorizationPlan => ({
  origin,
  action: 'ALLOW',
  mode: 'enforce',
  rules: [{ to: [{ paths }] }],
});

const closed = (
  type: 'exact' | 'segmentPrefix' | 'stringPrefix' | 'regexFull' | 'regexStart',
  value: string,
): Rule =>
  ruleFor(
    { action: { type: 'respond', status: 403, body: '', contentType: 'text/plain' } },
    { path: { type, value } },
  );

const open = (authorization?: AuthorizationPlan): Rule =>
  ruleFor({ action: forwardTo(target), authorizations: authorization ? ['admin'] : [] });

interface Case {
  readonly rules: readonly Rule[];
  readonly authorization?: AuthorizationPlan;
  /** What must never reach the upstream. */
  readonly isForbidden: (path: string) => boolean;
}

const withPolicy = (authorization: AuthorizationPlan, isForbidden: Case['isForbidden']): Case => ({
  rules: [open(authorization)],
  authorization,
  isForbidden,
});
const withRoute = (rule: Rule, isForbidden: Case['isForbidden']): Case => ({
  rules: [rule, open()],
  isForbidden,
});

const cases: Readonly<Record<string, Case>> = {
  'an exact path that is denied': withPolicy(denying([SECRET]), isSecretFile),
  'a prefix that is denied': withPolicy(denying(['/admin', '/admin/*']), isSecret),
  'the only prefix that is allowed': withPolicy(
    allowing(['/books/*']),
    (path) => !path.startsWith('/books/'),
  ),
  'an exact route': withRoute(closed('exact', SECRET), isSecretFile),
  'a route by segments': withRoute(closed('segmentPrefix', '/admin'), isSecret),
  'a route by characters': withRoute(closed('stringPrefix', '/admin'), isSecret),
  'a route by a whole pattern': withRoute(closed('regexFull', '/admin(/.*)?'), isSecret),
  'a route by the start of a pattern': withRoute(closed('regexStart', '/adm[a-z]n'), isSecret),
};

const vectors = [
  ...spellingsOf(SECRET),
  ...spellingsOf('/books/../admin/keys'),
  ...spellingsOf('/books/1'),
];
const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';

describe('no spelling of a path gets around', () => {
  it.each(Object.keys(cases))('%s', async (name) => {
    const { rules, authorization, isForbidden } = cases[name] as Case;
    const view = viewOf(
      snapshotOf({
        rules,
        upstreams: [upstreamAt(target, [1])],
        listeners: [listenerAt(8080)],
        authorizations: authorization ? { admin: authorization } : {},
      }),
      1,
    );
    const logged: string[] = [];
    const proxy = await inMemoryProxy({
      answer: (text) => (readStrictly(text).messages.length > 0 ? [OK] : undefined),
      view,
      pipeline: createPipeline(view, pipelineDeps()),
      onAccess: ({ path }) => logged.push(path),
    });
    let passed = 0;
    for (const vector of vectors) {
      logged.length = 0;
      const { sent } = proxy.talk([`GET ${vector} HTTP/1.1\r\nHost: a\r\n\r\n`]);
      if (sent === '') continue;
      passed++;
      const [path = ''] = (readStrictly(sent).messages[0]?.line.split(' ')[1] ?? '').split('?');
      for (const reading of readings(path))
        expect(isForbidden(reading), `${vector} is sent as ${path}, read as ${reading}`).toBe(
          false,
        );
      expect(logged, vector).toEqual([path]);
    }
    expect(vectors.length).toBeGreaterThan(3000);
    expect(passed).toBeGreaterThan(50);
  });
});
