import { describe, expect, it } from 'vitest';
import { targetOf } from '#engine/pipeline/target.ts';
import { pipelineDeps } from '#test/support/pipeline-deps.ts';
import { answered, answerHeaders, forwarded, pairs, serve } from '#test/support/serve.ts';
import { forwardTo, rule, snapshot, split, upstream } from '#test/support/snapshot.ts';

describe('the path upstream', () => {
  it.each([
    [undefined, '/catalog/books', '/catalog/books'],
    [{ stripPrefix: '/catalog' }, '/catalog/books', '/books'],
    [{ stripPrefix: '/catalog' }, '/catalog', '/'],
    [{ stripPrefix: '/catalog' }, '/catalog/', '/'],
    [{ stripPrefix: '/catalog/' }, '/catalog/books/', '/books/'],
    [{ stripPrefix: '/' }, '/books', '/books'],
    [{ stripPrefix: '/' }, '/', '/'],
    [{ stripPrefix: '/catalog' }, '/catalog//evil.com', '/evil.com'],
    [{ stripPrefix: '/catalog', prefix: '/v2' }, '/catalog/books', '/v2/books'],
    [{ stripPrefix: '/catalog', prefix: '/v2/' }, '/catalog/books', '/v2/books'],
    [{ stripPrefix: '/catalog', prefix: '/v2' }, '/catalog', '/v2'],
    [{ stripPrefix: '/catalog', prefix: '/v2' }, '/catalog/', '/v2/'],
    [{ stripPrefix: '/catalog', prefix: '/' }, '/catalog', '/'],
    [{ stripPrefix: '/catalog', prefix: '/' }, '/catalog/books', '/books'],
    [{ prefix: '/v2' }, '/books', '/v2/books'],
    [{ prefix: '/v2' }, '/', '/v2/'],
    [{ path: '/fixed' }, '/catalog/books', '/fixed'],
    [{ host: 'other.test' }, '/books', '/books'],
  ])('%j takes %s to %s', (rewrite, from, to) => {
    expect(targetOf(rewrite)(from)).toBe(to);
  });

  it('keeps the query and takes the host of the rewrite', async () => {
    const action = forwardTo('bibby/catalog-service', {
      rewrite: { stripPrefix: '/catalog', host: 'catalog.test' },
    });
    const outcome = forwarded(
      await serve({ rules: [rule({ action })] })({ url: '/catalog/a?b=c' }),
    );
    expect(outcome).toMatchObject({ target: '/a?b=c', host: 'catalog.test' });
  });
});

describe('local answers', () => {
  it('say that no route matches', async () => {
    const request = serve({ rules: [rule({ match: { path: { type: 'exact', value: '/a' } } })] });
    const outcome = answered(await request({ url: '/b' }));
    expect(outcome).toMatchObject({ status: 404, error: 'Not Found', flag: 'NR' });
    expect(outcome.exchange).toBeUndefined();
  });

  it.each([
    [{}, 'http://api.bibby.com/books?a=1'],
    [{ scheme: 'https' as const }, 'https://api.bibby.com/books?a=1'],
    [{ scheme: 'https' as const, port: 8443 }, 'https://api.bibby.com:8443/books?a=1'],
    [{ host: 'new.bibby.com' }, 'http://new.bibby.com/books?a=1'],
    [{ path: '/new' }, 'http://api.bibby.com/new?a=1'],
    [{ port: 80 }, 'http://api.bibby.com/books?a=1'],
  ])('redirect as %j to %s', async (action, location) => {
    const request = serve({
      rules: [rule({ action: { type: 'redirect', status: 308, ...action } })],
    });
    const outcome = answered(await request({ url: '/books?a=1' }));
    expect(outcome.status).toBe(308);
    expect(answerHeaders(outcome)['location']).toBe(location);
  });

  it('redirect to the port that the caller dialled', async () => {
    const request = serve({ rules: [rule({ action: { type: 'redirect', status: 302 } })] });
    const outcome = await request({ authority: 'api.bibby.com:18080', url: '/x' });
    expect(answerHeaders(outcome)['location']).toBe('http://api.bibby.com:18080/x');
  });

  it('give the body that the route says', async () => {
    const action = {
      type: 'respond',
      status: 418,
      body: 'tea',
      contentType: 'text/plain',
    } as const;
    expect(answered(await serve({ rules: [rule({ action })] })())).toMatchObject({
      status: 418,
      body: 'tea',
      contentType: 'text/plain',
    });
  });
});

describe('header edits', () => {
  it('set, add and remove on both ways', async () => {
    const served = snapshot({
      rules: [
        rule({
          requestHeaders: {
            set: [['X-Set', '1']],
            add: [
              ['X-Add', 'b'],
              ['X-New', 'n'],
            ],
            remove: ['X-Gone'],
          },
          responseHeaders: {
            set: [['X-Frame-Options', 'DENY']],
            add: [
              ['Vary', 'Accept'],
              ['Set-Cookie', 'a=b'],
            ],
            remove: ['Server'],
          },
        }),
      ],
    });
    const { createPipeline } = await import('#engine/pipeline/create-pipeline.ts');
    const { planeView } = await import('#test/support/snapshot.ts');
    const { requestView } = await import('#test/support/request-view.ts');
    const pipeline = createPipeline(planeView(served), pipelineDeps());
    const outcome = await pipeline.handle(requestView({ headers: { 'x-add': ['a1', 'a2'] } }), 'r');
    const { exchange } = forwarded(outcome);
    expect(pairs(exchange.setHeaders)).toEqual({ 'x-set': '1', 'x-add': 'a1,a2, b', 'x-new': 'n' });
    expect(exchange.removeHeaders).toContain('x-gone');
    const upstreamAnswer = {
      status: 200,
      header: (name: string) => (name === 'vary' ? 'Origin' : undefined),
    };
    pipeline.respond(exchange, upstreamAnswer);
    pipeline.respond(exchange, upstreamAnswer);
    expect(pairs(exchange.responseHeaders)).toEqual({
      'x-frame-options': 'DENY',
      vary: 'Origin, Accept',
      'set-cookie': 'a=b',
    });
    expect(exchange.removeResponseHeaders).toEqual(['server']);
  });
});

describe('faults', () => {
  const fault = { delayMs: 50, delayPercent: 100, abortStatus: 503, abortPercent: 50 };

  it('delay and abort the share that the route says', async () => {
    const request = serve({ rules: [rule({ fault })] });
    let aborted = 0;
    for (let i = 0; i < 1000; i += 1) {
      const outcome = await request();
      if (outcome.type === 'respond') {
        expect(outcome).toMatchObject({ status: 503, flag: 'FI' });
        aborted += 1;
      } else expect(outcome.delayMs).toBe(50);
    }
    expect(aborted / 1000).toBeCloseTo(0.5, 1);
  });
});

describe('a mirror', () => {
  it('gets its share of the copies', async () => {
    const catalog = 'bibby/catalog-service';
    const action = forwardTo('bibby/library-service', {
      mirror: { split: catalog, percent: 25 },
    });
    const request = serve({
      rules: [rule({ action })],
      splits: { [catalog]: split(catalog, { 'v1.0': 0, 'v1.1': 10_000 }) },
    });
    let copies = 0;
    for (let i = 0; i < 2000; i += 1) {
      const { mirror } = forwarded(await request());
      if (mirror) copies += 1;
      expect([undefined, `${catalog}@v1.1`]).toContain(mirror?.id);
    }
    expect(copies / 2000).toBeCloseTo(0.25, 1);
  });
});

describe('the hash key', () => {
  it.each([
    [{ by: 'header', name: 'x-user' } as const, 'h'],
    [{ by: 'cookie', name: 'user' } as const, 'c'],
    [{ by: 'address', name: '' } as const, '203.0.113.9'],
  ])('comes from where %j says', async (hash, expected) => {
    const id = 'bibby/library-service';
    const loadBalancing = { policy: 'RingHash', hash, slowStartMs: 0 } as const;
    const request = serve({ upstreams: { [id]: upstream(id, { loadBalancing }) } });
    const outcome = await request({ headers: { 'x-user': 'h', cookie: 'user=c' } });
    expect(forwarded(outcome).hashKey).toBe(expected);
  });
});
