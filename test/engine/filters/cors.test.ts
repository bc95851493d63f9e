import { describe, expect, it } from 'vitest';
import type { CorsPlan } from '#engine/model/snapshot.ts';
import { createPipeline } from '#engine/pipeline/create-pipeline.ts';
import { pipelineDeps } from '#test/support/pipeline-deps.ts';
import { requestView } from '#test/support/request-view.ts';
import { answered, answerHeaders, forwarded, pairs, serve } from '#test/support/serve.ts';
import { forwardTo, planeView, rule, snapshot } from '#test/support/snapshot.ts';
import { issuerPlan, jwtAuthentication } from '#test/support/tokens.ts';

const cors = (facts: Partial<CorsPlan> = {}): CorsPlan => ({
  origins: ['https://bibby.com', 'https://*.bibby.com'],
  methods: ['GET', 'PUT'],
  headers: ['Authorization', 'Content-Type'],
  exposedHeaders: ['X-Request-ID'],
  maxAgeSeconds: 3600,
  credentials: true,
  ...facts,
});
const preflight = (origin: string, method = 'PUT', url = '/books') => ({
  method: 'OPTIONS',
  url,
  headers: { origin, 'access-control-request-method': method },
});
const plain = (facts: Partial<CorsPlan> = {}) => serve({ rules: [rule({ cors: cors(facts) })] });

describe('a preflight', () => {
  it('is answered here', async () => {
    const outcome = answered(await plain()(preflight('https://bibby.com')));
    expect(outcome).toMatchObject({ status: 204, body: '' });
    expect(answerHeaders(outcome)).toEqual({
      'access-control-allow-origin': 'https://bibby.com',
      'access-control-allow-credentials': 'true',
      'access-control-allow-methods': 'GET, PUT',
      'access-control-allow-headers': 'Authorization, Content-Type',
      'access-control-max-age': '3600',
      'access-control-expose-headers': 'X-Request-ID',
      vary: 'Origin',
    });
  });

  it('needs no credentials and costs no quota', async () => {
    const request = serve({
      rules: [rule({ cors: cors(), authentications: ['a'], authorizations: ['z'], quotas: ['q'] })],
      authentications: { a: jwtAuthentication([issuerPlan([])]) },
      authorizations: {
        z: { origin: { resource: 'z' }, action: 'ALLOW', mode: 'enforce', rules: [] },
      },
      quotas: {
        q: {
          id: 'q',
          origin: { resource: 'q' },
          mode: 'enforce',
          by: 'address',
          limits: [{ requests: 1, windowMs: 60_000 }],
          scope: 'local',
          algorithm: 'fixed',
          headers: true,
          status: 429,
        },
      },
    });
    for (let i = 0; i < 3; i += 1)
      expect(answered(await request(preflight('https://bibby.com'))).status).toBe(204);
    const real = await request({ headers: { origin: 'https://bibby.com' } });
    expect(answered(real).status).toBe(401);
    expect(answerHeaders(real)['access-control-allow-origin']).toBe('https://bibby.com');
  });

  it('is about the route of the request to come', async () => {
    const methods = (value: string) =>
      ({ path: { type: 'exact', value: '/books' }, methods: [value] }) as const;
    const request = serve({
      rules: [
        rule({ id: 'read', match: methods('GET'), cors: cors({ origins: ['https://read.test'] }) }),
        rule({
          id: 'write',
          match: methods('PUT'),
          cors: cors({ origins: ['https://write.test'] }),
        }),
        rule({ id: 'options', match: methods('OPTIONS'), action: forwardTo() }),
      ],
    });
    expect((await request(preflight('https://write.test'))).type).toBe('respond');
    expect(answered(await request(preflight('https://read.test'))).status).toBe(403);
    expect(forwarded(await request(preflight('https://any.test', 'DELETE'))).exchange.rule.id).toBe(
      'options',
    );
  });

  it.each([
    ['without Origin', { method: 'OPTIONS', headers: { 'access-control-request-method': 'PUT' } }],
    ['without a method', { method: 'OPTIONS', headers: { origin: 'https://bibby.com' } }],
  ])('%s is none and goes upstream', async (_name, facts) => {
    expect((await plain()(facts)).type).toBe('forward');
  });
});

describe('an origin', () => {
  it.each([
    ['https://bibby.com', true],
    ['https://app.bibby.com', true],
    ['https://a.b.bibby.com', true],
    ['HTTPS://BIBBY.COM', true],
    ['http://bibby.com', false],
    ['https://bibby.com:8443', false],
    ['https://bibby.com.evil.org', false],
    ['https://evilbibby.com', false],
    ['https://.bibby.com', false],
    ['https://evil.org/.bibby.com', false],
    ['https://evil.org#.bibby.com', false],
    ['https://user@evil.org:80.bibby.com', false],
    ['null', false],
    ['', false],
    ['__proto__', false],
  ])('%s: %s', async (origin, isAllowed) => {
    const outcome = await plain()({ headers: { origin } });
    const { exchange } = forwarded(outcome);
    const pipeline = createPipeline(
      planeView(snapshot({ rules: [rule({ cors: cors() })] })),
      pipelineDeps(),
    );
    const again = forwarded(
      await pipeline.handle(requestView({ headers: { origin } }), 'r'),
    ).exchange;
    pipeline.respond(again, { status: 200, header: () => undefined });
    const headers = pairs(again.responseHeaders);
    expect(headers['access-control-allow-origin']).toBe(isAllowed ? origin : undefined);
    expect(headers['vary']).toBe('Origin');
    expect(exchange).toBeDefined();
  });

  it('that is anybody gets a star and never credentials', async () => {
    const outcome = await plain({ origins: ['*'] })(preflight('https://evil.org'));
    const headers = answerHeaders(outcome);
    expect(headers['access-control-allow-origin']).toBe('*');
    expect(headers['access-control-allow-credentials']).toBeUndefined();
    expect(headers['vary']).toBeUndefined();
  });

  it.each([
    ['Accept-Encoding', 'Accept-Encoding, Origin'],
    ['Origin', undefined],
    ['accept, origin', undefined],
    ['*', undefined],
  ])('is added to Vary: %s', async (vary, expected) => {
    const pipeline = createPipeline(
      planeView(snapshot({ rules: [rule({ cors: cors() })] })),
      pipelineDeps(),
    );
    const { exchange } = forwarded(await pipeline.handle(requestView(), 'r'));
    pipeline.respond(exchange, {
      status: 200,
      header: (name) => (name === 'vary' ? vary : undefined),
    });
    expect(pairs(exchange.responseHeaders)['vary']).toBe(expected);
    expect(exchange.removeResponseHeaders).toContain('access-control-allow-origin');
  });
});
