// `npm run sim:canary`: rollouts of good and bad versions through the real analysis and the real machine, beside the rules
// of Flagger and Kayenta. The last line is JSON with every cell; exit code 1 if a goal is missed.
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { type Cell, type CellFigures, figuresOf, type Judge, judges } from './cells.ts';
import { type Goal, judgeGoals } from './goals.ts';
import type { Run } from './run.ts';
import { type Scenario, scenarios } from './scenarios.ts';
import type { Task } from './worker.ts';

const usage = `npm run sim:canary -- [options]
  --runs N        runs per cell of the goal table (default 200); scenarios beside it have a fifth, the other judges
                  a tenth, at least 20 each
  --seed N        default 20261123
  --only TEXT     only scenarios whose name contains the text
  --rate N        only this many requests per second (50, 500 or 5000)
  --judge NAME    only this judge: ${judges.join(', ')}
`;

const { values: options } = parseArgs({
  options: {
    runs: { type: 'string', default: '200' },
    seed: { type: 'string', default: '20261123' },
    only: { type: 'string', default: '' },
    rate: { type: 'string' },
    judge: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

const print = (line: string): void => void process.stdout.write(`${line}\n`);

const judgesOf = ({ hasRivals, truth }: Scenario, rate: number): readonly Judge[] => {
  if (options.judge) return judges.filter((judge) => judge === options.judge);
  if (!hasRivals) return ['weir'];
  // Fixed steps differ from automatic ones where traffic is heavy, and in exposure only.
  const hasSteps = truth === 'bad' && rate > 50;
  return hasSteps ? judges : judges.filter((judge) => judge !== 'weir-steps');
};

const cells: readonly Cell[] = scenarios
  .filter(({ name }) => name.includes(options.only))
  .flatMap((scenario) =>
    scenario.rates
      .filter((rate) => !options.rate || Number(options.rate) === rate)
      .flatMap((rate) =>
        judgesOf(scenario, rate).map((judge) => ({ scenario: scenario.name, rate, judge })),
      ),
  );

const runsOf = ({ scenario, judge }: Cell): number => {
  const runs = Number(options.runs);
  const isGoal = scenarios.find(({ name }) => name === scenario)?.isGoal === true;
  const share = judge === 'weir' ? (isGoal ? 1 : 5) : 10;
  return Math.max(Math.min(20, runs), Math.round(runs / share));
};

/** Whole pasts (see cells.ts), so that each is worked out once. */
const chunk = 20;

/** All cells over all cores; results come back by cell. */
const runAll = async (): Promise<ReadonlyMap<Cell, readonly Run[]>> => {
  const tasks: Task[] = cells.flatMap((cell) =>
    Array.from({ length: Math.ceil(runsOf(cell) / chunk) }, (_, at) => ({
      cell,
      seed: Number(options.seed),
      from: at * chunk,
      to: Math.min(runsOf(cell), (at + 1) * chunk),
    })),
  );
  const all = tasks.length;
  const results = new Map<Cell, Run[]>(cells.map((cell) => [cell, []]));
  const work = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const worker = new Worker(new URL('./worker.ts', import.meta.url));
      let task: Task | undefined;
      const next = (): void => {
        task = tasks.shift();
        if (task) worker.postMessage(task);
        else void worker.terminate();
      };
      worker.on('message', (runs: readonly Run[]) => {
        if (task) results.get(task.cell)?.push(...runs);
        if (process.stderr.isTTY) process.stderr.write(`\r${all - tasks.length} of ${all} `);
        next();
      });
      worker.on('error', reject);
      worker.on('exit', () => resolve());
      next();
    });
  await Promise.all(Array.from({ length: availableParallelism() }, work));
  return results;
};

const table = (figures: readonly CellFigures[]): void => {
  for (const { name, truth, rates } of scenarios)
    for (const rate of rates) {
      const row = figures.filter((cell) => cell.scenario === name && cell.rate === rate);
      if (row.length === 0) continue;
      print(`\n${name} at ${rate} requests/s (${truth} version)`);
      for (const cell of row)
        print(
          `  ${cell.judge.padEnd(14)} rolled back ${percent(cell.rolledBack)}  promoted ${percent(cell.promoted)}  undecided ${percent(cell.undecided)}` +
            `  exposed ${String(cell.exposed).padStart(7)}  failed ${String(cell.failed).padStart(6)}  seconds ${String(cell.seconds).padStart(5)} (p90 ${cell.secondsP90})  runs ${cell.runs}`,
        );
    }
};

const percent = (value: number): string => `${value.toFixed(1).padStart(5)} %`;

const goalTable = (goals: readonly Goal[]): void => {
  print('\nGoals');
  for (const { what, rate, limit, value, met } of goals)
    print(
      `  ${met ? 'met   ' : 'MISSED'} ${what} at ${rate} requests/s: ${value} (limit ${limit})`,
    );
};

const main = async (): Promise<void> => {
  if (options.help) return print(usage);
  print(`seed ${options.seed}, ${cells.length} cells`);
  const began = process.hrtime.bigint();
  const results = await runAll();
  const figures = cells.map((cell) => figuresOf(cell, results.get(cell) ?? []));
  table(figures);
  const goals = judgeGoals(figures);
  goalTable(goals);
  const met = goals.every((goal) => goal.met);
  const seconds = Math.round(Number(process.hrtime.bigint() - began) / 1e9);
  print(`\n${met ? 'all goals met' : 'some goals missed'} in ${seconds} s`);
  print(
    JSON.stringify({
      sim: 'canary',
      seed: Number(options.seed),
      runs: Number(options.runs),
      met,
      goals,
      cells: figures,
    }),
  );
  if (!met) process.exitCode = 1;
};

await main();
