import { expect, it } from 'vitest';
import { Allowance } from '#adapters/dataplane-node/http2/allowance.ts';

it('so many at once, then as many as time gives back', () => {
  const allowance = new Allowance(3, 0.1);
  expect([1, 2, 3, 4].map(() => allowance.use(1000))).toEqual([true, true, true, false]);
  expect([allowance.use(1020), allowance.use(1020)]).toEqual([true, false]);
});

it('more for what makes them lawful', () => {
  const allowance = new Allowance(1, 0);
  expect(allowance.use(0)).toBe(true);
  allowance.regain(1);
  expect(allowance.use(0)).toBe(true);
});
