import { createHash } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import type { DecisionBody } from '#engine/model/decision.ts';
import type { Snapshot } from '#engine/model/snapshot.ts';
import { createPipeline } from '#engine/pipeline/create-pipeline.ts';
import type { Exchange } from '#engine/pipeline/exchange.ts';
import { pipelineDeps } from '#test/support/pipeline-deps.ts';
import { requestView } from '#test/support/request-view.ts';
import { answered, serve } from '#test/support/serve.ts';
import { planeView, rule, snapshot } from '#test/support/snapshot.ts';
import { ISSUER, issuerPlan, type KeyPair, keyPair, NOW_S, sign } from '#test/support/tokens.ts';

let es: KeyPair;
beforeAll(async () => {
  es = await keyPair();
});

const FAR = (NOW_S + 3600) * 1000;
const revoke = (target: string, expiresMs = FAR) =>
  ({ type: 'revocation', target, expiresMs }) as const;

const world = (): Partial<Snapshot> => ({
  rules: [rule({ authentications: ['a'] })],
  authentications: {
    a: {
      origin: { resource: 'Authentication/bibby/all' },
      mode: 'required',
      methods: [
        { type: 'jwt', issuers: [issuerPlan([es.jwk])] },
        { type: 'apiKey', header: 'x-api-key', forwardKey: false },
      ],
    },
  },
  consumers: [
    {
      name: 'mobile',
      groups: [],
      apiKeys: [
        {
          id: 'k1',
          salt: 's',
          hash: createHash('sha256').update('sk1.x').digest('hex'),
          expiresMs: 0,
        },
        {
          id: 'k2',
          salt: 's',
          hash: createHash('sha256').update('sk2.x').digest('hex'),
          expiresMs: 0,
        },
      ],
      certificates: [],
      jwt: { issuer: ISSUER, subject: 'robot' },
    },
  ],
});

const callers = async () => {
  const bearer = async (claims: Record<string, unknown>) => ({
    headers: { authorization: `Bearer ${await sign(es, claims)}` },
  });
  return {
    alice1: await bearer({ sub: 'alice', jti: 't1' }),
    alice2: await bearer({ sub: 'alice', jti: 't2', iat: NOW_S + 10 }),
    bob: await bearer({ sub: 'bob', jti: 't3', iat: undefined }),
    robot: await bearer({ sub: 'robot', iat: NOW_S + 10 }),
    key1: { headers: { 'x-api-key': 'k1.x' } },
    key2: { headers: { 'x-api-key': 'k2.x' } },
  };
};

describe('a revocation', () => {
  it.each([
    ['jti:t1', ['alice1']],
    ['sub:alice', ['alice1', 'alice2']],
    ['key:k1', ['key1']],
    ['consumer:mobile', ['robot', 'key1', 'key2']],
    ['kid:ES256-1', ['alice1', 'alice2', 'bob', 'robot']],
    [`before:${(NOW_S + 5) * 1000}`, ['alice1', 'bob']],
    ['before:yesterday', ['alice1', 'alice2', 'bob', 'robot']],
    ['jti:__proto__', []],
    ['sub:', []],
  ])('of %s shuts out %j and nobody else, seen before or not', async (target, victims) => {
    const request = serve(world());
    const everybody = await callers();
    const shutOut = async () => {
      const names: string[] = [];
      for (const [name, facts] of Object.entries(everybody))
        if ((await request(facts)).type === 'respond') names.push(name);
      return names;
    };
    expect(await shutOut()).toEqual([]);
    request.decide(revoke(target));
    expect(await shutOut()).toEqual(victims);
    expect(await shutOut()).toEqual(victims);
    request.decide();
    expect(await shutOut()).toEqual([]);
  });

  it('counts from the snapshot too, where an agent starts without decisions', async () => {
    const body = revoke('sub:alice');
    const standing = [
      { id: 'revocation:sub:alice', serial: 1, body, by: 'operator:x', reason: '' },
    ];
    const request = serve({ ...world(), standing });
    const { alice1, bob } = await callers();
    const refused = answered(await request(alice1));
    expect(refused).toMatchObject({ status: 401, reason: 'the credential was revoked' });
    expect((await request(bob)).type).toBe('forward');
  });

  it('ends when it says', async () => {
    const time = { nowMs: NOW_S * 1000 };
    const request = serve(world(), pipelineDeps({ time }));
    const { alice1 } = await callers();
    request.decide(revoke('jti:t1', NOW_S * 1000 + 60_000));
    expect((await request(alice1)).type).toBe('respond');
    time.nowMs += 60_000;
    expect((await request(alice1)).type).toBe('forward');
  });

  it('of the overlay replaces the same one of the snapshot', async () => {
    const target = `before:${(NOW_S + 5) * 1000}`;
    const standing = [
      { id: `revocation:${target}`, serial: 1, body: revoke(target), by: 'operator:x', reason: '' },
    ];
    const request = serve({ ...world(), standing });
    const { alice1 } = await callers();
    expect((await request(alice1)).type).toBe('respond');
    request.decide(revoke(target, 0));
    expect((await request(alice1)).type).toBe('forward');
  });

  it('of an identity shuts out whoever shows its certificate, whatever else he shows', async () => {
    const reader = 'spiffe://bibby/ns/default/sa/reader';
    const request = serve({ rules: [rule({})] });
    const asReader = { peerPrincipal: reader };
    expect((await request(asReader)).type).toBe('forward');
    request.decide(revoke(`sub:${reader}`));
    const refused = answered(await request(asReader));
    expect(refused).toMatchObject({
      status: 403,
      reason: 'the certificate of the connection was revoked',
      exchange: { notes: { policy: `sub:${reader}` } },
    });
    expect((await request({ peerPrincipal: `${reader}2` })).type).toBe('forward');
    expect((await request()).type).toBe('forward');
  });

  it('of an identity ends what its connections have open', async () => {
    const deps = pipelineDeps();
    const of = snapshot({ rules: [rule({})] });
    const before = createPipeline(planeView(of), deps);
    const peerPrincipal = 'spiffe://bibby/ns/default/sa/reader';
    const { exchange } = await before.handle(requestView({ peerPrincipal }), 'r');
    const decisions = [revoke(`sub:${peerPrincipal}`)];
    const after = createPipeline(planeView(of, { decisions }), deps, before);
    expect(exchange && before.isRevoked(exchange)).toBe(false);
    expect(exchange && after.isRevoked(exchange)).toBe(true);
    expect(before.revocationOf(peerPrincipal)).toBe(undefined);
    expect(after.revocationOf(peerPrincipal)).toBe(`sub:${peerPrincipal}`);
  });

  it('names the open exchanges of its victim, and only those', async () => {
    const deps = pipelineDeps();
    const of = snapshot(world());
    const before = createPipeline(planeView(of), deps);
    const open = new Map<string, Exchange>();
    for (const [name, facts] of Object.entries(await callers())) {
      const { exchange } = await before.handle(requestView(facts), 'r');
      if (exchange) open.set(name, exchange);
    }
    const revoked = (decisions: readonly DecisionBody[]) => {
      const after = createPipeline(planeView(of, { decisions }), deps, before);
      return [...open].filter(([, exchange]) => after.isRevoked(exchange)).map(([name]) => name);
    };
    expect(revoked([])).toEqual([]);
    expect(revoked([revoke('sub:alice'), revoke('key:k2')])).toEqual(['alice1', 'alice2', 'key2']);
  });
});
