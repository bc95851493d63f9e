import { expect, it } from 'vitest';
import { judge, observe, startAnalysis } from '#engine/analysis/analysis.ts';
import type { Sample } from '#engine/model/telemetry.ts';
import { type Chance, createChance } from '#test/sim/random.ts';
import { planOf } from '#test/sim/weir-run.ts';
import { both, service } from './samples.ts';

/** Half a minute of 20 errors per second at each version; `groupOf` says whose they are. */
const dispersionAfter = (
  groupOf: (chance: Chance) => number,
  changes: Partial<Sample> = {},
): number => {
  const chance = createChance(5);
  let state = startAnalysis(planOf({ service }), { baseline: 'v1.0', canary: 'v1.1' }, 0);
  for (let second = 0; second < 30; second += 1) {
    const errors = new Map<number, number>();
    for (let left = 40; left > 0; left -= 1) {
      const group = groupOf(chance);
      errors.set(group, (errors.get(group) ?? 0) + 1);
    }
    const arm = { requests: 200, errors: 20 };
    const sticky = [{ service, errors: [...errors].flat() }];
    state = observe(state, both(second, arm, arm, { sticky, ...changes }));
  }
  const facts = { nowMs: 30_000, weight: 50, step: 5, stepStartedMs: 0, startedMs: 0 };
  return judge(state, facts)[1].evidence.dispersion;
};

const anybody = ({ uniform }: Chance): number => Math.floor(256 * uniform());
const fewHaveMost = (chance: Chance): number =>
  chance.uniform() < 0.8 ? 7 * Math.floor(8 * chance.uniform()) : anybody(chance);

it('errors of callers who are alike count as they are', () => {
  expect(dispersionAfter(anybody)).toBe(2);
});

it('errors count for less where few callers who stay with their version have most of them', () => {
  expect(dispersionAfter(fewHaveMost)).toBe(30);
});

it('other services, and groups that there are not, say nothing', () => {
  const errors = [1, 40];
  expect(dispersionAfter(anybody, { sticky: [{ service: 'bibby/other', errors }] })).toBe(2);
  expect(dispersionAfter(anybody, { sticky: [{ service, errors: [256, 40, 9999, 40] }] })).toBe(2);
});
