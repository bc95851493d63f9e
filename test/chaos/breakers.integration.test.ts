// The short form of `npm run chaos:control`: each way of losing the leader once, in a state of a breaker.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { play } from './breaker-rounds.ts';
import { BreakerWorld } from './breaker-world.ts';

let world: BreakerWorld;
let rounds = 0;
beforeAll(async () => {
  world = await BreakerWorld.start();
}, 60_000);
afterAll(() => world.close(), 60_000);

it.each([
  { state: 'open', harm: 'kill' },
  { state: 'halfOpen', harm: 'freeze' },
  { state: 'evidence', harm: 'cut' },
] as const)('a breaker goes on where it was: $state, $harm', { timeout: 150_000 }, async (one) => {
  rounds += 1;
  const { takeoverMs } = await play(world, rounds, one);
  process.stdout.write(`${one.state}, ${one.harm}: takeover ${Math.round(takeoverMs)} ms\n`);
  expect(world.seen.requests).toBeGreaterThan(0);
});
