import { describe, expect, it } from 'vitest';
import { HpackDecoder } from '#adapters/dataplane-node/http2/hpack/decoder.ts';

const LIMITS = { maxFields: 128, maxBytes: 65_535 };

const reader = (limits = LIMITS) => {
  const decoder = new HpackDecoder(limits);
  return (hex: string) => {
    const bytes = Buffer.from(hex.replace(/\s/g, ''), 'hex');
    const list: string[] = [];
    const reading = decoder.read(bytes, 0, bytes.length, list);
    return { reading, list };
  };
};

/** One literal field, put into the table. */
const inserted = (name: string, value: string): string => {
  const text = (each: string) => {
    if (each.length > 126) throw new Error('too long for one byte');
    return `${each.length.toString(16).padStart(2, '0')}${Buffer.from(each).toString('hex')}`;
  };
  return `40${text(name)}${text(value)}`;
};

describe('a field block', () => {
  it('is read as in RFC 7541 C.3, without Huffman code, the table carried on', () => {
    const read = reader();
    expect(read('8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d').list).toEqual(
      [':method', 'GET', ':scheme', 'http', ':path', '/'].concat([':authority', 'www.example.com']),
    );
    expect(read('8286 84be 5808 6e6f 2d63 6163 6865').list.slice(6)).toEqual(
      [':authority', 'www.example.com'].concat(['cache-control', 'no-cache']),
    );
    expect(
      read('8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65').list,
    ).toEqual(
      [':method', 'GET', ':scheme', 'https', ':path', '/index.html'].concat(
        [':authority', 'www.example.com'],
        ['custom-key', 'custom-value'],
      ),
    );
  });

  it('is read as in RFC 7541 C.4, with Huffman code', () => {
    const read = reader();
    expect(read('8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff').list.at(-1)).toBe('www.example.com');
    expect(read('8286 84be 5886 a8eb 1064 9cbf').list.at(-1)).toBe('no-cache');
    expect(
      read('8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf').list.slice(-2),
    ).toEqual(['custom-key', 'custom-value']);
  });

  it('is read as in RFC 7541 C.6, entries leaving a table that has become small', () => {
    const read = reader();
    const first = read(
      `3fe1 01 4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6
       2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3`,
    );
    expect(first.list).toEqual(
      [':status', '302', 'cache-control', 'private'].concat(
        ['date', 'Mon, 21 Oct 2013 20:13:21 GMT'],
        ['location', 'https://www.example.com'],
      ),
    );
    // `:status 302` goes, and comes back as 307 at the head.
    expect(read('4883 640e ffc1 c0bf').list.slice(0, 2)).toEqual([':status', '307']);
    expect(read('be').list).toEqual([':status', '307']);
  });

  it('loses nothing to a table that shrinks to nothing and grows again', () => {
    const read = reader();
    expect(read(inserted('a', '1')).list).toEqual(['a', '1']);
    expect(read('be').list).toEqual(['a', '1']);
    expect(read('20').reading).toBe('whole');
    expect(read('be').reading).toBe('broken');
    const again = reader();
    expect(again(`203fe11f${inserted('b', '2')}be`).list).toEqual(['b', '2', 'b', '2']);
  });

  it('keeps the newest entries of many', () => {
    const read = reader();
    for (let i = 0; i < 1000; i++) read(inserted('name', String(i)));
    expect(read('be').list).toEqual(['name', '999']);
    // 4096 bytes hold 105 entries of 39 bytes: the last has index 166.
    expect(read('ff27').list).toEqual(['name', '895']);
    expect(read('ff28').reading).toBe('broken');
  });

  it.each([
    ['index 0', '80'],
    ['an index beyond the table', 'be'],
    ['an integer that never ends', 'ff80808080808080808080'],
    ['an integer that is cut off', 'ff80'],
    ['an integer beyond all reason', `ff${'ff'.repeat(9)}7f`],
    ['a text that is longer than the block', '400a61'],
    ['a text that is missing', '4001'],
    ['a table larger than allowed', '3fe21f'],
    ['another size of the table after a field', '8220'],
    ['Huffman code with more than 7 bits of padding', '408288ffff0161'],
    ['Huffman code padded with zeros', '40811801 61'],
    ['the end of a string in Huffman code', '4084ffffffff0161'],
  ])('with %s cannot be read', (_, hex) => {
    expect(reader()(hex).reading).toBe('broken');
  });

  it('of too many fields is read to its end, and its entries are kept', () => {
    const read = reader({ maxFields: 2, maxBytes: 65_535 });
    const { reading, list } = read(`82 84 86 ${inserted('a', '1')}`);
    expect(reading).toBe('too-large');
    expect(list.length).toBe(4);
    expect(read('be')).toEqual({ reading: 'whole', list: ['a', '1'] });
  });

  it('that says more than it sends is not written out', () => {
    const read = reader({ maxFields: 128, maxBytes: 1000 });
    read(inserted('x-bomb', 'b'.repeat(120)));
    const { reading, list } = read('be'.repeat(100));
    expect(reading).toBe('too-large');
    expect(list.length).toBeLessThan(20);
  });
});
