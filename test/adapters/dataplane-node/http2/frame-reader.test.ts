import fc from 'fast-check';
import { expect, it } from 'vitest';
import { FrameReader } from '#adapters/dataplane-node/http2/frame-reader.ts';
import { frame } from './frames.ts';

const reader = () => {
  const seen: string[] = [];
  let oversized = 0;
  const frames = new FrameReader({
    onFrame: ({ type, flags, stream, bytes, start, end }) => {
      seen.push(`${type} ${flags} ${stream} ${bytes.toString('latin1', start, end)}`);
      return type !== 7;
    },
    onOversizedFrame: () => oversized++,
  });
  return { frames, seen, oversized: () => oversized };
};

it('frames are the same however they are cut', () => {
  const frameOf = fc.tuple(
    fc.constantFrom(0, 1, 6, 200),
    fc.nat(255),
    fc.nat(2 ** 31 - 1),
    fc.string({ unit: 'grapheme-ascii' }),
  );
  fc.assert(
    fc.property(fc.array(frameOf), fc.array(fc.integer({ min: 1, max: 30 })), (list, cuts) => {
      const { frames, seen } = reader();
      const bytes = Buffer.concat(list.map((each) => frame(...each)));
      let at = 0;
      for (const cut of [...cuts, bytes.length]) {
        const end = Math.min(bytes.length, at + cut);
        if (end > at) frames.read(bytes, at, end);
        at = end;
      }
      expect(seen).toEqual(list.map((each) => each.join(' ')));
    }),
  );
});

it('a frame larger than was offered is told of before it has come', () => {
  const { frames, seen, oversized } = reader();
  const head = frame(0, 0, 1, 'x'.repeat(16_385)).subarray(0, 9);
  frames.read(head, 0, head.length);
  expect([seen.length, oversized()]).toEqual([0, 1]);
});

it('nothing is read after the end', () => {
  const { frames, seen } = reader();
  const bytes = Buffer.concat([frame(7, 0, 0, ''), frame(0, 0, 1, '')]);
  frames.read(bytes, 0, bytes.length);
  expect(seen).toEqual(['7 0 0 ']);
});
