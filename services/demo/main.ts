// What `npm start` runs: all of Weir on one machine, with traffic and a release to watch.
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { reasonOf } from '#engine/model/errors.ts';
import { createBoard } from './board.ts';
import { bringUp, nextVolume, open, type Site, startTraffic } from './installation.ts';
import { nameOf } from './library.ts';
import { type Lock, takeLock } from './lock.ts';
import { nextSteps } from './next-steps.ts';
import { type DemoOptions, help, parseOptions } from './options.ts';
import { whyTaken } from './ports.ts';
import { createProcesses, type Processes } from './processes.ts';
import { beginAgain, endEarlierRollout } from './rollout-reset.ts';
import { createTeller, type Ending } from './story.ts';
import { parseTotals } from './tally.ts';

const BASELINE_MS = 8000;
const BAD_ERROR_RATE = 0.05;
const root = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
const home = resolve(process.env['WEIR_HOME'] ?? join(root, '.weir'));
const board = createBoard(process.stdout);

const main = async (options: DemoOptions): Promise<number> => {
  const lock = await takeLock(home, options.port, board.say);
  const processes = createProcesses({
    logFolder: join(home, 'log'),
    onChange: (pids) => lock.record(pids),
    say: board.say,
  });
  const interrupted = interruption(processes);
  try {
    await refuseTakenPort(options.port);
    return await Promise.race([play(options, processes, interrupted.signal), interrupted.code]);
  } finally {
    await end(processes, lock);
  }
};

const play = async (
  options: DemoOptions,
  processes: Processes,
  signal: AbortSignal,
): Promise<number> => {
  const site: Site = {
    root,
    home,
    port: options.port,
    natsUrl: process.env['WEIR_NATS_URL'],
    processes,
    say: board.say,
  };
  const admin = await bringUp(site);
  const isRepeated = await endEarlierRollout(admin);
  let readers: ReturnType<typeof parseTotals>;
  if (options.traffic) {
    await startTraffic(site, (line) => (readers = parseTotals(line) ?? readers));
    board.say('readers are coming in; catalog v1.1 ships in a moment');
    await sleep(BASELINE_MS);
  }
  const sinceMs = Date.now();
  const errorRate = options.bad ? BAD_ERROR_RATE : 0;
  await open(site, { ...nextVolume, errorRate });
  if (isRepeated) await beginAgain(admin, nameOf(nextVolume));
  board.say(`catalog v1.1 is up${options.bad ? ', and fails 5 % of its requests' : ''}`);
  const service = 'bibby/catalog-service';
  const story = { board, admin, service, sinceMs, readers: () => readers, signal };
  const teller = createTeller(story);
  if (options.traffic) {
    const ending = await teller.untilEnd();
    if (signal.aborted) return 0;
    if (options.until) return judge(ending, options.until);
    board.say(`\ncatalog v1.1 is ${ending.state}: ${ending.reason}`);
  } else board.say('there is no traffic, so there will be no evidence');
  board.say(nextSteps(options.port));
  await teller.forEver();
  return 0;
};

const judge = ({ state, reason }: Ending, until: string): number => {
  board.say(`catalog v1.1 is ${state}: ${reason}`);
  if (state === until) return 0;
  board.say(`It was to be ${until}.`);
  return 1;
};

/** Ctrl-C once: stop in order. Twice: at once. */
const interruption = (processes: Processes) => {
  const controller = new AbortController();
  const code = new Promise<number>((resolve) => {
    const stop = () => {
      if (controller.signal.aborted) {
        processes.killAll();
        return;
      }
      controller.abort();
      board.show([]);
      board.say('stopping');
      resolve(0);
    };
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, stop);
    whenOrphaned(stop);
  });
  return { signal: controller.signal, code };
};

/** Whoever started us was killed: nobody could stop us any more. */
const whenOrphaned = (act: () => void): void => {
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    act();
  }, 1000);
  timer.unref();
};

const end = async (processes: Processes, lock: Lock): Promise<void> => {
  // Nobody asks any more before anybody stops answering.
  for (const name of ['traffic', 'edge']) await processes.stop(name);
  await processes.stopAll();
  lock.release();
};

const refuseTakenPort = async (port: number): Promise<void> => {
  const why = await whyTaken(port);
  if (why) throw new Error(`Port ${port} ${why}; choose another one with --port.`);
};

try {
  const options = parseOptions(process.argv.slice(2));
  if (options.help) console.log(help);
  else process.exitCode = await main(options);
} catch (error) {
  console.error(reasonOf(error));
  process.exitCode = 1;
}
process.exit();
