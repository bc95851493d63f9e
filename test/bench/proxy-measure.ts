// What one round of load costs a process.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

export interface Round {
  /** User and system time per request. */
  readonly cpuUs: number;
  readonly rate: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly rssMb: number;
}

export interface Load {
  readonly core: string;
  readonly url: string;
  readonly connections: string;
  readonly seconds: string;
  /** Lua file for wrk. */
  readonly script: string | undefined;
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

const toMs = (text: string): number => {
  const match = /^([0-9.]+)(us|ms|s|m)$/.exec(text);
  const scale: Readonly<Record<string, number>> = { us: 0.001, ms: 1, s: 1000, m: 60_000 };
  return Number(match?.[1]) * (scale[match?.[2] ?? ''] ?? Number.NaN);
};

/** Throws when an answer was not a success. */
export const generate = ({ core, url, connections, seconds, script }: Load) => {
  const args = ['-c', core, 'wrk', '-t1', `-c${connections}`, `-d${seconds}s`, '--latency'];
  if (script) args.push('-s', script);
  const text = execFileSync('taskset', [...args, url], { encoding: 'utf8' });
  const failures = /Non-2xx or 3xx responses: (\d+)|Socket errors: (.*)/.exec(text);
  if (failures) throw new Error(`the load generator saw failures: ${failures[0]}`);
  return {
    requests: Number(/(\d+) requests in/.exec(text)?.[1]),
    rate: Number(/Requests\/sec:\s+([0-9.]+)/.exec(text)?.[1]),
    p50Ms: toMs(/50%\s+(\S+)/.exec(text)?.[1] ?? ''),
    p99Ms: toMs(/99%\s+(\S+)/.exec(text)?.[1] ?? ''),
  };
};

/** One round, with the CPU time of the process and its children. */
export const measure = (pid: number, load: Load): Round => {
  const pids = familyOf(pid);
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
