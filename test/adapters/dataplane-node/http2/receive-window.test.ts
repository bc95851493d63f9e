import fc from 'fast-check';
import { expect, it } from 'vitest';
import { ReceiveWindow } from '#adapters/dataplane-node/http2/receive-window.ts';

it('what is announced is never more than was taken, and the window is never forgotten', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 400 })), (lengths) => {
      const window = new ReceiveWindow(1000);
      let left = 1000;
      let held = 0;
      for (const length of lengths) {
        const isAllowed = length <= left;
        if (!isAllowed) return;
        expect(window.take(length)).toBe(true);
        left -= length;
        held += length;
        const increment = window.giveBack(length);
        left += increment;
        held -= increment;
        expect(held).toBeGreaterThanOrEqual(0);
        // Less than half of it is ever kept back.
        expect(left).toBeGreaterThan(500);
      }
    }),
  );
});

it('more than it is refused', () => {
  const window = new ReceiveWindow(10);
  expect(window.take(10)).toBe(true);
  expect(window.take(1)).toBe(false);
});
