// Runs chunks of cells for canary.ts.
import { parentPort } from 'node:worker_threads';
import { type Cell, runCell } from './cells.ts';

export interface Task {
  readonly cell: Cell;
  readonly seed: number;
  readonly from: number;
  readonly to: number;
}

parentPort?.on('message', ({ cell, seed, from, to }: Task) => {
  const runs = Array.from({ length: to - from }, (_, at) => runCell(cell, seed, from + at));
  parentPort?.postMessage(runs);
});
