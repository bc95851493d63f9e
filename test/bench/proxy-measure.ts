// What one round of load costs a process.
import { readFileSync } from 'node:fs';
import { generate, type Load } from './proxy-load.ts';

export interface Round {
  /** User and system time per request. */
  readonly cpuUs: number;
  readonly rate: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly rssMb: number;
}

/** Clock ticks of /proc are hundredths of a second. */
const TICK_US = 10_000;

const ticksOf = (pids: readonly number[]): number =>
  pids.reduce((sum, pid) => {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return sum + Number(fields[11]) + Number(fields[12]);
  }, 0);

const familyOf = (pid: number): readonly number[] => {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  return [pid, ...children.split(' ').filter(Boolean).map(Number)];
};

const rssMbOf = (pids: readonly number[]): number =>
  pids.reduce((sum, pid) => {
    const match = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
    return sum + Number(match?.[1] ?? 0) / 1024;
  }, 0);

/** One round, with the CPU time of the process and its children. Undefined: nothing is in between, so nothing is charged. */
export const measure = (pid: number | undefined, load: Load): Round => {
  const pids = pid === undefined ? [] : familyOf(pid);
  const before = ticksOf(pids);
  const { requests, ...rest } = generate(load);
  return { ...rest, cpuUs: ((ticksOf(pids) - before) * TICK_US) / requests, rssMb: rssMbOf(pids) };
};

const median = (numbers: readonly number[]): number => {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
};

export const summary = (rounds: readonly Round[]): Round => ({
  cpuUs: median(rounds.map((round) => round.cpuUs)),
  rate: median(rounds.map((round) => round.rate)),
  p50Ms: median(rounds.map((round) => round.p50Ms)),
  p99Ms: median(rounds.map((round) => round.p99Ms)),
  rssMb: median(rounds.map((round) => round.rssMb)),
});
