// A seeded handful of what `npm run sim:canary` runs by the hundred.
import { describe, expect, it } from 'vitest';
import { type Cell, figuresOf, runCell } from './cells.ts';
import { judgeGoals } from './goals.ts';
import { isHigh } from './kayenta.ts';
import { aliasTable, createChance, seedOf } from './random.ts';
import { scenarios } from './scenarios.ts';

const figures = (scenario: string, runs: number, rest: Partial<Cell> = {}) => {
  const cell: Cell = { scenario, rate: 500, judge: 'weir', ...rest };
  return figuresOf(
    cell,
    Array.from({ length: runs }, (_, run) => runCell(cell, 20261123, run)),
  );
};

describe('a simulated canary', () => {
  it('with ten times the errors goes within seconds', () => {
    const { rolledBack, exposed, seconds } = figures('errors 0.5 -> 5 %', 8);
    expect(rolledBack).toBe(100);
    expect(exposed).toBeLessThan(320);
    expect(seconds).toBeLessThanOrEqual(7);
  });

  it('with one broken endpoint of twenty goes within seconds', () => {
    const { rolledBack, exposed } = figures('one endpoint (5 %) broken', 5);
    expect(rolledBack).toBe(100);
    expect(exposed).toBeLessThan(250);
  });

  it('that is identical is promoted within minutes', () => {
    const { promoted, seconds } = figures('identical, errors 0.5 %', 4);
    expect(promoted).toBe(100);
    expect(seconds).toBeLessThan(150);
  });

  it('that fails together with the old version is not blamed', () => {
    expect(figures('shared outage x30, 60 s', 3).rolledBack).toBe(0);
  });

  it('is judged by the rivals as their rules say', () => {
    expect(figures('errors 0.5 -> 5 %', 2, { judge: 'flagger-1m' })).toMatchObject({
      rolledBack: 100,
      seconds: 360,
    });
    expect(figures('identical, errors 0.1 %', 2, { judge: 'flagger-10s' })).toMatchObject({
      promoted: 100,
      seconds: 50,
    });
    expect(figures('p99 +30 %, all requests', 2, { judge: 'kayenta' }).rolledBack).toBe(100);
    const same = Array.from({ length: 60 }, (_, at) => at % 7);
    expect(isHigh(same, same)).toBe(false);
    expect(
      isHigh(
        same.map((value) => value + 3),
        same,
      ),
    ).toBe(true);
  });

  it('is the same canary every time', () => {
    const cell: Cell = { scenario: 'errors 0.5 -> 5 %', rate: 50, judge: 'weir' };
    expect(runCell(cell, 7, 3)).toEqual(runCell(cell, 7, 3));
    expect(seedOf(7, 'x', 1)).not.toBe(seedOf(7, 'x', 2));
  });
});

describe('the goal table', () => {
  it('covers the scenarios that are goals, at each of their rates', () => {
    const cells = scenarios
      .filter(({ isGoal }) => isGoal)
      .flatMap(({ name, rates }) =>
        rates.map((rate) => figuresOf({ scenario: name, rate, judge: 'weir' }, [])),
      );
    const goals = judgeGoals(cells);
    expect(goals).toHaveLength(63);
    expect(goals.every(({ limit }) => limit > 0)).toBe(true);
  });
});

describe('chance', () => {
  it.each([0.3, 5, 80, 4000])('has Poisson counts of mean %d with that variance', (mean) => {
    const chance = createChance(9);
    const draws = Array.from({ length: 20_000 }, () => chance.poisson(mean));
    const average = draws.reduce((sum, value) => sum + value, 0) / draws.length;
    const variance = draws.reduce((sum, value) => sum + (value - average) ** 2, 0) / draws.length;
    expect(Math.abs(average / mean - 1)).toBeLessThan(0.03);
    expect(Math.abs(variance / mean - 1)).toBeLessThan(0.06);
  });

  it('draws by weight', () => {
    const chance = createChance(10);
    const draw = aliasTable([1, 0, 3, 6]);
    const counts = [0, 0, 0, 0];
    for (let left = 20_000; left > 0; left -= 1) {
      const at = draw(chance.uniform());
      counts[at] = (counts[at] ?? 0) + 1;
    }
    expect(counts[1]).toBe(0);
    expect((counts[3] ?? 0) / 20_000).toBeCloseTo(0.6, 1);
    expect((counts[0] ?? 0) / 20_000).toBeCloseTo(0.1, 1);
  });
});
