// The keys of one issuer, each good for some algorithms only: the key decides, never the token.
import { base64url, type CryptoKey, importJWK, type JWK } from 'jose';
import type { IssuerPlan } from '../../model/snapshot.ts';

type VerificationKey = CryptoKey | Uint8Array;

interface IssuerKey {
  readonly kid: string | undefined;
  readonly algorithms: ReadonlySet<string>;
  readonly import: (alg: string) => Promise<VerificationKey>;
}

export class IssuerKeys {
  readonly #keys: readonly IssuerKey[];

  constructor(issuer: IssuerPlan) {
    const allowed = new Set(issuer.algorithms);
    const keys = issuer.keys.flatMap((jwk) => publicKey(jwk as JWK) ?? []);
    if (issuer.secret !== undefined) keys.push(sharedSecret(issuer.secret));
    this.#keys = keys.map((key) => ({ ...key, algorithms: key.algorithms.intersection(allowed) }));
  }

  /** Keys that may have signed this: a `kid` picks among named keys and is nothing but a name. */
  find(alg: string, kid: string | undefined): readonly IssuerKey[] {
    const able = this.#keys.filter((key) => key.algorithms.has(alg));
    if (kid === undefined) return able;
    return able.filter((key) => key.kid === kid || isSecret(alg));
  }
}

const isSecret = (alg: string): boolean => alg.startsWith('HS');

const sharedSecret = (secret: string): IssuerKey => {
  const bytes = Promise.resolve(new TextEncoder().encode(secret));
  return {
    kid: undefined,
    algorithms: new Set(['HS256', 'HS384', 'HS512']),
    import: () => bytes,
  };
};

/** Undefined for keys that prove nothing: secrets in a public set, encryption keys, toy exponents. */
const publicKey = (jwk: JWK): IssuerKey | undefined => {
  if (jwk.use !== undefined && jwk.use !== 'sig') return undefined;
  if (jwk.key_ops !== undefined && !jwk.key_ops.includes('verify')) return undefined;
  const able = algorithmsOf(jwk);
  const algorithms =
    jwk.alg === undefined
      ? able
      : able.filter((alg) => alg === jwk.alg || (alg === 'EdDSA' && jwk.alg === 'Ed25519'));
  if (algorithms.length === 0) return undefined;
  const imported = new Map<string, Promise<VerificationKey>>();
  return {
    kid: jwk.kid,
    algorithms: new Set(algorithms),
    import(alg) {
      const known = imported.get(alg);
      if (known) return known;
      const fresh = importJWK(withoutHints(jwk), alg);
      imported.set(alg, fresh);
      return fresh;
    },
  };
};

const curves: ReadonlyMap<string, string> = new Map([
  ['P-256', 'ES256'],
  ['P-384', 'ES384'],
  ['P-521', 'ES512'],
]);

const algorithmsOf = (jwk: JWK): readonly string[] => {
  if (jwk.kty === 'RSA')
    return isSoundRsa(jwk) ? ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'] : [];
  if (jwk.kty === 'EC') return [curves.get(String(jwk['crv'])) ?? []].flat();
  return jwk.kty === 'OKP' && jwk['crv'] === 'Ed25519' ? ['EdDSA'] : [];
};

const isSoundRsa = (jwk: JWK): boolean => {
  const modulus = numberBytes(jwk['n']);
  const exponent = numberBytes(jwk['e']);
  if (modulus === undefined || exponent === undefined || modulus.length < 256) return false;
  const bits = modulus.length * 8 - Math.clz32(modulus[0] ?? 0) + 24;
  // An odd number of three bytes is at least 65537.
  return bits >= 2048 && exponent.length >= 3 && (exponent.at(-1) ?? 0) % 2 === 1;
};

/** Big-endian, without leading zeros. */
const numberBytes = (text: unknown): Uint8Array | undefined => {
  if (typeof text !== 'string') return undefined;
  try {
    const bytes = base64url.decode(text);
    return bytes.subarray(bytes.findIndex((byte) => byte !== 0));
  } catch {
    return undefined;
  }
};

/** Only what makes the key; `ext`, `x5u` and the like are no business of ours. */
const withoutHints = (jwk: JWK): JWK => {
  const bare: Record<string, unknown> = {};
  for (const name of ['kty', 'crv', 'x', 'y', 'n', 'e'])
    if (Object.hasOwn(jwk, name)) bare[name] = (jwk as Record<string, unknown>)[name];
  return bare as JWK;
};
