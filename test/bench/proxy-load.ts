// The load generators: each runs alone on its core for some seconds and says what it saw.
import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { proxyEnvironment } from './proxy-environment.ts';

/** What generates the load, with what only that one understands. */
export type Generator =
  | { readonly type: 'wrk' /** Lua file. */; readonly script?: string }
  | {
      readonly type: 'h2load';
      readonly streams: number;
      readonly arguments: readonly string[];
    }
  /** Messages to and fro, one at a time per connection. */
  | { readonly type: 'webSocket' }
  /** So many requests a second over all connections together, evenly, whether answered or not. */
  | { readonly type: 'steady'; readonly rate: number };

export interface Load {
  readonly core: string;
  readonly url: string;
  readonly connections: number;
  readonly seconds: number;
  /** For what a generator writes. */
  readonly folder: string;
  readonly generator: Generator;
}

export interface Seen {
  readonly requests: number;
  readonly rate: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

const run = ({ core }: Load, command: string, args: readonly string[]): string =>
  execFileSync('taskset', ['-c', core, command, ...args], {
    encoding: 'utf8',
    env: proxyEnvironment,
  });

const toMs = (text: string): number => {
  const match = /^([0-9.]+)(us|ms|s|m)$/.exec(text);
  const scale: Readonly<Record<string, number>> = { us: 0.001, ms: 1, s: 1000, m: 60_000 };
  return Number(match?.[1]) * (scale[match?.[2] ?? ''] ?? Number.NaN);
};

const wrk = (load: Load, script: string | undefined): Seen => {
  const { url, connections, seconds } = load;
  const args = ['-t1', `-c${connections}`, `-d${seconds}s`, '--latency'];
  if (script) args.push('-s', script);
  const text = run(load, 'wrk', [...args, url]);
  const failures = /Non-2xx or 3xx responses: (\d+)|Socket errors: (.*)/.exec(text);
  if (failures) throw new Error(`the load generator saw failures: ${failures[0]}`);
  return {
    requests: Number(/(\d+) requests in/.exec(text)?.[1]),
    rate: Number(/Requests\/sec:\s+([0-9.]+)/.exec(text)?.[1]),
    p50Ms: toMs(/^ +50% +(\S+)/m.exec(text)?.[1] ?? ''),
    p99Ms: toMs(/^ +99% +(\S+)/m.exec(text)?.[1] ?? ''),
  };
};

const h2load = (load: Load, streams: number, extra: readonly string[]): Seen => {
  const { url, connections, seconds, folder } = load;
  const log = join(folder, 'h2load.log');
  const common = ['-t1', `-c${connections}`, `-m${streams}`, `-D${seconds}`, `--log-file=${log}`];
  const text = run(load, 'h2load', [...common, ...extra, url]);
  const [, requests, failed, errored] =
    /requests: \d+ total, \d+ started, (\d+) done, \d+ succeeded, (\d+) failed, (\d+) errored/.exec(
      text,
    ) ?? [];
  if (failed !== '0' || errored !== '0' || !/status codes: \d+ 2xx, 0 3xx, 0 4xx, 0 5xx/.test(text))
    throw new Error(`the load generator saw failures: ${text}`);
  const times = readFileSync(log, 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => Number(line.split('\t')[2]) / 1000)
    .sort((a, b) => a - b);
  rmSync(log);
  return {
    requests: Number(requests),
    rate: Number(/finished in [^,]+, ([0-9.]+) req\/s/.exec(text)?.[1]),
    p50Ms: times[Math.floor(times.length / 2)] ?? Number.NaN,
    p99Ms: times[Math.floor(times.length * 0.99)] ?? Number.NaN,
  };
};

/** A script of ours that takes the load as JSON and prints what it saw as JSON. */
const script = (load: Load, file: string, rate?: number): Seen => {
  const path = join(import.meta.dirname, file);
  return JSON.parse(run(load, process.execPath, [path, JSON.stringify({ ...load, rate })])) as Seen;
};

/** Below what was asked for, times would be those of the requests that were not sent. */
const KEPT = 0.95;

/** Not h2load: its clients send all at the same moment, and then wait for each other. */
const steady = (load: Load, rate: number): Seen => {
  const seen = script(load, 'load-open-loop.ts', rate);
  if (seen.rate < rate * KEPT)
    throw new Error(`only ${seen.rate} of ${rate} requests per second could be sent`);
  return seen;
};

/** Throws when an answer was not a success. */
export const generate = (load: Load): Seen => {
  const { generator } = load;
  switch (generator.type) {
    case 'wrk':
      return wrk(load, generator.script);
    case 'h2load':
      return h2load(load, generator.streams, generator.arguments);
    case 'webSocket':
      return script(load, 'load-web-socket.ts');
    case 'steady':
      return steady(load, generator.rate);
  }
};
