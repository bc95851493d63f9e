// One cell: one scenario at one rate under one judge, many runs, and what they come to.
import type { BaselineState } from '#engine/analysis/analysis.ts';
import { runFlagger } from './flagger.ts';
import { runKayenta } from './kayenta.ts';
import { createChance, seedOf } from './random.ts';
import type { Run } from './run.ts';
import { type Scenario, scenarios } from './scenarios.ts';
import { learn, planOf, runWeir } from './weir-run.ts';
import type { World } from './world.ts';

export const judges = [
  'weir',
  'weir-steps',
  'flagger-1m',
  'flagger-10s',
  'flagger-tuned',
  'kayenta',
] as const;
export type Judge = (typeof judges)[number];

export interface Cell {
  readonly scenario: string;
  readonly rate: number;
  readonly judge: Judge;
}

export interface CellFigures extends Cell {
  readonly truth: 'good' | 'bad';
  readonly runs: number;
  /** Percent. */
  readonly rolledBack: number;
  readonly promoted: number;
  readonly undecided: number;
  /** Medians over the runs that ended as the most did. */
  readonly exposed: number;
  readonly failed: number;
  readonly seconds: number;
  readonly secondsP90: number;
}

/** Limits of the model service's p99 (202 ms) for the tuned Flagger. */
const flagger = {
  'flagger-1m': { intervalSeconds: 60, minSuccess: 0.99, maxP99Ms: 500 },
  'flagger-10s': { intervalSeconds: 10, minSuccess: 0.99, maxP99Ms: 500 },
  'flagger-tuned': { intervalSeconds: 60, minSuccess: 0.997, maxP99Ms: 1.2 * 202 },
} as const;

export const scenarioNamed = (name: string): Scenario => {
  const found = scenarios.find((one) => one.name === name);
  if (!found) throw new Error(`no scenario named ${name}`);
  return found;
};

/** So many rollouts in a row begin from the same past: most of the time is spent on the past. */
const runsPerPast = 4;

interface Past {
  readonly key: string;
  readonly world: World;
  readonly learnt: () => BaselineState | undefined;
}

let last: Past | undefined;

const pastOf = (scenario: string, rate: number, seed: number): Past => {
  const key = [scenario, rate, seed].join('|');
  if (last?.key === key) return last;
  const chance = createChance(seedOf(seed, scenario, rate, 'past'));
  const world = scenarioNamed(scenario).world(rate, chance);
  let learnt: { readonly state: BaselineState | undefined } | undefined;
  last = {
    key,
    world,
    learnt: () => {
      learnt ??= { state: learn(world, chance) };
      return learnt.state;
    },
  };
  return last;
};

export const runCell = ({ scenario, rate, judge }: Cell, seed: number, run: number): Run => {
  const { plan } = scenarioNamed(scenario);
  const past = seedOf(seed, scenario, Math.floor(run / runsPerPast));
  const { world, learnt } = pastOf(scenario, rate, past);
  // The judge is no part of the seed: all judges see the same chance.
  const chance = createChance(seedOf(seed, scenario, rate, run));
  switch (judge) {
    case 'weir':
      return runWeir(world, planOf(plan), learnt(), chance);
    case 'weir-steps':
      return runWeir(world, planOf({ ...plan, ramp: 'steps' }), learnt(), chance);
    case 'kayenta':
      return runKayenta(world, chance);
    case 'flagger-1m':
    case 'flagger-10s':
    case 'flagger-tuned':
      return runFlagger(world, flagger[judge], chance);
  }
};

export const figuresOf = (cell: Cell, runs: readonly Run[]): CellFigures => {
  const share = (outcome: Run['outcome']): number =>
    Number(((100 * runs.filter((run) => run.outcome === outcome).length) / runs.length).toFixed(2));
  const promoted = share('promoted');
  const rolledBack = share('rolledBack');
  const usualOutcome = rolledBack >= promoted ? 'rolledBack' : 'promoted';
  const typical = runs.filter((run) => run.outcome === usualOutcome);
  const quantile = (value: (run: Run) => number, at: number): number => {
    const sorted = typical.map(value).sort((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.floor(at * sorted.length))] ?? 0;
  };
  return {
    ...cell,
    truth: scenarioNamed(cell.scenario).truth,
    runs: runs.length,
    rolledBack,
    promoted,
    undecided: share('undecided'),
    exposed: quantile((run) => run.exposed, 0.5),
    failed: quantile((run) => run.failed, 0.5),
    seconds: quantile((run) => run.seconds, 0.5),
    secondsP90: quantile((run) => run.seconds, 0.9),
  };
};
