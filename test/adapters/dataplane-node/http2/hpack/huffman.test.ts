import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { huffmanText } from '#adapters/dataplane-node/http2/hpack/huffman.ts';

const text = (hex: string): string | undefined => {
  const bytes = Buffer.from(hex, 'hex');
  return huffmanText(bytes, 0, bytes.length);
};

describe('Huffman code', () => {
  // RFC 7541 C.4 and C.6.
  it.each([
    ['f1e3c2e5f23a6ba0ab90f4ff', 'www.example.com'],
    ['a8eb10649cbf', 'no-cache'],
    ['25a849e95bb8e8b4bf', 'custom-value'],
    ['6402', '302'],
    ['d07abe941054d444a8200595040b8166e084a62d1bff', 'Mon, 21 Oct 2013 20:13:22 GMT'],
    [
      '94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007',
      'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1',
    ],
    ['', ''],
  ])('%s is %s', (hex, expected) => {
    expect(text(hex)).toBe(expected);
  });

  // As RFC 7541 appendix B prints them.
  it.each([
    [0, 0x1ff8, 13],
    [9, 0xffffea, 24],
    [10, 0x3ffffffc, 30],
    [34, 0x3f9, 10],
    [92, 0x7fff0, 19],
    [127, 0xffffffc, 28],
    [161, 0x1fffdd, 21],
    [239, 0x7ffff4, 23],
    [249, 0xffffffe, 28],
    [255, 0x3ffffee, 26],
  ])('has octet %i', (octet, code, length) => {
    const padded = `${code.toString(2).padStart(length, '0')}${'1'.repeat(7)}`;
    const bytes = padded.slice(0, Math.ceil(length / 8) * 8).match(/.{8}/g) ?? [];
    const hex = bytes.map((each) => parseInt(each, 2).toString(16).padStart(2, '0')).join('');
    expect(text(hex)).toBe(String.fromCharCode(octet));
  });

  it('of nonsense is refused or read, and never more than five bits make a letter', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        const read = huffmanText(Buffer.from(bytes), 0, bytes.length);
        expect((read ?? '').length).toBeLessThanOrEqual((bytes.length * 8) / 5);
      }),
    );
  });
});
