import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HpackDecoder } from '#adapters/dataplane-node/http2/hpack/decoder.ts';
import { fieldBlock, NO_TABLE, statusBlock } from '#adapters/dataplane-node/http2/hpack/encoder.ts';

const read = (block: string): readonly string[] => {
  const list: string[] = [];
  const bytes = Buffer.from(block, 'latin1');
  const decoder = new HpackDecoder({ maxFields: 1000, maxBytes: 10_000_000 });
  expect(decoder.read(bytes, 0, bytes.length, list)).toBe('whole');
  return list;
};

const latin1 = fc.string({
  unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)),
});

describe('a field', () => {
  it('is read as it was written', () => {
    const name = fc.oneof(
      fc.constantFrom('content-type', 'via', 'accept-charset', ':path', 'set-cookie'),
      fc.stringMatching(/^[a-z][a-z0-9-]*$/),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(name, latin1)), (fields) => {
        const block = fields.map(([each, value]) => fieldBlock(each, value)).join('');
        expect(read(block)).toEqual(fields.flat());
      }),
    );
  });

  it('may be of any length', () => {
    for (const length of [126, 127, 128, 254, 255, 256, 16_383, 100_000]) {
      const value = 'v'.repeat(length);
      expect(read(fieldBlock('x', value))).toEqual(['x', value]);
    }
  });

  it('with a name from the static table does not spell it', () => {
    expect(fieldBlock('content-type', 'a').length).toBe(4);
  });
});

describe('a status', () => {
  it.each(['200', '204', '304', '404', '500', '103', '201', '503'])(
    '%s is read as such',
    (status) => {
      expect(read(NO_TABLE + statusBlock(status))).toEqual([':status', status]);
    },
  );
});
