// Keys and tokens made for a test, right ones and wrong ones.
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose';
import type { AuthenticationPlan, IssuerPlan } from '#engine/model/snapshot.ts';

export const ISSUER = 'https://id.bibby.com';
/** The standstill of `pipelineDeps`, in seconds. */
export const NOW_S = 1_800_000_000;

export interface KeyPair {
  readonly alg: string;
  readonly kid: string;
  readonly privateKey: CryptoKey;
  readonly publicKey: CryptoKey;
  readonly jwk: JWK;
}

export const keyPair = async (alg = 'ES256', kid = `${alg}-1`): Promise<KeyPair> => {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  return { alg, kid, privateKey, publicKey, jwk: { ...(await exportJWK(publicKey)), kid, alg } };
};

/** A token that holds for an hour, unless the claims say otherwise; `undefined` takes a claim away. */
export const sign = async (
  key: Pick<KeyPair, 'alg' | 'kid' | 'privateKey'>,
  claims: Readonly<Record<string, unknown>> = {},
  header: Readonly<Record<string, unknown>> = {},
): Promise<string> =>
  new SignJWT({
    iss: ISSUER,
    sub: 'alice',
    aud: 'bibby',
    roles: ['reader'],
    iat: NOW_S,
    exp: NOW_S + 3600,
    ...claims,
  })
    .setProtectedHeader({ alg: key.alg, kid: key.kid, ...header })
    .sign(key.privateKey);

export const encodePart = (value: unknown): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

export const issuerPlan = (keys: readonly JWK[], facts: Partial<IssuerPlan> = {}): IssuerPlan => ({
  issuer: ISSUER,
  audiences: ['bibby'],
  requireAudience: true,
  algorithms: ['RS256', 'PS256', 'ES256', 'EdDSA'],
  keys: keys as readonly Record<string, unknown>[],
  clockSkewMs: 60_000,
  claimsToHeaders: [
    ['sub', 'X-User-ID'],
    ['roles', 'X-User-Roles'],
  ],
  from: { header: 'Authorization' },
  forwardToken: true,
  ...facts,
});

export const jwtAuthentication = (
  issuers: readonly IssuerPlan[],
  facts: Partial<AuthenticationPlan> = {},
): AuthenticationPlan => ({
  origin: { resource: 'Authentication/bibby/readers' },
  mode: 'required',
  methods: [{ type: 'jwt', issuers }],
  ...facts,
});
