// CPU per request of this proxy, nginx and HAProxy: same work, same machine, interleaved rounds. Each proxy has one core to itself,
// backend and load generator have the other. The last line is JSON.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import * as configs from './proxy-configs.ts';
import { freePorts, waitForPort } from './proxy-ports.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '4' },
    connections: { type: 'string', default: '64' },
    only: { type: 'string' },
  },
});

/** Clock ticks of /proc are hundredths of a second. */
const TICK_US = 10_000;
const PROXY_CORE = '0';
const LOAD_CORE = '1';

interface Contender {
  readonly name: string;
  readonly port: number;
  readonly process: ChildProcess;
}

interface Round {
  readonly cpuUs: number;
  readonly rate: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly rssMb: number;
}

const has = (command: string): boolean => {
  try {
    execFileSync('sh', ['-c', `command -v ${command}`], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
};

const install: Readonly<Record<string, string>> = {
  wrk: 'apt-get install wrk',
  nginx: 'apt-get install nginx',
  haproxy: 'apt-get install haproxy',
  taskset: 'apt-get install util-linux',
};

const folder = mkdtempSync(join(tmpdir(), 'weir-bench-'));
const started: ChildProcess[] = [];

const start = (core: string, command: string, ...args: string[]): ChildProcess => {
  const child = spawn('taskset', ['-c', core, command, ...args], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: {
      ...process.env,
      PATH: `${process.env['PATH']}:/usr/sbin`,
      // As every process of Weir runs: the TypeScript is stripped once.
      NODE_COMPILE_CACHE: join(import.meta.dirname, '../../node_modules/.cache/weir'),
    },
  });
  started.push(child);
  return child;
};

const file = (name: string, text: string): string => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};

/** User and system time of the process and the children it forked, in clock ticks. */
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
  const match = /^([0-9.]+)(us|ms|s)$/.exec(text);
  const scale: Readonly<Record<string, number>> = { us: 0.001, ms: 1, s: 1000 };
  return Number(match?.[1]) * (scale[match?.[2] ?? ''] ?? Number.NaN);
};

const wrk = (
  port: number,
  script: string | undefined,
  seconds: string,
): Omit<Round, 'cpuUs' | 'rssMb'> & { requests: number } => {
  const args = [
    '-c',
    LOAD_CORE,
    'wrk',
    '-t1',
    `-c${values.connections}`,
    `-d${seconds}s`,
    '--latency',
  ];
  if (script) args.push('-s', script);
  const text = execFileSync('taskset', [...args, `http://127.0.0.1:${port}/catalog/books/1`], {
    encoding: 'utf8',
  });
  const failures = /Non-2xx or 3xx responses: (\d+)|Socket errors: (.*)/.exec(text);
  if (failures) throw new Error(`the load generator saw failures: ${failures[0]}`);
  return {
    requests: Number(/(\d+) requests in/.exec(text)?.[1]),
    rate: Number(/Requests\/sec:\s+([0-9.]+)/.exec(text)?.[1]),
    p50Ms: toMs(/50%\s+(\S+)/.exec(text)?.[1] ?? ''),
    p99Ms: toMs(/99%\s+(\S+)/.exec(text)?.[1] ?? ''),
  };
};

const measure = (contender: Contender, script: string | undefined): Round => {
  const pids = familyOf(contender.process.pid ?? 0);
  const before = ticksOf(pids);
  const { requests, ...rest } = wrk(contender.port, script, values.seconds);
  const cpuUs = ((ticksOf(pids) - before) * TICK_US) / requests;
  return { ...rest, cpuUs, rssMb: rssMbOf(pids) };
};

const median = (numbers: readonly number[]): number => {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
};

const summary = (rounds: readonly Round[]): Round => ({
  cpuUs: median(rounds.map((round) => round.cpuUs)),
  rate: median(rounds.map((round) => round.rate)),
  p50Ms: median(rounds.map((round) => round.p50Ms)),
  p99Ms: median(rounds.map((round) => round.p99Ms)),
  rssMb: median(rounds.map((round) => round.rssMb)),
});

const contendersFor = async (backend: number, routes: string): Promise<Contender[]> => {
  const [weir = 0, nginx = 0, haproxy = 0] = await freePorts(3);
  const plane = join(import.meta.dirname, 'proxy-plane.ts');
  const list: Contender[] = [];
  const add = async (name: string, port: number, child: ChildProcess): Promise<void> => {
    list.push({ name, port, process: child });
    await waitForPort(port);
  };
  await add(
    'weir',
    weir,
    start(PROXY_CORE, process.execPath, plane, `${weir}`, `${backend}`, routes),
  );
  if (has('nginx'))
    await add(
      'nginx',
      nginx,
      start(PROXY_CORE, 'nginx', '-c', file('nginx.conf', configs.nginx(folder, nginx, backend))),
    );
  if (has('haproxy'))
    await add(
      'haproxy',
      haproxy,
      start(
        PROXY_CORE,
        'haproxy',
        '-db',
        '-f',
        file('haproxy.cfg', configs.haproxy(haproxy, backend)),
      ),
    );
  return list;
};

const stopAll = (): void => {
  for (const child of started.splice(0)) child.kill('SIGTERM');
};

const works: Readonly<Record<string, { readonly routes: string; readonly script?: string }>> = {
  get: { routes: '1' },
  post10k: { routes: '1', script: configs.postScript },
  routes1000: { routes: '1000' },
};

type Results = Record<string, Record<string, Round>>;

const line = (work: string, name: string, round: Round): string =>
  `${work.padEnd(12)}${name.padEnd(10)}${round.cpuUs.toFixed(1).padStart(7)} µs/request` +
  `${round.rate.toFixed(0).padStart(9)} /s  p50 ${round.p50Ms.toFixed(2)} ms  p99 ${round.p99Ms.toFixed(2)} ms  ${round.rssMb.toFixed(0)} MB`;

const runWork = async (work: string): Promise<Record<string, Round>> => {
  const { routes, script } = works[work] ?? { routes: '1' };
  const [backend = 0] = await freePorts(1);
  start(LOAD_CORE, 'nginx', '-c', file('backend.conf', configs.backend(folder, backend)));
  await waitForPort(backend);
  const contenders = await contendersFor(backend, routes);
  const path = script ? file('work.lua', script) : undefined;
  const rounds = contenders.map((): Round[] => []);
  for (const each of contenders) wrk(each.port, path, '2');
  for (let round = 0; round < Number(values.rounds); round++)
    for (const [i, each] of contenders.entries()) rounds[i]?.push(measure(each, path));
  stopAll();
  return Object.fromEntries(contenders.map((each, i) => [each.name, summary(rounds[i] ?? [])]));
};

const ratiosOf = (results: Results): Record<string, Record<string, number>> =>
  Object.fromEntries(
    Object.entries(results).map(([work, { weir, ...peers }]) => [
      work,
      Object.fromEntries(
        Object.entries(peers).map(([peer, round]) => [
          peer,
          Number(((weir?.cpuUs ?? Number.NaN) / round.cpuUs).toFixed(3)),
        ]),
      ),
    ]),
  );

const run = async (): Promise<void> => {
  const missing = Object.keys(install).filter((command) => !has(command));
  for (const command of missing) console.log(`${command} is not installed: ${install[command]}`);
  if (missing.some((command) => command !== 'haproxy')) {
    console.log('skipped: wrk, taskset and nginx (which is the backend, too) are needed');
    return;
  }
  const results: Results = {};
  for (const work of Object.keys(works)) {
    if (values.only && values.only !== work) continue;
    results[work] = await runWork(work);
    for (const [name, round] of Object.entries(results[work])) console.log(line(work, name, round));
  }
  console.log(JSON.stringify({ results, ratios: ratiosOf(results) }));
};

try {
  await run();
} finally {
  stopAll();
  rmSync(folder, { recursive: true, force: true });
}
