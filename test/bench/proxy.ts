// CPU per request of this proxy, nginx and HAProxy: same work, same machine, interleaved rounds. Each proxy has one core to itself,
// backend and load generator have the other. The last line is JSON.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { backend as backendConfig } from './proxy-configs.ts';
import { proxyEnvironment } from './proxy-environment.ts';
import { generate, type Load, measure, type Round, summary } from './proxy-measure.ts';
import { freePorts, waitForPort } from './proxy-ports.ts';
import { type Work, worksIn } from './proxy-works.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '4' },
    connections: { type: 'string', default: '64' },
    /** get, post10k, routes1000, tls or chain. */
    only: { type: 'string' },
  },
});

const PROXY_CORE = '0';
const LOAD_CORE = '1';
/** Long enough for the runtime to compile what is hot. */
const WARM_UP_SECONDS = '5';

interface Contender {
  readonly name: string;
  readonly pid: number;
  readonly load: Load;
}

const install: Readonly<Record<string, string>> = {
  wrk: 'apt-get install wrk',
  nginx: 'apt-get install nginx',
  haproxy: 'apt-get install haproxy',
  taskset: 'apt-get install util-linux',
  openssl: 'apt-get install openssl',
};

const has = (command: string): boolean => {
  try {
    execFileSync('sh', ['-c', `PATH=$PATH:/usr/sbin command -v ${command}`], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
};

const folder = mkdtempSync(join(tmpdir(), 'weir-bench-'));
const started: ChildProcess[] = [];

const start = (core: string, command: string, ...args: string[]): number => {
  const child = spawn('taskset', ['-c', core, command, ...args], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: proxyEnvironment,
  });
  started.push(child);
  return child.pid ?? 0;
};

const stopAll = (): void => {
  for (const child of started.splice(0)) child.kill('SIGTERM');
};

const write = (name: string, text: string): string => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};

const contendersFor = async (work: Work, backend: number): Promise<Contender[]> => {
  const [weir = 0, nginx = 0, haproxy = 0] = await freePorts(3);
  const script = work.script === undefined ? undefined : write('work.lua', work.script);
  const list: Contender[] = [];
  const add = async (name: string, port: number, pid: number): Promise<void> => {
    const url = `${work.scheme}://127.0.0.1:${port}/catalog/books/1`;
    const { connections, seconds } = values;
    list.push({ name, pid, load: { core: LOAD_CORE, url, connections, seconds, script } });
    await waitForPort(port);
  };
  const plane = join(import.meta.dirname, 'proxy-plane.ts');
  const policy = JSON.stringify({ ...work.weir, port: weir, upstreamPort: backend });
  await add('weir', weir, start(PROXY_CORE, process.execPath, plane, policy));
  if (work.nginx && has('nginx')) {
    const config = write('nginx.conf', work.nginx(folder, nginx, backend));
    await add('nginx', nginx, start(PROXY_CORE, 'nginx', '-c', config));
  }
  if (work.haproxy && has('haproxy')) {
    const config = write('haproxy.cfg', work.haproxy(haproxy, backend));
    await add('haproxy', haproxy, start(PROXY_CORE, 'haproxy', '-db', '-f', config));
  }
  return list;
};

type Results = Record<string, Record<string, Round>>;

const line = (work: string, name: string, round: Round): string =>
  `${work.padEnd(12)}${name.padEnd(10)}${round.cpuUs.toFixed(1).padStart(7)} µs/request` +
  `${round.rate.toFixed(0).padStart(9)} /s  p50 ${round.p50Ms.toFixed(2)} ms  p99 ${round.p99Ms.toFixed(2)} ms  ${round.rssMb.toFixed(0)} MB`;

const runWork = async (work: Work): Promise<Record<string, Round>> => {
  const [backend = 0] = await freePorts(1);
  start(LOAD_CORE, 'nginx', '-c', write('backend.conf', backendConfig(folder, backend)));
  await waitForPort(backend);
  const contenders = await contendersFor(work, backend);
  const rounds = contenders.map((): Round[] => []);
  for (const { load } of contenders) generate({ ...load, seconds: WARM_UP_SECONDS });
  for (let round = 0; round < Number(values.rounds); round++)
    for (const [i, { pid, load }] of contenders.entries()) rounds[i]?.push(measure(pid, load));
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
    console.log('skipped: wrk, taskset, openssl and nginx (which is the backend, too) are needed');
    return;
  }
  const results: Results = {};
  for (const [name, work] of Object.entries(await worksIn(folder, write))) {
    if (values.only && values.only !== name) continue;
    results[name] = await runWork(work);
    for (const [contender, round] of Object.entries(results[name]))
      console.log(line(name, contender, round));
  }
  console.log(JSON.stringify({ results, ratios: ratiosOf(results) }));
};

try {
  await run();
} finally {
  stopAll();
  rmSync(folder, { recursive: true, force: true });
}
