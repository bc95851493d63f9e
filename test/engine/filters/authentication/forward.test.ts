import { describe, expect, it } from 'vitest';
import type { AuthenticationMethod, AuthenticationPlan } from '#engine/model/snapshot.ts';
import { createPipeline } from '#engine/pipeline/create-pipeline.ts';
import { fakeWeb } from '#test/support/fake-web.ts';
import { pipelineDeps } from '#test/support/pipeline-deps.ts';
import { answered, forwarded, pairs, serve } from '#test/support/serve.ts';
import { planeView, rule, snapshot } from '#test/support/snapshot.ts';
import { issuerPlan, keyPair, sign } from '#test/support/tokens.ts';

const URL = 'http://authorizer:4180/oauth2/auth';

const plan = (
  facts: Partial<Extract<AuthenticationMethod, { type: 'forward' }>> = {},
): AuthenticationMethod => ({
  type: 'forward',
  url: URL,
  timeoutMs: 1000,
  requestHeaders: ['authorization', 'cookie'],
  responseHeaders: ['x-auth-request-user', 'x-auth-request-email'],
  onFailure: 'closed',
  principalHeader: 'x-auth-request-user',
  ...facts,
});

const world = (
  methods: readonly AuthenticationMethod[],
  more: Partial<AuthenticationPlan> = {},
) => ({
  rules: [rule({ authentications: ['a'] })],
  authentications: {
    a: {
      origin: { resource: 'Authentication/bibby/a' },
      mode: 'required' as const,
      methods,
      ...more,
    },
  },
});

const setUp = (
  answer: unknown,
  facts: Parameters<typeof plan>[0] = {},
  more: Partial<AuthenticationPlan> = {},
) => {
  const web = fakeWeb(() => answer);
  return { web, request: serve(world([plan(facts)], more), pipelineDeps({ web })) };
};

const alice = { status: 202, headers: { 'x-auth-request-user': 'alice', 'x-else': 'no' } };

it('the question is dropped when the caller goes away', async () => {
  const { web, request } = setUp(alice);
  const { signal } = new AbortController();
  await request({ gone: signal });
  expect(web.asked[0]?.signal).toBe(signal);
});

describe('a request that the service lets pass', () => {
  it('goes on with the headers that policy names, and with a principal', async () => {
    const { request } = setUp(alice);
    const { exchange } = forwarded(await request());
    expect(pairs(exchange.setHeaders)).toEqual({ 'x-auth-request-user': 'alice' });
    expect(exchange.principal).toBe('http://authorizer:4180/alice');
  });

  it('has no principal where the service names none', async () => {
    const { request } = setUp({ status: 200 });
    expect(forwarded(await request()).exchange.principal).toBeUndefined();
  });

  it('brings the service’s cookies to the caller', async () => {
    const { request } = setUp({ ...alice, setCookies: ['session=2', 'csrf=3'] });
    const { exchange } = forwarded(await request());
    expect(pairs(exchange.responseHeaders)).toEqual({ 'set-cookie': 'session=2 | csrf=3' });
  });

  it('is refused once its subject is revoked', async () => {
    const { request } = setUp(alice);
    request.decide({ type: 'revocation', target: 'sub:alice', expiresMs: 9e15 });
    expect(answered(await request())).toMatchObject({ reason: 'the credential was revoked' });
  });
});

it('the question says what the request is, in the words of Traefik and nginx', async () => {
  const { request, web } = setUp(alice);
  await request({
    method: 'DELETE',
    scheme: 'https',
    host: 'api.bibby.com',
    authority: 'api.bibby.com:8443',
    url: '/catalog/7?all=1',
    clientAddress: '198.51.100.7',
    headers: {
      authorization: 'Basic eDp5',
      cookie: ['a=1', 'b=2'],
      'x-forwarded-for': '10.0.0.1',
      'x-forwarded-uri': '/public',
      'x-secret': 'not asked for',
    },
  });
  expect(web.asked).toEqual([
    {
      method: 'GET',
      url: URL,
      timeoutMs: 1000,
      headers: {
        authorization: 'Basic eDp5',
        cookie: 'a=1; b=2',
        'x-request-id': 'request-1',
        'x-forwarded-method': 'DELETE',
        'x-forwarded-proto': 'https',
        'x-forwarded-host': 'api.bibby.com:8443',
        'x-forwarded-uri': '/catalog/7?all=1',
        'x-forwarded-for': '198.51.100.7',
        'x-original-method': 'DELETE',
        'x-original-url': 'https://api.bibby.com:8443/catalog/7?all=1',
      },
    },
  ]);
});

describe('a request that the service refuses', () => {
  it.each([
    [
      'with 401',
      { status: 401, headers: { 'www-authenticate': 'Bearer realm="x"', 'x-internal': '1' } },
      { 'www-authenticate': 'Bearer realm="x"' },
    ],
    ['with 403', { status: 403, body: 'no' }, {}],
    [
      'with a way to the sign-in page',
      { status: 302, headers: { location: 'https://id/login' }, setCookies: ['state=1', 'pkce=2'] },
      { location: 'https://id/login', 'set-cookie': 'state=1 | pkce=2' },
    ],
    ['for good', { status: 308, headers: { location: '/x' } }, { location: '/x' }],
  ])('%s is answered just so', async (_case, answer, headers) => {
    const { request } = setUp(answer);
    const outcome = answered(await request());
    expect(outcome.status).toBe(answer.status);
    expect(pairs(outcome.headers)).toEqual(headers);
    expect(outcome.body ?? '').toBe('body' in answer ? answer.body : '');
    expect(outcome.exchange?.notes).toMatchObject({ policy: 'Authentication/bibby/a' });
  });

  it('goes on where policy only listens', async () => {
    const { request } = setUp({ status: 403 }, {}, { mode: 'audit' });
    expect(forwarded(await request()).exchange.notes?.['audit']).toContain('would refuse');
  });
});

describe('a service that gives no answer', () => {
  const silences: readonly (readonly [string, unknown])[] = [
    ['is away', new Error('connect ECONNREFUSED')],
    ['is slow', new Error('answered nothing within 1000 ms')],
    ['is broken', { status: 500 }],
    ['asks for something else', { status: 400 }],
    ['redirects to nowhere', { status: 302 }],
  ];

  it.each(silences)('%s: closed', async (_case, answer) => {
    const { request } = setUp(answer);
    const outcome = answered(await request());
    expect(outcome).toMatchObject({
      status: 503,
      reason: 'the authorization service gives no answer',
    });
    expect(outcome.exchange?.notes?.['cause']).toContain(URL);
  });

  it.each(silences)('%s: open where policy says so', async (_case, answer) => {
    const { request } = setUp(answer, { onFailure: 'open' });
    const { exchange } = forwarded(await request());
    expect(exchange.principal).toBeUndefined();
    expect(exchange.notes?.['authentication']).toContain('unasked');
  });

  it('is none of a caller’s business who has proved himself otherwise', async () => {
    const key = await keyPair();
    const web = fakeWeb(() => new Error('away'));
    const methods = [{ type: 'jwt' as const, issuers: [issuerPlan([key.jwk])] }, plan()];
    const request = serve(world(methods), pipelineDeps({ web }));
    forwarded(await request({ headers: { authorization: `Bearer ${await sign(key)}` } }));
    expect(web.asked).toEqual([]);
    // A bad token, and nobody to say whether the caller may pass all the same.
    const bad = await request({ headers: { authorization: 'Bearer x.y.z' } });
    expect(answered(bad).status).toBe(503);
  });
});

it('nobody outside may send the headers that the service’s answer sets', () => {
  const pipeline = createPipeline(planeView(snapshot(world([plan()]))), pipelineDeps());
  for (const name of ['x-auth-request-user', 'x_auth_request_user', 'x-auth-request-email'])
    expect(pipeline.isProtectedHeader(name)).toBe(true);
});
