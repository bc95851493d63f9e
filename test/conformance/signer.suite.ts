// What every Signer and Verifier pair keeps to.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Signer, Verifier } from '#engine/ports/signer.ts';

export interface SignerWorld {
  readonly signer: Signer;
  /** Trusts `signer` only. */
  readonly verifier: Verifier;
  /** Another key, which `verifier` does not know. */
  readonly stranger: Signer;
}

const text = (value: string) => new TextEncoder().encode(value);

export const signerSuite = (name: string, create: () => Promise<SignerWorld>): void => {
  describe(`signer: ${name}`, () => {
    it('opens what it sealed, to the byte', async () => {
      const { signer, verifier } = await create();
      await fc.assert(
        fc.asyncProperty(fc.uint8Array({ maxLength: 2000 }), async (payload) => {
          expect(new Uint8Array(await verifier.open(await signer.seal(payload)))).toEqual(payload);
        }),
        { numRuns: 100 },
      );
    });

    it('opens a large payload and keeps its seal small where it can', async () => {
      const { signer, verifier } = await create();
      const payload = text('weir '.repeat(1_000_000));
      const sealed = await signer.seal(payload);
      expect(sealed.byteLength).toBeLessThan(payload.byteLength / 10);
      expect(Buffer.from(await verifier.open(sealed)).equals(payload)).toBe(true);
    });

    it('refuses a seal of which any one byte was changed', async () => {
      const { signer, verifier } = await create();
      const sealed = await signer.seal(text('{"weights":{"v1.0":9000,"v1.1":1000}}'));
      const codes = new Set<string>();
      for (let index = 0; index < sealed.length; index += 1)
        for (const flip of [1, 2, 128]) {
          const forged = sealed.slice();
          forged[index] = (forged[index] ?? 0) ^ flip;
          codes.add(
            await verifier.open(forged).then(
              () => `opened with byte ${index} changed`,
              (error) => error.code,
            ),
          );
        }
      expect([...codes].toSorted()).toEqual([
        'ERR_MESSAGE_MALFORMED',
        'ERR_SIGNATURE_INVALID',
        'ERR_SIGNATURE_KEY_UNKNOWN',
      ]);
    });

    it('refuses a seal that was cut short or made longer', async () => {
      const { signer, verifier } = await create();
      const sealed = await signer.seal(text('payload'));
      for (let length = 0; length < sealed.length; length += 1)
        await expect(verifier.open(sealed.slice(0, length))).rejects.toMatchObject({
          name: 'EngineError',
        });
      await expect(verifier.open(new Uint8Array([...sealed, 65]))).rejects.toMatchObject({
        name: 'EngineError',
      });
    });

    it('refuses the seal of a key it does not trust', async () => {
      const { stranger, verifier } = await create();
      await expect(verifier.open(await stranger.seal(text('x')))).rejects.toMatchObject({
        code: 'ERR_SIGNATURE_KEY_UNKNOWN',
      });
    });

    it('never opens random bytes and never throws anything but an EngineError', async () => {
      const { verifier } = await create();
      await fc.assert(
        fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (bytes) => {
          await expect(verifier.open(bytes)).rejects.toMatchObject({ name: 'EngineError' });
        }),
        { numRuns: 300 },
      );
    });
  });
};
