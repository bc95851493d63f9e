import { exportJWK, generateKeyPair } from 'jose';
import { describe, expect, it } from 'vitest';
import { admitKeys } from '#engine/compile/checks/keys.ts';

const admit = (...keys: unknown[]) => {
  const { keys: admitted, findings } = admitKeys(keys, { at: ['jwks'] });
  return { admitted: admitted.length, reasons: findings.map(({ message }) => message) };
};
const publicJwk = async (alg: string, options = {}) => {
  const { publicKey } = await generateKeyPair(alg, { extractable: true, ...options });
  return { ...(await exportJWK(publicKey)), kid: alg };
};
const base64url = (value: bigint) =>
  Buffer.from(value.toString(16).padStart(512, '0'), 'hex').toString('base64url');

describe('keys', () => {
  it('of every usual kind are let in', async () => {
    const keys = await Promise.all(['RS256', 'ES256', 'ES384', 'ES512', 'EdDSA'].map(publicJwk));
    expect(admit(...keys)).toEqual({ admitted: 5, reasons: [] });
  });

  it('that are shared secrets or private halves stay out', async () => {
    const { privateKey } = await generateKeyPair('EdDSA', { extractable: true });
    expect(admit({ kty: 'oct', k: 'AAAA' }, await exportJWK(privateKey))).toEqual({
      admitted: 0,
      reasons: [
        expect.stringContaining('key 1 of the set is a shared secret'),
        expect.stringContaining('key 2 of the set contains a private key'),
      ],
    });
  });

  it('with small or broken RSA numbers stay out', async () => {
    const { kid: _, ...good } = await publicJwk('RS256');
    // Every prime of the fingerprint divides n - 1, so n is a power of 65537 modulo each of them.
    const product = [11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157]
      .map(BigInt)
      .reduce((a, b) => a * b);
    const roca = ((1n << 2047n) / product) * product + product + 1n;
    expect(
      admit(
        { ...good, n: '3q2-7w' },
        { ...good, e: 'Aw' },
        { ...good, e: 'AQAC' },
        { ...good, n: base64url(roca % 2n === 0n ? roca + product : roca) },
        { kty: 'RSA' },
      ).reasons,
    ).toEqual([
      expect.stringContaining('32 bits'),
      expect.stringContaining('exponent 3'),
      expect.stringContaining('exponent 65538'),
      expect.stringContaining('ROCA'),
      expect.stringContaining('lacks n or e'),
    ]);
  });

  it('with a long, doubled or strange kid stay out', async () => {
    const key = await publicJwk('EdDSA');
    expect(admit(key, key, { ...key, kid: 'é'.repeat(200) }, { ...key, kid: 7 })).toEqual({
      admitted: 1,
      reasons: [
        expect.stringContaining('same kid'),
        expect.stringContaining('256 bytes'),
        expect.stringContaining('256 bytes'),
      ],
    });
  });

  it.each([null, 7, [], {}, { kty: 'EC', crv: 'P-256', x: '!', y: 'AA' }, { kty: '__proto__' }])(
    '%j is no key',
    (key) => {
      expect(admit(key).admitted).toBe(0);
    },
  );
});
