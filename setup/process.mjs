// Programs that set-up runs.
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** What went wrong, in one sentence for whoever typed the command. */
export class SetupError extends Error {}

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

const environment = () => ({
  // Types are stripped and code compiled once, not at every start: a third of the CPU time and 25 MB a process.
  NODE_COMPILE_CACHE: join(root, 'node_modules', '.cache', 'weir'),
  ...process.env,
  PATH: [join(root, 'node_modules', '.bin'), process.env.PATH].filter(Boolean).join(delimiter),
});

/** Runs it to its end. Never throws: a program that cannot be run has code -1. */
export const run = (command, args, options = {}) =>
  new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: root,
      env: environment(),
      stdio: ['ignore', 'pipe', 'pipe'],
      ...options,
    });
    let output = '';
    const collect = (chunk) => {
      output += chunk;
    };
    child.stdout?.setEncoding('utf8').on('data', collect);
    child.stderr?.setEncoding('utf8').on('data', collect);
    child.once('error', (error) => resolve({ code: -1, output: error.message }));
    child.once('close', (code) => resolve({ code: code ?? -1, output }));
  });

/** npm, the way the present process was started by it. */
export const npm = (args, options) => {
  const cli = process.env.npm_execpath;
  return cli?.endsWith('.js')
    ? run(process.execPath, [cli, ...args], options)
    : run('npm', args, options);
};

export const lastLines = (output, count = 15) =>
  output.trimEnd().split('\n').slice(-count).join('\n');

const FORWARDED = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGWINCH'];
/** Ctrl-C comes twice, from the terminal and from npm. */
const SAME_SIGNAL_MS = 1000;

/**
 * Hands terminal and signals over; resolves with the exit code. The child has a group of its own, so each signal reaches
 * it once, by us.
 */
export const runInForeground = (command, args) =>
  new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: root,
      env: environment(),
      stdio: 'inherit',
      detached: true,
    });
    const forwardedAt = new Map();
    const orphaned = whenOrphaned(() => child.kill('SIGTERM'));
    for (const signal of FORWARDED)
      process.on(signal, () => {
        const sinceMs = performance.now() - (forwardedAt.get(signal) ?? -Infinity);
        if (signal !== 'SIGWINCH' && sinceMs < SAME_SIGNAL_MS) return;
        forwardedAt.set(signal, performance.now());
        child.kill(signal);
      });
    child.once('error', (error) => {
      console.error(error.message);
      resolve(1);
    });
    child.once('exit', (code, signal) => {
      clearInterval(orphaned);
      resolve(code ?? 128 + (constants.signals[signal] ?? 0));
    });
  });

/** npm that is killed says nothing to what it started. */
const whenOrphaned = (act) => {
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (!process.env.npm_lifecycle_event || process.ppid === parent) return;
    clearInterval(timer);
    act();
  }, 1000);
  return timer;
};

/** One line about something that takes a while; on a terminal it counts the seconds. */
export const showProgress = (what) => {
  const startedAt = performance.now();
  const seconds = () => `${Math.round((performance.now() - startedAt) / 1000)} s`;
  if (!process.stdout.isTTY) {
    console.log(`${what} ...`);
    return () => console.log(`${what}: done in ${seconds()}`);
  }
  const draw = () => process.stdout.write(`\r${what} ... ${seconds()} `);
  draw();
  const timer = setInterval(draw, 1000);
  return () => {
    clearInterval(timer);
    process.stdout.write(`\r${what}: done in ${seconds()}\n`);
  };
};
