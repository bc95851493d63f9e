// Which public keys are let in. What a key set holds decides who can forge a caller, so weak keys stay out.
import type { Path } from '../documents/path.ts';
import type { Finding } from '../findings.ts';

export type Jwk = Readonly<Record<string, unknown>>;

const MIN_RSA_BITS = 2048;
const MIN_EXPONENT = 65_537;
const MAX_KID = 256;
const curves: Readonly<Record<string, readonly string[]>> = {
  EC: ['P-256', 'P-384', 'P-521'],
  OKP: ['Ed25519'],
};
const privateMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'];
const HMAC = /^HS/;

export const admitKeys = (
  keys: readonly unknown[],
  options: { readonly at: Path },
): { readonly keys: readonly Jwk[]; readonly findings: readonly Finding[] } => {
  const findings: Finding[] = [];
  const kids = new Set<unknown>();
  const admitted: Jwk[] = [];
  for (const [index, key] of keys.entries()) {
    const reason = objection(key, kids);
    if (reason === undefined) {
      admitted.push(key as Jwk);
      continue;
    }
    findings.push({
      code: 'ERR_POLICY_KEY_WEAK',
      path: options.at,
      message: `key ${index + 1} of the set ${reason}`,
      hint: 'Use public RSA keys of at least 2048 bits, EC keys on P-256, P-384 or P-521, or Ed25519.',
    });
  }
  return { keys: admitted, findings };
};

const objection = (key: unknown, kids: Set<unknown>): string | undefined => {
  if (typeof key !== 'object' || key === null || Array.isArray(key)) return 'is not an object';
  const jwk = key as Jwk;
  if (jwk['kty'] === 'oct') return 'is a shared secret (oct), which a key set must not hold';
  if (privateMembers.some((name) => Object.hasOwn(jwk, name))) return 'contains a private key';
  if (typeof jwk['alg'] === 'string' && HMAC.test(jwk['alg']))
    return `names the shared-secret algorithm ${jwk['alg']}`;
  return kidObjection(jwk['kid'], kids) ?? materialObjection(jwk);
};

const kidObjection = (kid: unknown, kids: Set<unknown>): string | undefined => {
  if (kid === undefined) return undefined;
  if (typeof kid !== 'string' || new TextEncoder().encode(kid).length > MAX_KID)
    return `has a kid that is no text of at most ${MAX_KID} bytes`;
  if (kids.has(kid)) return `has the same kid ${JSON.stringify(kid)} as another one`;
  kids.add(kid);
  return undefined;
};

const materialObjection = (jwk: Jwk): string | undefined => {
  const { kty, crv } = jwk;
  if (kty === 'RSA') return rsaObjection(jwk);
  const known = kty === 'EC' || kty === 'OKP' ? curves[kty] : undefined;
  if (!known) return `has the unknown type ${JSON.stringify(kty)}`;
  if (typeof crv !== 'string' || !known.includes(crv))
    return `is on the unknown curve ${JSON.stringify(crv)}`;
  const coordinates = kty === 'EC' ? ['x', 'y'] : ['x'];
  return coordinates.every((name) => bytesOf(jwk[name]) !== undefined)
    ? undefined
    : `lacks ${coordinates.join(' or ')}`;
};

const rsaObjection = (jwk: Jwk): string | undefined => {
  const modulus = numberOf(jwk['n']);
  const exponent = numberOf(jwk['e']);
  if (modulus === undefined || exponent === undefined) return 'lacks n or e';
  const bits = modulus.toString(2).length;
  if (bits < MIN_RSA_BITS) return `has ${bits} bits, fewer than ${MIN_RSA_BITS}`;
  if (modulus % 2n === 0n) return 'has an even modulus';
  if (exponent < MIN_EXPONENT || exponent % 2n === 0n)
    return `has the exponent ${exponent}, which is even or below ${MIN_EXPONENT}`;
  return hasRocaFingerprint(modulus) ? 'was made by a broken generator (ROCA)' : undefined;
};

/** Primes of CVE-2017-15361 are powers of 65537 modulo every small prime, and so is their product. */
const rocaPrimes = [
  11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157,
] as const;
const rocaResidues = new Map(
  rocaPrimes.map((prime) => {
    const residues = new Set<number>();
    for (let power = 1; !residues.has(power); power = (power * MIN_EXPONENT) % prime)
      residues.add(power);
    return [prime, residues];
  }),
);
const hasRocaFingerprint = (modulus: bigint): boolean =>
  [...rocaResidues].every(([prime, residues]) => residues.has(Number(modulus % BigInt(prime))));

const bytesOf = (text: unknown): Uint8Array | undefined => {
  if (typeof text !== 'string' || !/^[A-Za-z0-9_-]+$/.test(text)) return undefined;
  try {
    return Uint8Array.fromBase64(text, { alphabet: 'base64url' });
  } catch {
    return undefined;
  }
};

const numberOf = (text: unknown): bigint | undefined => {
  const bytes = bytesOf(text);
  return bytes && BigInt(`0x${bytes.toHex()}`);
};
