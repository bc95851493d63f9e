import { describe, expect, it } from 'vitest';
import { keptBytes, sharedBuffer } from '#adapters/dataplane-node/shared-buffer.ts';

describe('bytes that are kept', () => {
  it('outlive the next read', () => {
    sharedBuffer.write('first');
    const kept = keptBytes(sharedBuffer, 1, 4);
    sharedBuffer.write('other');
    expect(kept.toString()).toBe('irs');
  });

  it('are not copied where nobody writes over them', () => {
    const own = Buffer.from('first');
    expect(keptBytes(own, 0, 5)).toBe(own);
    expect(keptBytes(own, 1, 4).toString()).toBe('irs');
    expect(keptBytes(own, 1, 4).buffer).toBe(own.buffer);
  });
});
