// The hinge of the whole design: whatever the network does to control messages, an agent never goes back to an older
// choice, and once the network heals it has the newest. Positions and standing decisions are both needed for that.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Mechanisms, type Step, simulate } from './ring-simulation.ts';

const at = fc.nat(30);
const leader = fc.constantFrom('current' as const, 'current' as const, 'deposed' as const);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ type: fc.constant('decide' as const), at, leader }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('decideAndDie' as const), at }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('commit' as const) }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('republish' as const), leader }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('try' as const), isIn: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('revert' as const) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('retire' as const), at }) },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constant('elect' as const), publish: fc.boolean() }),
  },
  {
    weight: 14,
    arbitrary: fc.record({ type: fc.constant('deliver' as const), at, keep: fc.boolean() }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('lose' as const), at }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('restart' as const) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('reread' as const) }) },
);
const steps = fc.array(step, { minLength: 1, maxLength: 80, size: 'max' });
const seed = 20_261_123;
const both: Mechanisms = { positions: true, standing: true, fence: true };

const neverGoesBack = (mechanisms: Mechanisms) =>
  fc.property(steps, (run) => simulate(run, mechanisms).regressions === 0);
const endsAtTheNewest = (mechanisms: Mechanisms) =>
  fc.property(steps, (run) => simulate(run, mechanisms).converged);

describe('an agent', () => {
  it('never goes back to an older choice', { timeout: 30_000 }, () => {
    fc.assert(neverGoesBack(both), { seed, numRuns: 2000 });
  });

  it('ends at the newest choice once the network heals', { timeout: 30_000 }, () => {
    fc.assert(endsAtTheNewest(both), { seed, numRuns: 2000 });
  });

  it.each([
    ['positions', { ...both, positions: false }],
    ['standing decisions in snapshots', { ...both, standing: false }],
    ['the fence round the standing record', { ...both, fence: false }],
  ] as const)('goes back without %s', (_, mechanisms) => {
    const { failed, counterexample } = fc.check(neverGoesBack(mechanisms), { seed, numRuns: 2000 });
    expect(failed).toBe(true);
    expect(simulate(counterexample?.[0] ?? [], both).regressions).toBe(0);
  });
});

describe('in 500 long runs with loss, duplicates, reordering and late redelivery', () => {
  const runs = fc.sample(fc.array(step, { minLength: 80, maxLength: 160, size: 'max' }), {
    seed,
    numRuns: 500,
  });
  const wentBack = (mechanisms: Mechanisms): number =>
    runs.filter((run) => simulate(run, mechanisms).regressions > 0).length;

  it('goes back in none with both mechanisms, in most without one of them', {
    timeout: 30_000,
  }, async ({ annotate }) => {
    const figures = {
      neither: wentBack({ ...both, positions: false, standing: false }),
      positionsOnly: wentBack({ ...both, standing: false }),
      standingOnly: wentBack({ ...both, positions: false }),
      both: wentBack(both),
    };
    await annotate(JSON.stringify(figures));
    expect(figures.both).toBe(0);
    expect(figures.standingOnly).toBeGreaterThan(runs.length / 2);
    expect(figures.positionsOnly).toBeGreaterThan(runs.length / 2);
    expect(figures.neither).toBeGreaterThan(runs.length / 2);
  });
});
