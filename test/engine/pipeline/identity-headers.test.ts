import { beforeAll, describe, expect, it } from 'vitest';
import { createPipeline } from '#engine/pipeline/create-pipeline.ts';
import { pipelineDeps } from '#test/support/pipeline-deps.ts';
import { requestView } from '#test/support/request-view.ts';
import { forwarded, pairs } from '#test/support/serve.ts';
import { forwardTo, planeView, rule, snapshot } from '#test/support/snapshot.ts';
import {
  issuerPlan,
  jwtAuthentication,
  type KeyPair,
  keyPair,
  sign,
} from '#test/support/tokens.ts';

const protectedNames = ['X-User-ID', 'X-User-Roles', 'X-Tenant-Code', 'X-Forwarded-Client-Cert'];
const spellings = (name: string): readonly string[] => {
  const separators = ['-', '_', '.', '~', "'", '!'];
  const cases = [name, name.toLowerCase(), name.toUpperCase()];
  return cases.flatMap((text) => separators.map((each) => text.replaceAll('-', each)));
};

let key: KeyPair;
beforeAll(async () => {
  key = await keyPair();
});

const routes = ['open', 'required', 'optional', 'audit'] as const;
const build = () => {
  const claimsToHeaders = [
    ['sub', 'X-User-ID'],
    ['roles', 'X-User-Roles'],
    ['tenant.code', 'X-Tenant-Code'],
  ] as const;
  const issuers = [issuerPlan([key.jwk], { claimsToHeaders })];
  return snapshot({
    rules: routes.map((mode) =>
      rule({
        id: mode,
        match: { path: { type: 'exact', value: `/${mode}` } },
        action: forwardTo(),
        authentications: mode === 'open' ? [] : [mode],
      }),
    ),
    authentications: Object.fromEntries(
      routes
        .filter((mode) => mode !== 'open')
        .map((mode) => [mode, jwtAuthentication(issuers, { mode })]),
    ),
  });
};

/** What the upstream gets to see if a data plane does what the contract says. */
const sentUpstream = (
  sent: readonly (readonly [string, string])[],
  pipeline: ReturnType<typeof createPipeline>,
  exchange: ReturnType<typeof forwarded>['exchange'],
) => {
  const kept = sent.filter(
    ([name]) =>
      !pipeline.isProtectedHeader(name.toLowerCase()) &&
      !exchange.removeHeaders.includes(name.toLowerCase()),
  );
  return [...kept, ...Object.entries(pairs(exchange.setHeaders))];
};

describe('identity headers', () => {
  it('of callers reach no upstream, however they are spelt, on any route', async () => {
    const pipeline = createPipeline(planeView(build()), pipelineDeps());
    const token = await sign(key, { tenant: { code: 'north' } });
    let leaks = 0;
    let count = 0;
    for (const name of protectedNames)
      for (const spelling of spellings(name))
        for (const route of routes)
          for (const authorization of [undefined, `Bearer ${token}`])
            for (const values of [['evil'], ['evil', 'evil2']]) {
              const headers = {
                [spelling]: values,
                ...(authorization === undefined ? {} : { authorization }),
              };
              const outcome = await pipeline.handle(
                requestView({ url: `/${route}`, headers }),
                'r',
              );
              count += 1;
              if (outcome.type === 'respond') continue;
              const sent = values.map((value) => [spelling, value] as const);
              for (const [, value] of sentUpstream(sent, pipeline, outcome.exchange))
                if (value.includes('evil')) leaks += 1;
            }
    expect(count).toBeGreaterThan(1000);
    expect(leaks).toBe(0);
  });

  it('are set by the gateway alone', async () => {
    const pipeline = createPipeline(planeView(build()), pipelineDeps());
    const token = await sign(key, { tenant: { code: 'north' } });
    const headers = { authorization: `Bearer ${token}`, 'x-user-id': 'root' };
    const outcome = await pipeline.handle(requestView({ url: '/required', headers }), 'r');
    const { exchange } = forwarded(outcome);
    expect(sentUpstream([['X-User-ID', 'root']], pipeline, exchange)).toEqual([
      ['x-user-id', 'alice'],
      ['x-user-roles', 'reader'],
      ['x-tenant-code', 'north'],
    ]);
  });

  it('have no stand-in for a claim that is missing', async () => {
    const pipeline = createPipeline(planeView(build()), pipelineDeps());
    const headers = { authorization: `Bearer ${await sign(key, { roles: undefined })}` };
    const { exchange } = forwarded(
      await pipeline.handle(requestView({ url: '/required', headers }), 'r'),
    );
    expect(pairs(exchange.setHeaders)).toEqual({ 'x-user-id': 'alice' });
    expect(pipeline.isProtectedHeader('x-user-roles')).toBe(true);
  });

  it.each([
    ['a line break', 'a\r\nX-Admin: 1', 'a%0D%0AX-Admin: 1'],
    ['NUL', 'a\0b', 'a%00b'],
    ['other scripts', 'Jürgen', 'J%C3%BCrgen'],
    ['an emoji', '📚', '%F0%9F%93%9A'],
    ['half an emoji', '\ud83d', '%EF%BF%BD'],
    ['a percent sign', '100%41', '100%2541'],
    ['spaces at the ends', '  a b ', '%20%20a b%20'],
    ['a comma in a list', ['a,b', 'c'], 'a%2Cb,c'],
    ['numbers and booleans', [1, true], '1,true'],
    ['objects and null in a list', [{ a: 1 }, null, 'c'], 'c'],
  ])('carry %s safely', async (_name, sub, expected) => {
    const pipeline = createPipeline(planeView(build()), pipelineDeps());
    const headers = { authorization: `Bearer ${await sign(key, { sub })}` };
    const { exchange } = forwarded(
      await pipeline.handle(requestView({ url: '/required', headers }), 'r'),
    );
    expect(pairs(exchange.setHeaders)['x-user-id']).toBe(expected);
  });

  it.each([
    ['an object', { a: 1 }],
    ['nothing', ''],
    ['an empty list', []],
    ['too much', 'x'.repeat(8193)],
  ])('are left out for %s', async (_name, sub) => {
    const pipeline = createPipeline(planeView(build()), pipelineDeps());
    const headers = { authorization: `Bearer ${await sign(key, { sub })}` };
    const outcome = await pipeline.handle(requestView({ url: '/required', headers }), 'r');
    expect(pairs(forwarded(outcome).exchange.setHeaders)['x-user-id']).toBeUndefined();
  });

  it('pass a sidecar that does not set them itself', () => {
    const scope = 'sidecar.bibby.catalog' as const;
    const plain = createPipeline(planeView(snapshot(), { scope }), pipelineDeps());
    expect(plain.isProtectedHeader('x-user-id')).toBe(false);
    const own = createPipeline(planeView(build(), { scope }), pipelineDeps());
    expect(own.isProtectedHeader('x_user_id')).toBe(true);
  });

  it('are not mistaken for names that only look alike', () => {
    const pipeline = createPipeline(planeView(build()), pipelineDeps());
    for (const name of ['x-user-idx', 'user-id', 'xuserid', '__proto__', 'constructor', ''])
      expect(pipeline.isProtectedHeader(name)).toBe(false);
  });
});
