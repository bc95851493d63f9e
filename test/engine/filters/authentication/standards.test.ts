// The examples of RFC 7515, 7519, 7520, 7797 and 8037: whose payload is a claim set is let in at its time, the others'
// signatures are right or wrong as the standards say, and forms that are not the compact one of a signed token stay out.
import { base64url, compactVerify, type JWK } from 'jose';
import { describe, expect, it } from 'vitest';
import { readCompact } from '#engine/filters/authentication/compact-token.ts';
import { IssuerKeys } from '#engine/filters/authentication/issuer-keys.ts';
import { createIssuer, verifyToken } from '#engine/filters/authentication/verify-token.ts';
import { pipelineDeps } from '#test/support/pipeline-deps.ts';
import { answered, serve } from '#test/support/serve.ts';
import { rule } from '#test/support/snapshot.ts';
import { issuerPlan, jwtAuthentication, keyPair } from '#test/support/tokens.ts';

interface Example {
  readonly alg: string;
  readonly jwk: JWK;
  readonly token: string;
}

/** {"iss":"joe","exp":1300819380,"http://example.com/is_root":true}, with line breaks. */
const JOE =
  'eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ';
const JOE_EXPIRES = 1_300_819_380;
/** A sentence about the road. */
const ROAD =
  'SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4';

const bilboRsa: JWK = {
  kty: 'RSA',
  kid: 'bilbo.baggins@hobbiton.example',
  use: 'sig',
  n: 'n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZQHz_AJmSCpMaJMRBSFKrKb2wqVwGU_NsYOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBordaZ6Aj-oBHqFEHYpPe7Tpe-OfVfHd1E6cS6M1FZcD1NNLYD5lFHpPI9bTwJlsde3uhGqC0ZCuEHg8lhzwOHrtIQbS0FVbb9k3-tVTU4fg_3L_vniUFAKwuCLqKnS2BYwdq_mzSnbLY7h_qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gHdrNP5zw',
  e: 'AQAB',
};
const bilboEc: JWK = {
  kty: 'EC',
  kid: 'bilbo.baggins@hobbiton.example',
  use: 'sig',
  crv: 'P-521',
  x: 'AHKZLLOsCOzz5cY97ewNUajB957y-C-U88c3v13nmGZx6sYl_oJXu9A5RkTKqjqvjyekWF-7ytDyRXYgCF5cj0Kt',
  y: 'AdymlHvOiLxXkEhayXQnNCvDX4h9htZaCJN34kfmC6pV5OhQHiraVySsUdaQkAgDPrwQrJmbnX9cwlGfP-HqHZR1',
};
const frodoSecret: JWK = {
  kty: 'oct',
  kid: '018c0ae5-4d9b-471b-bfd6-eef314bc7037',
  use: 'sig',
  alg: 'HS256',
  k: 'hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg',
};
const frodoHeader =
  'eyJhbGciOiJIUzI1NiIsImtpZCI6IjAxOGMwYWU1LTRkOWItNDcxYi1iZmQ2LWVlZjMxNGJjNzAzNyJ9';
const frodoMac = 's0h6KThzkfBBBkLspW1h84VsJZFTsPPqMDA7g1Md7p0';

const claimSets: readonly (readonly [string, Example])[] = [
  [
    'RFC 7515 A.2, RS256',
    {
      alg: 'RS256',
      jwk: {
        kty: 'RSA',
        n: 'ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ',
        e: 'AQAB',
      },
      token: `eyJhbGciOiJSUzI1NiJ9.${JOE}.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw`,
    },
  ],
  [
    'RFC 7515 A.3, ES256',
    {
      alg: 'ES256',
      jwk: {
        kty: 'EC',
        crv: 'P-256',
        x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',
        y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0',
      },
      token: `eyJhbGciOiJFUzI1NiJ9.${JOE}.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q`,
    },
  ],
];

/** Signed octets that are no claims. */
const others: readonly (readonly [string, Example])[] = [
  [
    'RFC 7515 A.4, ES512',
    {
      alg: 'ES512',
      jwk: {
        kty: 'EC',
        crv: 'P-521',
        x: 'AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk',
        y: 'ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2',
      },
      token:
        'eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA.AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn',
    },
  ],
  [
    'RFC 7520 4.1, RS256',
    {
      alg: 'RS256',
      jwk: bilboRsa,
      token: `eyJhbGciOiJSUzI1NiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9.${ROAD}.MRjdkly7_-oTPTS3AXP41iQIGKa80A0ZmTuV5MEaHoxnW2e5CZ5NlKtainoFmKZopdHM1O2U4mwzJdQx996ivp83xuglII7PNDi84wnB-BDkoBwA78185hX-Es4JIwmDLJK3lfWRa-XtL0RnltuYv746iYTh_qHRD68BNt1uSNCrUCTJDt5aAE6x8wW1Kt9eRo4QPocSadnHXFxnt8Is9UzpERV0ePPQdLuW3IS_de3xyIrDaLGdjluPxUAhb6L2aXic1U12podGU0KLUQSE_oI-ZnmKJ3F4uOZDnd6QZWJushZ41Axf_fcIe8u9ipH84ogoree7vjbU5y18kDquDg`,
    },
  ],
  [
    'RFC 7520 4.2, PS384',
    {
      alg: 'PS384',
      jwk: bilboRsa,
      token: `eyJhbGciOiJQUzM4NCIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9.${ROAD}.cu22eBqkYDKgIlTpzDXGvaFfz6WGoz7fUDcfT0kkOy42miAh2qyBzk1xEsnk2IpN6-tPid6VrklHkqsGqDqHCdP6O8TTB5dDDItllVo6_1OLPpcbUrhiUSMxbbXUvdvWXzg-UD8biiReQFlfz28zGWVsdiNAUf8ZnyPEgVFn442ZdNqiVJRmBqrYRXe8P_ijQ7p8Vdz0TTrxUeT3lm8d9shnr2lfJT8ImUjvAA2Xez2Mlp8cBE5awDzT0qI0n6uiP1aCN_2_jLAeQTlqRHtfa64QQSUmFAAjVKPbByi7xho0uTOcbH510a6GYmJUAfmWjwZ6oD4ifKo8DYM-X72Eaw`,
    },
  ],
  [
    'RFC 7520 4.3, ES512',
    {
      alg: 'ES512',
      jwk: bilboEc,
      token: `eyJhbGciOiJFUzUxMiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9.${ROAD}.AE_R_YZCChjn4791jSQCrdPZCNYqHXCTZH0-JZGYNlaAjP2kqaluUIIUnC9qvbu9Plon7KRTzoNEuT4Va2cmL1eJAQy3mtPBu_u_sDDyYjnAMDxXPn7XrT0lw-kvAD890jl8e2puQens_IEKBpHABlsbEPX6sFY8OcGDqoRuBomu9xQ2`,
    },
  ],
  [
    'RFC 8037 A.4, EdDSA',
    {
      alg: 'EdDSA',
      jwk: { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' },
      token:
        'eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg',
    },
  ],
];

const joePlan = (jwks: readonly JWK[], algorithms: readonly string[]) =>
  issuerPlan(jwks, { issuer: 'joe', algorithms, audiences: [], requireAudience: false });

const guarded = (jwks: readonly JWK[], algorithms: readonly string[], nowS = JOE_EXPIRES - 1) =>
  serve(
    {
      rules: [rule({ authentications: ['a'] })],
      authentications: { a: jwtAuthentication([joePlan(jwks, algorithms)]) },
    },
    pipelineDeps({ time: { nowMs: nowS * 1000 } }),
  );
const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });

/** Another signature of the same length. */
const altered = (token: string): string => {
  const at = token.length - 20;
  return `${token.slice(0, at)}${token[at] === 'A' ? 'B' : 'A'}${token.slice(at + 1)}`;
};

describe('the claim sets of the standards', () => {
  it.each(claimSets)('%s: let in until a minute after its end', async (_name, example) => {
    const { alg, jwk, token } = example;
    expect((await guarded([jwk], [alg])(bearer(token))).type).toBe('forward');
    expect((await guarded([jwk], [alg], JOE_EXPIRES + 59)(bearer(token))).type).toBe('forward');
    const late = await guarded([jwk], [alg], JOE_EXPIRES + 60)(bearer(token));
    expect(answered(late).reason).toBe('the token is expired');
  });

  it.each(claimSets)('%s: not with another signature, key or algorithm', async (_name, example) => {
    const { alg, jwk, token } = example;
    const other = await keyPair(alg);
    for (const request of [
      () => guarded([jwk], [alg])(bearer(altered(token))),
      () => guarded([other.jwk], [alg])(bearer(token)),
      () => guarded([jwk], ['EdDSA'])(bearer(token)),
    ])
      expect(answered(await request()).status).toBe(401);
  });

  it('RFC 7515 A.1 and RFC 7519 3.1, HS256: let in at its time', async () => {
    const secret = base64url.decode(
      'AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow',
    );
    const token = `eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.${JOE}.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk`;
    // Secrets are written as text in policies; this one is none, so it is put where the text would have become bytes.
    const issuer = createIssuer(joePlan([], ['HS256']));
    const keys = { find: () => [{ import: async () => secret }] };
    const withSecret = { ...issuer, keys: keys as unknown as typeof issuer.keys };
    const at = (nowS: number) => verifyToken(token, [withSecret], { nowMs: nowS * 1000 });
    expect((await at(JOE_EXPIRES - 1)).type).toBe('identity');
    expect((await at(JOE_EXPIRES + 60)).type).toBe('failure');
  });
});

describe('the other signed examples of the standards', () => {
  const verifies = async ({ alg, jwk, token }: Example): Promise<boolean> => {
    const [key] = new IssuerKeys(joePlan([jwk], [alg])).find(alg, jwk.kid);
    if (key === undefined) return false;
    return compactVerify(token, await key.import(alg), { algorithms: [alg] }).then(
      () => true,
      () => false,
    );
  };

  it.each(others)('%s: the signature holds, and no other', async (_name, example) => {
    expect(await verifies(example)).toBe(true);
    expect(await verifies({ ...example, token: altered(example.token) })).toBe(false);
  });

  it.each(others)('%s: nobody is let in on what is no claim set', async (_name, example) => {
    const { alg, jwk, token } = example;
    const outcome = answered(await guarded([jwk], [alg])(bearer(token)));
    expect(outcome).toMatchObject({ status: 401, reason: 'the token is not made of JSON objects' });
  });

  it('RFC 7520 3.5: a shared secret in a key set is no key', () => {
    expect(new IssuerKeys(joePlan([frodoSecret], ['HS256'])).find('HS256', undefined)).toEqual([]);
  });
});

describe('forms that are not accepted', () => {
  it.each([
    ['RFC 7515 A.5 and RFC 7519 6.1, unsecured', `eyJhbGciOiJub25lIn0.${JOE}.`],
    ['RFC 7520 4.5, detached', `${frodoHeader}..${frodoMac}`],
    [
      'RFC 7520 4.6, parts of the header unprotected',
      `{"payload":"${ROAD}","protected":"eyJhbGciOiJIUzI1NiJ9","header":{"kid":"018c0ae5-4d9b-471b-bfd6-eef314bc7037"},"signature":"bWUSVaxorn7bEF1djytBd0kHv70Ly5pvbomzMWSOr20"}`,
    ],
    [
      'RFC 7520 4.7, the content only protected',
      `{"payload":"${ROAD}","header":{"alg":"HS256","kid":"018c0ae5-4d9b-471b-bfd6-eef314bc7037"},"signature":"xuLifqLGiblpv9zBpuZczWhNj1gARaLV3UxvxhJxZuk"}`,
    ],
    [
      'RFC 7520 4.8, general JSON',
      `{"payload":"${ROAD}","signatures":[{"protected":"${frodoHeader}","signature":"${frodoMac}"}]}`,
    ],
    [
      'RFC 7797 4.2, payload not encoded',
      'eyJhbGciOiJIUzI1NiIsImI2NCI6ZmFsc2UsImNyaXQiOlsiYjY0Il19..A5dxf2s96_n5FLueVuW1Z_vh161FwXZC4YLPff6dmDY',
    ],
    [
      'RFC 7515 E, an extension that must be understood',
      `eyJhbGciOiJub25lIiwNCiAiY3JpdCI6WyJodHRwOi8vZXhhbXBsZS5jb20vVU5ERUZJTkVEIl0sDQogImh0dHA6Ly9leGFtcGxlLmNvbS9VTkRFRklORUQiOnRydWUNCn0.RkFJTA.`,
    ],
  ])('%s', async (_name, token) => {
    expect(readCompact(token)).toBeTypeOf('string');
    expect(answered(await guarded([bilboRsa], ['RS256'])(bearer(token))).status).toBe(401);
  });
});
