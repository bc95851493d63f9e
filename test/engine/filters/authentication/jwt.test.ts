import { createHmac, generateKeyPairSync } from 'node:crypto';
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
    const { createSign } = await import('node:crypto');
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

describe('examples of the standards', () => {
  // RFC 7515 appendix A.1: HS256 over a payload with line breaks in it.
  it('accepts the HS256 example of RFC 7515 at its time', async () => {
    const { base64url } = await import('jose');
    const key =
      'AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow';
    const token =
      'eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk';
    const { verifyToken, createIssuer } = await import(
      '#engine/filters/authentication/verify-token.ts'
    );
    const { readCompact } = await import('#engine/filters/authentication/compact-token.ts');
    expect(readCompact(token)).toMatchObject({ alg: 'HS256', claims: { iss: 'joe' } });
    const issuer = createIssuer(
      issuerPlan([], {
        issuer: 'joe',
        algorithms: ['HS256'],
        audiences: [],
        requireAudience: false,
      }),
    );
    const bytes = base64url.decode(key);
    const withSecret = {
      ...issuer,
      keys: { find: () => [{ import: async () => bytes }] } as unknown as typeof issuer.keys,
    };
    const at = (seconds: number) => verifyToken(token, [withSecret], { nowMs: seconds * 1000 });
    expect((await at(1_300_819_379)).type).toBe('identity');
    expect(await at(1_300_819_380 + 60)).toEqual({
      type: 'failure',
      reason: 'the token is expired',
    });
  });

  it.each([
    [
      'RFC 7515 A.2, RS256',
      {
        kty: 'RSA',
        n: 'ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ',
        e: 'AQAB',
      },
      'RS256',
      'eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw',
    ],
    [
      'RFC 7515 A.3, ES256',
      {
        kty: 'EC',
        crv: 'P-256',
        x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',
        y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0',
      },
      'ES256',
      'eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q',
    ],
  ])('accepts %s at its time and refuses it later', async (_name, jwk, alg, token) => {
    const time = { nowMs: 1_300_819_000_000 };
    const plan = issuerPlan([jwk], {
      issuer: 'joe',
      algorithms: [alg],
      audiences: [],
      requireAudience: false,
    });
    const request = guarded([plan], pipelineDeps({ time }));
    expect((await request(bearer(token))).type).toBe('forward');
    time.nowMs += 3_600_000;
    expect(answered(await request(bearer(token))).status).toBe(401);
  });

  it('refuses the unsecured example of RFC 7519', async () => {
    const token =
      'eyJhbGciOiJub25lIn0.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.';
    expect(answered(await withKeys(es.jwk)(bearer(token))).status).toBe(401);
  });
});
