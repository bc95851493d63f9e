import { createHash, scryptSync } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import type { AuthenticationMethod, ConsumerPlan, Snapshot } from '#engine/model/snapshot.ts';
import { pipelineDeps } from '#test/support/pipeline-deps.ts';
import { answered, answerHeaders, forwarded, pairs, serve } from '#test/support/serve.ts';
import { rule } from '#test/support/snapshot.ts';
import { ISSUER, issuerPlan, type KeyPair, keyPair, NOW_S, sign } from '#test/support/tokens.ts';

const consumer = (name: string, facts: Partial<ConsumerPlan> = {}): ConsumerPlan => ({
  name,
  groups: [],
  apiKeys: [],
  certificates: [],
  ...facts,
});
const key = (id: string, secret: string, expiresMs = 0, salt = `salt of ${id}`) => ({
  id,
  salt,
  hash: createHash('sha256')
    .update(salt + secret)
    .digest('hex'),
  expiresMs,
});
const world = (
  methods: readonly AuthenticationMethod[],
  consumers: readonly ConsumerPlan[],
): Partial<Snapshot> => ({
  rules: [rule({ authentications: ['a'] })],
  authentications: {
    a: { origin: { resource: 'Authentication/bibby/apps' }, mode: 'required', methods },
  },
  consumers,
});
const apiKey: AuthenticationMethod = {
  type: 'apiKey',
  header: 'X-API-Key',
  query: 'api_key',
  forwardKey: false,
};

describe('an API key', () => {
  const mobile = consumer('mobile', {
    groups: ['apps', 'beta'],
    apiKeys: [key('k1', 'k1.secret'), key('k2', 'plain secret'), key('old', 'old.s', NOW_S * 1000)],
  });
  const request = () => serve(world([apiKey], [consumer('other'), mobile]));
  const withKey = (value: string | readonly string[]) => ({ headers: { 'x-api-key': value } });

  it.each(['k1.secret', 'plain secret'])('%s names its consumer and his groups', async (value) => {
    const { exchange } = forwarded(await request()(withKey(value)));
    expect(exchange).toMatchObject({
      principal: 'mobile',
      consumer: 'mobile',
      groups: ['apps', 'beta'],
    });
    expect(pairs(exchange.setHeaders)).toEqual({
      'x-user-id': 'mobile',
      'x-user-roles': 'apps,beta',
    });
    expect(exchange.removeHeaders).toContain('x-api-key');
  });

  it('may stand in the query and does not go upstream', async () => {
    const outcome = forwarded(await request()({ url: '/books?api_key=k1.secret&a=1' }));
    expect(outcome.exchange.consumer).toBe('mobile');
    expect(outcome.target).toBe('/books?a=1');
  });

  it('goes upstream where the policy says so', async () => {
    const method = { ...apiKey, forwardKey: true };
    const outcome = forwarded(
      await serve(world([method], [mobile]))({
        url: '/?api_key=k1.secret',
        ...withKey('k1.secret'),
      }),
    );
    expect(outcome.exchange.removeHeaders).not.toContain('x-api-key');
    expect(outcome.target).toBe('/?api_key=k1.secret');
  });

  it.each([
    ['none', {}],
    ['an empty one', withKey('')],
    ['an unknown one', withKey('guess')],
    ['one with a known id and another secret', withKey('k1.guess')],
    ['an expired one', withKey('old.s')],
    ['two different ones', withKey(['k1.secret', 'plain secret'])],
    ['different ones in header and query', { url: '/?api_key=guess', ...withKey('k1.secret') }],
    ['a hash', withKey(mobile.apiKeys[0]?.hash ?? '')],
    ['__proto__', withKey('__proto__.x')],
    ['a very long one', withKey('k'.repeat(5000))],
  ])('%s is refused', async (_name, facts) => {
    const outcome = answered(await request()(facts));
    expect(outcome.status).toBe(401);
    expect(answerHeaders(outcome)['www-authenticate']).toBe('ApiKey realm="api.bibby.com"');
  });
});

describe('a password', () => {
  const salt = Buffer.from('0123456789abcdef');
  const hash = (password: string) =>
    `scrypt:1024:8:1:${salt.toString('base64url')}:${scryptSync(password, salt, 32, { N: 1024, r: 8, p: 1 }).toString('base64url')}`;
  const people = [
    consumer('alice', { basic: { username: 'alice', hash: hash('pä:ss') } }),
    consumer('broken', { basic: { username: 'broken', hash: 'scrypt:1:1:1::' } }),
  ];
  const basic = (text: string) => ({
    headers: { authorization: `Basic ${Buffer.from(text).toString('base64')}` },
  });
  const counting = () => {
    const plain = pipelineDeps();
    const calls = { count: 0 };
    const deps = {
      ...plain,
      scrypt: (...args: Parameters<typeof plain.scrypt>) => {
        calls.count += 1;
        return plain.scrypt(...args);
      },
    };
    return { calls, request: serve(world([{ type: 'basic', realm: 'library' }], people), deps) };
  };

  it('is checked once and then remembered', async () => {
    const { calls, request } = counting();
    for (let i = 0; i < 3; i += 1)
      expect(forwarded(await request(basic('alice:pä:ss'))).exchange.consumer).toBe('alice');
    expect(calls.count).toBe(1);
  });

  it('is not checked again for a new snapshot, but its groups and roles are the new ones', async () => {
    const { calls, request } = counting();
    const [alice] = people;
    await request(basic('alice:pä:ss'));
    request.replace(
      world(
        [{ type: 'basic', realm: 'library' }],
        [consumer('alice', { ...alice, groups: ['new'] })],
      ),
    );
    const { exchange } = forwarded(await request(basic('alice:pä:ss')));
    expect(exchange.groups).toEqual(['new']);
    expect(pairs(exchange.setHeaders)['x-user-roles']).toBe('new');
    expect(calls.count).toBe(1);
  });

  it('is checked again once the stored hash is another', async () => {
    const { calls, request } = counting();
    await request(basic('alice:pä:ss'));
    const changed = consumer('alice', { basic: { username: 'alice', hash: hash('other') } });
    request.replace(world([{ type: 'basic', realm: 'library' }], [changed]));
    expect(answered(await request(basic('alice:pä:ss'))).status).toBe(401);
    expect(calls.count).toBe(2);
  });

  it('is checked once for requests that come together', async () => {
    const { calls, request } = counting();
    await Promise.all(Array.from({ length: 10 }, () => request(basic('alice:pä:ss'))));
    expect(calls.count).toBe(1);
  });

  it('costs a guesser the same whether the name exists or not', async () => {
    const { calls, request } = counting();
    await request(basic('nobody:x'));
    await request(basic('alice:x'));
    expect(calls.count).toBe(2);
  });

  it.each(['alice:wrong', 'nobody:pä:ss', 'broken:', 'alice', ':', '__proto__:x'])(
    '%s is refused',
    async (text) => {
      const outcome = answered(await counting().request(basic(text)));
      expect(outcome.status).toBe(401);
      expect(answerHeaders(outcome)['www-authenticate']).toBe(
        'Basic realm="library", charset="UTF-8"',
      );
    },
  );

  it('that many guess at once is put off', async () => {
    const { request } = counting();
    const outcomes = await Promise.all(
      Array.from({ length: 40 }, (_, i) => request(basic(`alice:${i}`))),
    );
    const statuses = outcomes.map((outcome) => answered(outcome).status);
    expect(statuses.filter((status) => status === 503)).toHaveLength(8);
  });
});

describe('a client certificate', () => {
  const id = 'spiffe://cluster.local/ns/bibby/sa/library-service';
  const methods = [{ type: 'clientCertificate', principalFrom: 'spiffe' }] as const;

  it('names its holder', async () => {
    const { exchange } = forwarded(await serve(world(methods, []))({ peerPrincipal: id }));
    expect(exchange.principal).toBe(id);
  });

  it('names its consumer', async () => {
    const consumers = [consumer('library', { certificates: [id] })];
    const { exchange } = forwarded(await serve(world(methods, consumers))({ peerPrincipal: id }));
    expect(exchange).toMatchObject({ principal: id, consumer: 'library' });
  });

  it('with a name of another kind than asked for is none', async () => {
    const dns = serve(world([{ type: 'clientCertificate', principalFrom: 'dns' }], []));
    expect(answered(await dns({ peerPrincipal: id })).status).toBe(401);
    expect(answered(await serve(world(methods, []))({ peerPrincipal: 'a.test' })).status).toBe(401);
  });

  it('is missed', async () => {
    expect(answered(await serve(world(methods, []))()).status).toBe(401);
  });

  const names = { dns: ['a.test', 'b.test'], subject: 'CN=reader,O=Bibby' };
  const by = (principalFrom: 'dns' | 'subject', consumers: readonly ConsumerPlan[] = []) =>
    serve(world([{ type: 'clientCertificate', principalFrom }], consumers));

  it.each([
    ['dns', 'a.test'],
    ['subject', 'CN=reader,O=Bibby'],
  ] as const)('names its holder by its %s', async (principalFrom, principal) => {
    const outcome = await by(principalFrom)({ peerPrincipal: id, peerNames: names });
    expect(forwarded(outcome).exchange.principal).toBe(principal);
  });

  it.each([
    ['dns', { dns: [], subject: 'CN=a.test' }],
    ['subject', { dns: ['a.test'], subject: undefined }],
  ] as const)('without a %s is none', async (principalFrom, peerNames) => {
    const outcome = await by(principalFrom)({ peerPrincipal: id, peerNames });
    expect(answered(outcome).status).toBe(401);
  });

  it('names the consumer that has one of its DNS names', async () => {
    const request = by('dns', [consumer('library', { certificates: ['b.test'] })]);
    const { exchange } = forwarded(await request({ peerNames: names }));
    expect(exchange).toMatchObject({ principal: 'b.test', consumer: 'library' });
  });

  it('is refused once its name is revoked, a consumer’s too', async () => {
    const request = by('dns', [consumer('library', { certificates: ['b.test'] })]);
    request.decide({ type: 'revocation', target: 'sub:b.test', expiresMs: 9e15 });
    expect(answered(await request({ peerNames: names })).status).toBe(401);
  });
});

describe('several methods', () => {
  let es: KeyPair;
  beforeAll(async () => {
    es = await keyPair();
  });
  const methods = (): readonly AuthenticationMethod[] => [
    { type: 'jwt', issuers: [issuerPlan([es.jwk])] },
    apiKey,
  ];
  const consumers = [consumer('mobile', { apiKeys: [key('k1', 'k1.s')] })];

  it.each([
    ['the first', true, undefined, `${ISSUER}/alice`],
    ['the second', undefined, 'k1.s', 'mobile'],
    ['the first of two', true, 'k1.s', `${ISSUER}/alice`],
    ['the second after a bad first', false, 'k1.s', 'mobile'],
  ])('take %s that holds', async (_name, token, apiKeyValue, principal) => {
    const headers = {
      ...(token === undefined
        ? {}
        : { authorization: `Bearer ${token ? await sign(es) : 'x.y.z'}` }),
      ...(apiKeyValue === undefined ? {} : { 'x-api-key': apiKeyValue }),
    };
    const outcome = await serve(world(methods(), consumers))({ headers });
    expect(forwarded(outcome).exchange.principal).toBe(principal);
  });

  it('all offer themselves to a caller who shows nothing', async () => {
    const outcome = answered(await serve(world(methods(), consumers))());
    expect(answerHeaders(outcome)['www-authenticate']).toBe(
      'Bearer realm="api.bibby.com" | ApiKey realm="api.bibby.com"',
    );
  });

  it('of several policies must all be content', async () => {
    const both: Partial<Snapshot> = {
      rules: [rule({ authentications: ['token', 'key'] })],
      authentications: {
        token: { origin: { resource: 't' }, mode: 'required', methods: methods().slice(0, 1) },
        key: { origin: { resource: 'k' }, mode: 'required', methods: [apiKey] },
      },
      consumers,
    };
    const authorization = `Bearer ${await sign(es)}`;
    const request = serve(both);
    expect(answered(await request({ headers: { authorization } })).status).toBe(401);
    const headers = { authorization, 'x-api-key': 'k1.s' };
    expect(forwarded(await request({ headers })).exchange.principal).toBe('mobile');
  });

  it('forget the consumer behind a token with the snapshot that knew him', async () => {
    const alice = consumer('alice', {
      groups: ['gold'],
      jwt: { issuer: ISSUER, subject: 'alice' },
    });
    const request = serve(world(methods(), [alice]));
    const facts = { headers: { authorization: `Bearer ${await sign(es)}` } };
    expect(forwarded(await request(facts)).exchange.groups).toEqual(['gold']);
    request.replace(world(methods(), [{ ...alice, groups: ['silver'] }]));
    expect(forwarded(await request(facts)).exchange.groups).toEqual(['silver']);
    request.replace(world(methods(), []));
    expect(forwarded(await request(facts)).exchange).toMatchObject({
      consumer: undefined,
      groups: [],
    });
  });

  it('know the consumer behind a token', async () => {
    const alice = consumer('alice', {
      groups: ['gold'],
      jwt: { issuer: ISSUER, subject: 'alice' },
    });
    const outcome = await serve(world(methods(), [alice]))({
      headers: { authorization: `Bearer ${await sign(es)}` },
    });
    expect(forwarded(outcome).exchange).toMatchObject({
      principal: `${ISSUER}/alice`,
      consumer: 'alice',
      groups: ['gold'],
    });
  });
});
