import { describe, expect, it } from 'vitest';
import type { IntrospectionPlan } from '#engine/model/snapshot.ts';
import { type FakeWeb, fakeWeb } from '#test/support/fake-web.ts';
import { type FakeTime, pipelineDeps } from '#test/support/pipeline-deps.ts';
import { answered, answerHeaders, forwarded, pairs, serve } from '#test/support/serve.ts';
import { rule } from '#test/support/snapshot.ts';
import { NOW_S } from '#test/support/tokens.ts';

const alice = {
  active: true,
  iss: 'https://id.bibby.com',
  sub: 'alice',
  client_id: 'app',
  scope: 'books:read',
  roles: ['reader'],
  jti: 'token-1',
  iat: NOW_S - 60,
  exp: NOW_S + 3600,
};

const setUp = (
  answer: unknown,
  facts: Partial<IntrospectionPlan> = {},
  files: (path: string) => string | undefined = () => 'the secret & more\n',
) => {
  const time: FakeTime = { nowMs: NOW_S * 1000 };
  const web: FakeWeb = fakeWeb(() => (typeof answer === 'function' ? answer() : answer));
  const plan: IntrospectionPlan = {
    type: 'introspection',
    endpoint: 'https://id.bibby.com/introspect',
    clientId: 'weir:edge',
    clientSecretFile: 'files/secret',
    cacheMs: 30_000,
    timeoutMs: 2000,
    audiences: [],
    claimsToHeaders: [
      ['sub', 'X-User-ID'],
      ['roles', 'X-User-Roles'],
    ],
    forwardToken: true,
    ...facts,
  };
  const world = {
    rules: [rule({ authentications: ['a'] })],
    authentications: {
      a: {
        origin: { resource: 'Authentication/bibby/a' },
        mode: 'required',
        methods: [plan],
      },
    },
  } as const;
  return { request: serve(world, pipelineDeps({ time, web, files })), web, time };
};
const bearer = (token = 'opaque') => ({ headers: { authorization: `Bearer ${token}` } });

describe('a token that its issuer vouches for', () => {
  it('says who is calling', async () => {
    const { request } = setUp(alice);
    const { exchange } = forwarded(await request(bearer()));
    expect(exchange.principal).toBe('https://id.bibby.com/alice');
    expect(exchange.claims).toMatchObject({ scope: 'books:read', client_id: 'app' });
    expect(pairs(exchange.setHeaders)).toEqual({ 'x-user-id': 'alice', 'x-user-roles': 'reader' });
  });

  it('is asked about as RFC 7662 says, with the credentials of who asks', async () => {
    const { request, web } = setUp(alice);
    await request(bearer('a+b/c='));
    expect(web.asked[0]).toMatchObject({
      method: 'POST',
      url: 'https://id.bibby.com/introspect',
      body: 'token=a%2Bb%2Fc%3D&token_type_hint=access_token',
      headers: {
        authorization: `Basic ${btoa('weir%3Aedge:the+secret+%26+more')}`,
        'content-type': 'application/x-www-form-urlencoded',
      },
    });
  });

  it.each([
    ['without sub: the client', { sub: undefined }, 'https://id.bibby.com/app'],
    ['without iss: the endpoint', { iss: undefined }, 'https://id.bibby.com/alice'],
    ['without exp', { exp: undefined }, 'https://id.bibby.com/alice'],
  ])('may come %s', async (_case, facts, principal) => {
    const { request } = setUp({ ...alice, ...facts });
    expect(forwarded(await request(bearer())).exchange.principal).toBe(principal);
  });

  it('is taken off the request where it is not to be forwarded', async () => {
    const { request } = setUp(alice, { forwardToken: false });
    const { exchange } = forwarded(await request(bearer()));
    expect(exchange.removeHeaders).toContain('authorization');
  });

  it.each([
    ['its id', 'jti:token-1'],
    ['its subject', 'sub:alice'],
    ['a moment after its issue', `before:${NOW_S * 1000}`],
  ])('is refused once %s is revoked, although the answer is remembered', async (_what, target) => {
    const { request, web } = setUp(alice);
    forwarded(await request(bearer()));
    request.decide({ type: 'revocation', target, expiresMs: (NOW_S + 9999) * 1000 });
    expect(answered(await request(bearer()))).toMatchObject({
      status: 401,
      reason: 'the credential was revoked',
    });
    expect(web.asked).toHaveLength(1);
  });
});

describe('a token that does not hold', () => {
  it.each([
    ['is not active', { active: false }, 'the token is not active'],
    ['is expired', { ...alice, exp: NOW_S }, 'the token is expired'],
    ['has an expiry that is no time', { ...alice, exp: 'never' }, 'the token is expired'],
    ['is not valid yet', { ...alice, nbf: NOW_S + 61 }, 'the token is not valid yet'],
    ['is for somebody else', { ...alice, aud: ['other'] }, 'the token is for somebody else'],
    ['is for nobody', alice, 'the token is for somebody else'],
  ])('%s: 401', async (_case, answer, reason) => {
    const { request } = setUp(answer, { audiences: ['bibby'] });
    const outcome = answered(await request(bearer()));
    expect(outcome).toMatchObject({ status: 401, reason });
    expect(answerHeaders(outcome)['www-authenticate']).toContain('error="invalid_token"');
  });

  it.each(['Bearer', 'bearer opaque', 'Bearer  two'])('%j is not asked about', async (header) => {
    const { request, web } = setUp(alice);
    const outcome = await request({ headers: { authorization: header } });
    expect(answered(outcome).status).toBe(401);
    expect(web.asked).toEqual([]);
  });
});

describe('an issuer that cannot say', () => {
  it.each([
    ['does not answer', new Error('answered nothing within 2000 ms')],
    ['refuses us', { status: 401, body: '{}' }],
    ['is broken', { status: 500, body: JSON.stringify(alice) }],
    ['answers a web page', { status: 200, body: '<html>' }],
    ['answers a list', { status: 200, body: '[]' }],
    ['says yes in another way', { active: 'true' }],
    ['says nothing', { status: 200, body: '{}' }],
  ])('%s: 503, and asked again next time', async (_case, answer) => {
    const { request, web } = setUp(answer);
    const outcome = answered(await request(bearer()));
    expect(outcome).toMatchObject({
      status: 503,
      reason: 'the token cannot be checked at the moment',
    });
    expect(outcome.exchange?.notes?.['cause']).toBeTypeOf('string');
    await request(bearer());
    expect(web.asked).toHaveLength(2);
  });

  it('is not asked without the secret', async () => {
    const { request, web } = setUp(alice, {}, () => undefined);
    const outcome = answered(await request(bearer()));
    expect(outcome.status).toBe(503);
    expect(outcome.exchange?.notes?.['cause']).toBe('files/secret cannot be read');
    expect(web.asked).toEqual([]);
  });
});

describe('what an issuer has said', () => {
  it('is believed for a while, not for ever', async () => {
    const { request, web, time } = setUp(alice);
    for (let i = 0; i < 100; i += 1) await request(bearer());
    expect(web.asked).toHaveLength(1);
    time.nowMs += 29_999;
    await request(bearer());
    expect(web.asked).toHaveLength(1);
    time.nowMs += 1;
    await request(bearer());
    expect(web.asked).toHaveLength(2);
  });

  it('is not believed past the end of the token', async () => {
    const { request, time } = setUp({ ...alice, exp: NOW_S + 10 });
    forwarded(await request(bearer()));
    time.nowMs += 10_000;
    expect(answered(await request(bearer())).status).toBe(401);
  });

  it('is believed for five seconds at most where it was no', async () => {
    const { request, web, time } = setUp({ active: false });
    await request(bearer());
    time.nowMs += 4999;
    await request(bearer());
    expect(web.asked).toHaveLength(1);
    time.nowMs += 1;
    await request(bearer());
    expect(web.asked).toHaveLength(2);
  });

  it('is asked every time where that is wanted', async () => {
    const { request, web } = setUp(alice, { cacheMs: 0 });
    await request(bearer());
    await request(bearer());
    expect(web.asked).toHaveLength(2);
  });

  it('answers all who wait for it', async () => {
    const gate = Promise.withResolvers<unknown>();
    const { request, web } = setUp(() => gate.promise);
    const waiting = Array.from({ length: 50 }, () => request(bearer()));
    gate.resolve(alice);
    for (const outcome of await Promise.all(waiting)) forwarded(outcome);
    expect(web.asked).toHaveLength(1);
  });

  it('is not waited for by too many at once', async () => {
    const gate = Promise.withResolvers<unknown>();
    const { request, web } = setUp(() => gate.promise);
    const waiting = Array.from({ length: 300 }, (_, i) => request(bearer(`guess-${i}`)));
    gate.resolve({ active: false });
    const statuses = (await Promise.all(waiting)).map((outcome) => answered(outcome).status);
    expect(web.asked).toHaveLength(256);
    expect(statuses.filter((status) => status === 503)).toHaveLength(44);
  });
});
