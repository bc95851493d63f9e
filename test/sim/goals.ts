// The goal table: what the simulation must show.
import type { CellFigures } from './cells.ts';

export interface Goal {
  readonly what: string;
  readonly rate: number;
  readonly limit: number;
  readonly value: number;
  readonly met: boolean;
}

type Row = readonly [
  scenarios: readonly string[],
  what: string,
  value: (cell: CellFigures) => number,
  limits: readonly [number, number, number],
];

const good = [
  'identical, errors 0.1 %',
  'identical, errors 0.5 %',
  'shared outage x30, 60 s',
  'clustered errors, mean 5',
];
const bad = [
  'errors 0.1 -> 0.5 %',
  'errors 0.5 -> 5 %',
  'one endpoint (5 %) broken',
  'p99 +30 %, tail only',
  'p99 +30 %, all requests',
];
const identical = good.slice(0, 2);

const rows: readonly Row[] = [
  [good, 'falsely rolled back, %', (cell) => cell.rolledBack, [1, 1, 1]],
  [bad, 'bad version promoted, %', (cell) => cell.promoted, [1.5, 1.5, 1.5]],
  [['errors 0.5 -> 5 %'], 'exposed requests', (cell) => cell.exposed, [250, 320, 320]],
  [['errors 0.5 -> 5 %'], 'seconds', (cell) => cell.seconds, [50, 7, 7]],
  [['one endpoint (5 %) broken'], 'exposed requests', (cell) => cell.exposed, [130, 200, 180]],
  [['one endpoint (5 %) broken'], 'seconds', (cell) => cell.seconds, [25, 4, 4]],
  [['errors 0.1 -> 0.5 %'], 'exposed requests', (cell) => cell.exposed, [4000, 4000, 3800]],
  [['errors 0.1 -> 0.5 %'], 'seconds', (cell) => cell.seconds, [700, 75, 60]],
  [['p99 +30 %, tail only'], 'exposed requests', (cell) => cell.exposed, [3000, 3000, 2500]],
  [['p99 +30 %, all requests'], 'exposed requests', (cell) => cell.exposed, [650, 850, 750]],
  [identical, 'seconds to promotion, median', (cell) => cell.seconds, [480, 80, 90]],
  [identical, 'seconds to promotion, p90', (cell) => cell.secondsP90, [1100, 140, 140]],
];
const rates = [50, 500, 5000];

export const judgeGoals = (cells: readonly CellFigures[]): readonly Goal[] =>
  rows.flatMap(([scenarios, what, value, limits]) =>
    cells
      .filter((cell) => cell.judge === 'weir' && scenarios.includes(cell.scenario))
      .map((cell) => {
        const limit = limits[rates.indexOf(cell.rate)] ?? Number.NaN;
        return {
          what: `${cell.scenario}: ${what}`,
          rate: cell.rate,
          limit,
          value: value(cell),
          met: value(cell) <= limit,
        };
      }),
  );
