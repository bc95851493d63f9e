// Paths that mean one thing to a policy and another to a careless server behind it. The oracle is such a server: it
// decodes, turns backslashes, merges slashes and resolves dots. Whatever it would make of the path, policy must have seen.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalPath } from '#adapters/dataplane-node/http1/path.ts';
import type { AuthorizationPlan, Match } from '#engine/model/snapshot.ts';
import { createPipeline } from '#engine/pipeline/create-pipeline.ts';
import type { Outcome } from '#engine/pipeline/exchange.ts';
import { pipelineDeps } from '#test/support/pipeline-deps.ts';
import { requestView } from '#test/support/request-view.ts';
import { forwardTo, planeView, rule, snapshot } from '#test/support/snapshot.ts';

const carelessServer = (target: string): string => {
  const decoded = target.replaceAll(/%([0-9a-fA-F]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  const segments: string[] = [];
  for (const segment of decoded.replaceAll('\\', '/').split('/')) {
    if (segment === '..') segments.pop();
    else if (segment !== '' && segment !== '.') segments.push(segment);
  }
  return `/${segments.join('/')}`;
};

const policies: readonly (readonly [string, AuthorizationPlan['action'], readonly string[]])[] = [
  ['DENY by prefix', 'DENY', ['/admin', '/admin/*']],
  ['DENY by template', 'DENY', ['/admin', '/admin/{**}']],
  ['ALLOW by prefix', 'ALLOW', ['/public', '/public/*']],
  ['ALLOW by template', 'ALLOW', ['/public', '/public/{**}']],
];
const routes: readonly Match['path'][] = [
  { type: 'segmentPrefix', value: '/' },
  { type: 'stringPrefix', value: '/' },
  { type: 'regexFull', value: '/.*' },
];

const world = (
  action: AuthorizationPlan['action'],
  paths: readonly string[],
  path: Match['path'],
) =>
  createPipeline(
    planeView(
      snapshot({
        rules: [rule({ match: { path }, action: forwardTo(), authorizations: ['p'] })],
        authorizations: {
          p: { origin: { resource: 'p' }, action, mode: 'enforce', rules: [{ to: [{ paths }] }] },
        },
      }),
    ),
    pipelineDeps(),
  );

/** Undefined: refused before policy. */
const send = async (
  pipeline: ReturnType<typeof world>,
  raw: string,
): Promise<Outcome | undefined> => {
  const path = canonicalPath(raw, { normalization: 'MergeSlashes', encodedSlash: 'reject' });
  return path === undefined ? undefined : pipeline.handle(requestView({ url: path }), 'r');
};

const check = (action: AuthorizationPlan['action'], raw: string, outcome: Outcome | undefined) => {
  if (outcome?.type !== 'forward') return;
  const seen = carelessServer(outcome.target);
  const isIn = (root: string) => seen === root || seen.startsWith(`${root}/`);
  expect([raw, action === 'DENY' ? !isIn('/admin') : isIn('/public')]).toEqual([raw, true]);
};

const tricks = [
  '/admin',
  '/admin/',
  '//admin',
  '/./admin',
  '/x/../admin',
  '/%61dmin',
  '/%2561dmin',
  '/adm%69n/x',
  '/public/../admin',
  '/public/..%2fadmin',
  '/public/%2e%2e/admin',
  '/public/%2E%2E%2Fadmin',
  '/public/.%2e/admin',
  '/public/..;/admin',
  '/public/..;x=1/admin',
  '/public/%2e%2e;/admin',
  '/public/..\\admin',
  '/public\\..\\admin',
  '/public/..%5cadmin',
  '/public%2f..%2fadmin',
  '/public/%252e%252e/admin',
  '/public/..%00/admin',
  '/public/..%0d%0a/admin',
  '/public/...//admin',
  '/public/..//admin',
  '/public//../admin',
  '/public/./../admin',
  '/public/x/../../admin',
  '/../../admin',
  '/..',
  '/.',
  '/public/..',
  '/public/%2e%2e',
  '/public/%',
  '/public/%zz',
  '/public/%u002e%u002e/admin',
  '/public/%c0%ae%c0%ae/admin',
  '/public/%e0%80%ae%e0%80%ae/admin',
  '/public/..%c0%af/admin',
  '/ADMIN',
  '/public/.../admin',
  '/admin%2fx',
  '/admin%5cx',
  '/admin\\x',
  '/admin/.',
  '/admin/..',
  '/admin/%2e',
  '/admin//',
  '/%2fadmin',
  '/%5cadmin',
  '/\\admin',
  '/.//admin',
];

describe.each(policies)('%s', (_name, action, paths) => {
  it.each(tricks)('is not got round by %s', async (raw) => {
    for (const route of routes) {
      const pipeline = world(action, paths, route);
      check(action, raw, await send(pipeline, raw));
    }
  });

  it('is not got round by any mixture of them', async () => {
    const piece = fc.constantFrom(
      'admin',
      'public',
      'x',
      '..',
      '.',
      '',
      '%2e',
      '%2e%2e',
      '.%2E',
      '%61dmin',
      'adm%69n',
      ';',
      '..;',
      '%2f',
      '%5c',
      '\\',
      '%00',
      '%',
      '%25',
      '%252e',
      '...',
      '%c0%ae',
      '~',
      '*',
      '{*}',
    );
    const path = fc.array(piece, { maxLength: 6 }).map((pieces) => `/${pieces.join('/')}`);
    const glued = fc.array(piece, { maxLength: 6 }).map((pieces) => `/${pieces.join('')}`);
    const [route = { type: 'segmentPrefix' as const, value: '/' }] = routes;
    const pipeline = world(action, paths, route);
    await fc.assert(
      fc.asyncProperty(fc.oneof(path, glued), async (raw) => {
        check(action, raw, await send(pipeline, raw));
      }),
      { numRuns: 2000 },
    );
  });
});
