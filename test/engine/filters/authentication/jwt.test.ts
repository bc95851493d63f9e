import { createHmac, createSign, generateKeyPairSync, KeyObject } from 'node:crypto';
import { CompactEncrypt, exportSPKI, type JWK } from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';
import type { IssuerPlan } from '#engine/model/snapshot.ts';
import { pipelineDeps } from '#test/support/pipeline-deps.ts';
import { answered, answerHeaders, forwarded, pairs, serve } from '#test/support/serve.ts';
import { rule } from '#test/support/snapshot.ts';
import {
  encodePart,
  ISSUER,
  issuerPlan,
  jwtAuthentication,
  type KeyPair,
  keyPair,
  NOW_S,
  sign,
} from '#test/support/tokens.ts';

let es: KeyPair;
let rs: KeyPair;

beforeAll(async () => {
  [es, rs] = await Promise.all([keyPair('ES256'), keyPair('RS256')]);
});

const guarded = (issuers: readonly IssuerPlan[], deps = pipelineDeps()) =>
  serve(
    {
      rules: [rule({ authentications: ['a'] })],
      authentications: { a: jwtAuthentication(issuers) },
    },
    deps,
  );
const withKeys = (...keys: readonly JWK[]) => guarded([issuerPlan(keys)]);
const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });

describe('a valid token', () => {
  it.each([
    'RS256',
    'RS384',
    'RS512',
    'PS256',
    'PS384',
    'PS512',
    'ES256',
    'ES384',
    'ES512',
    'EdDSA',
  ])('signed with %s is accepted where the issuer lists the algorithm', async (alg) => {
    const key = await keyPair(alg);
    const request = guarded([issuerPlan([key.jwk], { algorithms: [alg] })]);
    const { exchange } = forwarded(await request(bearer(await sign(key))));
    expect(exchange.principal).toBe(`${ISSUER}/alice`);
  });

  it.each(['HS256', 'HS384', 'HS512'])(
    'signed with %s is accepted where a secret is set',
    async (alg) => {
      const secret = 'a secret of thirty-two characters';
      const request = guarded([issuerPlan([], { algorithms: [alg], secret })]);
      const input = `${encodePart({ alg })}.${encodePart({ iss: ISSUER, aud: 'bibby', exp: NOW_S + 9 })}`;
      const mac = createHmac(`sha${alg.slice(2)}`, secret)
        .update(input)
        .digest('base64url');
      expect((await request(bearer(`${input}.${mac}`))).type).toBe('forward');
    },
  );

  it('tells the upstream who is calling', async () => {
    const token = await sign(es, { sub: 'alice', roles: ['reader', 'librarian'] });
    const { exchange } = forwarded(await withKeys(es.jwk)(bearer(token)));
    expect(pairs(exchange.setHeaders)).toEqual({
      'x-user-id': 'alice',
      'x-user-roles': 'reader,librarian',
    });
  });

  it('is taken off the request where it is not to be forwarded', async () => {
    const token = await sign(es);
    const plan = issuerPlan([es.jwk], {
      forwardToken: false,
      from: { header: 'Authorization', cookie: 'session', query: 'access_token' },
    });
    const request = guarded([plan]);
    const inHeader = forwarded(await request(bearer(token)));
    expect(inHeader.exchange.removeHeaders).toContain('authorization');
    const inCookie = forwarded(
      await request({ headers: { cookie: `a=1; session=${token}; b=2` } }),
    );
    expect(pairs(inCookie.exchange.setHeaders)['cookie']).toBe('a=1; b=2');
    const inQuery = forwarded(await request({ url: `/books?a=1&access_token=${token}&b=2` }));
    expect(inQuery.target).toBe('/books?a=1&b=2');
  });

  it('is refused once it has expired, although it was accepted before', async () => {
    const time = { nowMs: NOW_S * 1000 };
    const request = guarded(
      [issuerPlan([es.jwk], { clockSkewMs: 30_000 })],
      pipelineDeps({ time }),
    );
    const token = bearer(await sign(es, { exp: NOW_S + 100 }));
    expect((await request(token)).type).toBe('forward');
    time.nowMs += 129_999;
    expect((await request(token)).type).toBe('forward');
    time.nowMs += 1;
    expect(answered(await request(token)).reason).toBe('the token is expired');
  });

  it('is refused once its key is gone from the snapshot', async () => {
    const authentications = (jwk: JWK) => ({ a: jwtAuthentication([issuerPlan([jwk])]) });
    const rules = [rule({ authentications: ['a'] })];
    const request = serve({ rules, authentications: authentications(es.jwk) });
    const token = bearer(await sign(es));
    expect((await request(token)).type).toBe('forward');
    request.replace({ rules, authentications: authentications(rs.jwk) });
    expect(answered(await request(token)).status).toBe(401);
  });
});

describe('a refusal', () => {
  it('has the shape that callers can act on', async () => {
    const outcome = answered(await withKeys(es.jwk)());
    expect(outcome).toMatchObject({
      status: 401,
      error: 'Unauthorized',
      reason: 'no credentials were given',
    });
    expect(answerHeaders(outcome)['www-authenticate']).toBe('Bearer realm="api.bibby.com"');
    const bad = answered(await withKeys(es.jwk)(bearer('x.y.z')));
    expect(answerHeaders(bad)['www-authenticate']).toMatch(/error="invalid_token"/);
  });

  it('is only written down in audit mode', async () => {
    const request = serve({
      rules: [rule({ authentications: ['a'] })],
      authentications: { a: jwtAuthentication([issuerPlan([es.jwk])], { mode: 'audit' }) },
    });
    const { exchange } = forwarded(await request());
    expect(exchange.notes?.['audit']).toContain('no credentials');
  });

  it('meets a bad token, but not a missing one, in optional mode', async () => {
    const request = serve({
      rules: [rule({ authentications: ['a'] })],
      authentications: { a: jwtAuthentication([issuerPlan([es.jwk])], { mode: 'optional' }) },
    });
    expect((await request()).type).toBe('forward');
    expect(answered(await request(bearer('x.y.z'))).status).toBe(401);
  });
});

describe('a hostile token', () => {
  const spki = () => exportSPKI(rs.publicKey);
  const hmacWith = (secret: string | Buffer, header: object) => {
    const input = `${encodePart(header)}.${encodePart({ iss: ISSUER, aud: 'bibby', sub: 'mallory', exp: NOW_S + 99 })}`;
    return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`;
  };
  const unsigned = (header: object, signature = '') =>
    `${encodePart(header)}.${encodePart({ iss: ISSUER, aud: 'bibby', exp: NOW_S + 99 })}.${signature}`;

  const cases: readonly [string, () => Promise<string> | string][] = [
    ['alg none, no signature', () => unsigned({ alg: 'none' })],
    ['alg none, some signature', () => unsigned({ alg: 'none' }, 'AAAA')],
    ['alg None', () => unsigned({ alg: 'None' }, 'AAAA')],
    ['no alg', () => unsigned({ typ: 'JWT' }, 'AAAA')],
    ['alg a list', () => unsigned({ alg: ['ES256'] }, 'AAAA')],
    [
      'HS256 keyed with the RSA public key',
      async () => hmacWith(await spki(), { alg: 'HS256', kid: rs.kid }),
    ],
    ['HS256 keyed with the empty secret', () => hmacWith('', { alg: 'HS256' })],
    ['HS256 keyed with the modulus', () => hmacWith(String(rs.jwk['n']), { alg: 'HS256' })],
    [
      'PS256 made by a key that is for RS256',
      async () => {
        const { privateKey } = await keyPair('PS256');
        return sign({ alg: 'PS256', kid: rs.kid, privateKey });
      },
    ],
    [
      'a key of the caller, embedded',
      async () => {
        const mallory = await keyPair('ES256', es.kid);
        return sign(mallory, {}, { jwk: mallory.jwk });
      },
    ],
    [
      'a key of the caller, by address',
      async () =>
        sign(
          await keyPair('ES256', 'new'),
          {},
          { jku: 'http://127.0.0.1/jwks', x5u: 'http://127.0.0.1/' },
        ),
    ],
    ['kid with a path', () => sign(es, {}, { kid: '../../dev/null' })],
    ['kid with SQL', () => sign(es, {}, { kid: "x' UNION SELECT 'k" })],
    ['kid __proto__', () => sign(es, {}, { kid: '__proto__' })],
    ['kid of a megabyte', () => sign(es, {}, { kid: 'k'.repeat(2 ** 20) })],
    ['kid over 256 bytes', () => sign(es, {}, { kid: 'é'.repeat(129) })],
    ['kid a number', () => sign(es, {}, { kid: 7 as unknown as string })],
    ['critical extension', () => unsigned({ alg: 'ES256', crit: ['exp'], exp: 1 }, 'AAAA')],
    ['b64 false', () => unsigned({ alg: 'ES256', b64: false, crit: ['b64'] }, 'AAAA')],
    ['b64 without crit', () => sign(es, {}, { b64: true })],
    ['zip', () => sign(es, {}, { zip: 'DEF' })],
    [
      'encrypted',
      async () =>
        new CompactEncrypt(new TextEncoder().encode('{}'))
          .setProtectedHeader({ alg: 'dir', enc: 'A256GCM' })
          .encrypt(new Uint8Array(32)),
    ],
    ['two parts', async () => (await sign(es)).split('.').slice(0, 2).join('.')],
    ['four parts', async () => `${await sign(es)}.AAAA`],
    [
      'JSON serialisation',
      async () => {
        const [header, payload, signature] = (await sign(es)).split('.');
        return JSON.stringify({ protected: header, payload, signature });
      },
    ],
    ['padding', async () => `${await sign(es)}==`],
    ['white space inside', async () => (await sign(es)).replace('.', ' .')],
    ['line break inside', async () => (await sign(es)).replace('.', '.\n')],
    ['plain base64', async () => `${(await sign(es)).slice(0, -2)}+/`],
    [
      'bits that no byte uses',
      async () => {
        const token = await sign(es);
        const last = token.at(-1) ?? '';
        const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
        return token.slice(0, -1) + (alphabet[alphabet.indexOf(last) + 1] ?? '');
      },
    ],
    [
      'altered payload',
      async () => {
        const [header, , signature] = (await sign(es)).split('.');
        return `${header}.${encodePart({ iss: ISSUER, aud: 'bibby', sub: 'root', exp: NOW_S + 99 })}.${signature}`;
      },
    ],
    [
      'signature of zeros',
      async () => {
        const [header, payload] = (await sign(es)).split('.');
        return `${header}.${payload}.${Buffer.alloc(64).toString('base64url')}`;
      },
    ],
    [
      'signature with the order of the curve in it',
      async () => {
        const [header, payload] = (await sign(es)).split('.');
        const order = 'ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551';
        return `${header}.${payload}.${Buffer.from(order + order, 'hex').toString('base64url')}`;
      },
    ],
    [
      'signature in DER',
      async () => {
        const [header, payload] = (await sign(es)).split('.');
        const der = createSign('sha256').update(`${header}.${payload}`);
        return `${header}.${payload}.${der.sign(KeyObject.from(es.privateKey), 'base64url')}`;
      },
    ],
    [
      'signature cut short',
      async () => {
        const [header, payload, signature = ''] = (await sign(es)).split('.');
        return `${header}.${payload}.${signature.slice(0, 40)}`;
      },
    ],
    [
      'ES256 by a key on another curve',
      async () => {
        const key = await keyPair('ES384', es.kid);
        const [, payload] = (await sign(es)).split('.');
        const input = `${encodePart({ alg: 'ES256', kid: es.kid })}.${payload}`;
        const signature = createSign('sha256').update(input);
        return `${input}.${signature.sign({ key: KeyObject.from(key.privateKey), dsaEncoding: 'ieee-p1363' }, 'base64url')}`;
      },
    ],
    ['RS256 under the name of an ES256 key', () => sign({ ...rs, kid: es.kid })],
    [
      'a certificate of the caller',
      async () => sign(await keyPair('ES256', 'new'), {}, { x5c: ['MIIB'], x5t: 'AAAA' }),
    ],
    ['PBES2 as signature', () => unsigned({ alg: 'PBES2-HS256+A128KW', p2c: 2 ** 31 }, 'AAAA')],
    [
      'a token inside a token',
      async () => {
        const input = `${encodePart({ alg: 'ES256', kid: es.kid, cty: 'JWT' })}.${encodePart(await sign(es))}`;
        const signature = createSign('sha256').update(input);
        return `${input}.${signature.sign({ key: KeyObject.from(es.privateKey), dsaEncoding: 'ieee-p1363' }, 'base64url')}`;
      },
    ],
    ['payload that is a list', () => `${encodePart({ alg: 'ES256' })}.${encodePart([])}.AAAA`],
    ['header that is null', () => `${encodePart('null')}.${encodePart({})}.AAAA`],
    ['header that is no JSON', () => `${encodePart('{')}.${encodePart({})}.AAAA`],
    [
      'header with a byte order mark',
      async () => {
        const [header = '', payload, signature] = (await sign(es)).split('.');
        const text = Buffer.from(header, 'base64url').toString();
        return `${encodePart(`\ufeff${text}`)}.${payload}.${signature}`;
      },
    ],
    ['no iss', () => sign(es, { iss: undefined })],
    ['iss in a list', () => sign(es, { iss: [ISSUER] })],
    ['iss with a slash more', () => sign(es, { iss: `${ISSUER}/` })],
    ['iss in other case', () => sign(es, { iss: ISSUER.toUpperCase() })],
    ['no aud', () => sign(es, { aud: undefined })],
    ['other aud', () => sign(es, { aud: 'somebody' })],
    ['aud a list of others', () => sign(es, { aud: ['x', 'y'] })],
    ['aud an object', () => sign(es, { aud: { bibby: true } })],
    ['aud that begins alike', () => sign(es, { aud: 'bibby2' })],
    ['no exp', () => sign(es, { exp: undefined })],
    ['exp a string', () => sign(es, { exp: String(NOW_S + 99) })],
    ['exp past, skew included', () => sign(es, { exp: NOW_S - 60 })],
    ['nbf to come, skew included', () => sign(es, { nbf: NOW_S + 61 })],
    ['nbf a string', () => sign(es, { nbf: '0' })],
    ['iat an object', () => sign(es, { iat: {} })],
  ];

  it.each(cases)('%s is refused', async (_name, make) => {
    const token = await make();
    const outcome = answered(await withKeys(es.jwk, rs.jwk)(bearer(token)));
    expect(outcome.status).toBe(401);
  });

  it.each([
    'RS256',
    'RS384',
    'RS512',
    'PS256',
    'PS384',
    'PS512',
    'ES256',
    'ES384',
    'HS256',
    'none',
  ])('that calls itself %s gets no use out of a key set without algorithms', async (alg) => {
    const { alg: _alg, ...bare } = rs.jwk;
    const request = guarded([issuerPlan([bare], { algorithms: ['EdDSA'] })]);
    const pem = await spki();
    for (const token of [hmacWith(pem, { alg, kid: rs.kid }), hmacWith(pem, { alg })])
      expect(answered(await request(bearer(token))).status).toBe(401);
  });

  it('with an infinite exp is refused', async () => {
    const input = `${encodePart({ alg: 'HS256' })}.${encodePart(`{"iss":"${ISSUER}","aud":"bibby","exp":1e999}`)}`;
    const secret = 'a secret of thirty-two characters';
    const mac = createHmac('sha256', secret).update(input).digest('base64url');
    const request = guarded([issuerPlan([], { algorithms: ['HS256'], secret })]);
    expect(answered(await request(bearer(`${input}.${mac}`))).status).toBe(401);
  });

  it.each([
    [
      'header',
      `{"alg":"HS256","alg":"HS256"}`,
      `{"iss":"${ISSUER}","aud":"bibby","exp":1900000000}`,
    ],
    [
      'payload',
      `{"alg":"HS256"}`,
      `{"iss":"${ISSUER}","aud":"bibby","exp":1,"\\u0065xp":1900000000}`,
    ],
    [
      'depth',
      `{"alg":"HS256"}`,
      `{"iss":"${ISSUER}","aud":"bibby","exp":1900000000,"a":[{"b":1,"b":2}]}`,
    ],
  ])('with one member twice in its %s is refused', async (_where, header, payload) => {
    const secret = 'a secret of thirty-two characters';
    const input = `${encodePart(header)}.${encodePart(payload)}`;
    const mac = createHmac('sha256', secret).update(input).digest('base64url');
    const request = guarded([issuerPlan([], { algorithms: ['HS256'], secret })]);
    expect(answered(await request(bearer(`${input}.${mac}`))).status).toBe(401);
  });
});

describe('the place of a token', () => {
  it.each([
    ['lower-case scheme', 'bearer TOKEN'],
    ['two spaces', 'Bearer  TOKEN'],
    ['tab', 'Bearer\tTOKEN'],
    ['space in front', ' Bearer TOKEN'],
    ['two tokens', 'Bearer TOKEN, Bearer TOKEN'],
    ['other scheme', 'Basic TOKEN'],
    ['no scheme', 'TOKEN'],
    ['scheme only', 'Bearer '],
    ['white space behind', 'Bearer TOKEN '],
  ])('%s is refused', async (_name, value) => {
    const authorization = value.replaceAll('TOKEN', await sign(es));
    expect(answered(await withKeys(es.jwk)({ headers: { authorization } })).status).toBe(401);
  });

  it('may not be given twice', async () => {
    const line = `Bearer ${await sign(es)}`;
    const twice = await withKeys(es.jwk)({ headers: { authorization: [line, line] } });
    expect(answered(twice).status).toBe(400);
  });

  it('may not hold different tokens', async () => {
    const plan = issuerPlan([es.jwk], { from: { header: 'Authorization', cookie: 'session' } });
    const [one, two] = [await sign(es), await sign(es, { sub: 'bob' })];
    const headers = { authorization: `Bearer ${one}`, cookie: `session=${two}` };
    expect(answered(await guarded([plan])({ headers })).reason).toBe('more than one token');
  });

  it('counts only for the issuers that name it', async () => {
    const plan = issuerPlan([es.jwk], { from: { cookie: 'session' } });
    expect(answered(await guarded([plan])(bearer(await sign(es)))).status).toBe(401);
  });
});

describe('keys', () => {
  const rsaJwk = (bits: number, exponent = 65_537) =>
    generateKeyPairSync('rsa', { modulusLength: bits, publicExponent: exponent });

  it.each([
    ['too short', 1024, 65_537],
    ['with a toy exponent', 2048, 3],
  ])('%s prove nothing', async (_name, bits, exponent) => {
    const { publicKey, privateKey } = rsaJwk(bits, exponent);
    const jwk = { ...publicKey.export({ format: 'jwk' }), kid: 'weak' } as JWK;
    const input = `${encodePart({ alg: 'RS256', kid: 'weak' })}.${encodePart({ iss: ISSUER, aud: 'bibby', exp: NOW_S + 99 })}`;
    const signature = createSign('sha256').update(input).sign(privateKey, 'base64url');
    expect(answered(await withKeys(jwk)(bearer(`${input}.${signature}`))).status).toBe(401);
  });

  it.each([
    [
      'a secret in a public set',
      { kty: 'oct', k: encodePart('a secret of thirty-two characters') },
      'HS256',
    ],
    ['for encryption', 'use', 'ES256'],
    ['for other operations', 'key_ops', 'ES256'],
    ['for another algorithm', 'alg', 'ES256'],
  ])('%s prove nothing', async (_name, how, alg) => {
    const wrong = { use: 'enc', key_ops: ['sign'], alg: 'ES384' };
    const jwk =
      typeof how === 'string'
        ? { ...es.jwk, [how]: wrong[how as keyof typeof wrong] }
        : ({ ...how, kid: 'k' } as JWK);
    const request = guarded([issuerPlan([jwk], { algorithms: ['ES256', 'HS256'] })]);
    const input = `${encodePart({ alg, kid: 'k' })}.${encodePart({ iss: ISSUER, aud: 'bibby', exp: NOW_S + 99 })}`;
    const mac = createHmac('sha256', 'a secret of thirty-two characters').update(input);
    const token = alg === 'HS256' ? `${input}.${mac.digest('base64url')}` : await sign(es);
    expect(answered(await request(bearer(token))).status).toBe(401);
  });

  it('with one name are tried one after the other', async () => {
    const other = await keyPair('ES256', es.kid);
    expect((await withKeys(other.jwk, es.jwk)(bearer(await sign(es)))).type).toBe('forward');
  });

  it('are all tried for a token that names none', async () => {
    const token = await sign(es, {}, { kid: undefined });
    expect((await withKeys(rs.jwk, es.jwk)(bearer(token))).type).toBe('forward');
  });

  it('of several entries for one issuer are alternatives', async () => {
    const plans = [
      issuerPlan([es.jwk], { audiences: ['other'] }),
      issuerPlan([es.jwk], { audiences: ['bibby'] }),
    ];
    expect((await guarded(plans)(bearer(await sign(es)))).type).toBe('forward');
  });
});
