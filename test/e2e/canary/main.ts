// `npm run e2e:canary`: bad and good versions behind real processes, with what they cost. The last line is JSON; exit code
// 1 if a goal is missed. Takes about twenty minutes.
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { RolloutStatus } from '#engine/model/api.ts';
import type { Faults, Stats } from './app.ts';
import { host, openPlace, type Place, paths } from './place.ts';
import { startReaders } from './readers.ts';

const usage = `npm run e2e:canary -- [options]
  --rate N        only this many requests per second (50 or 500)
  --only TEXT     only versions whose name contains the text
  --rounds N      of each bad version (default 3); the median counts
`;

const { values: options } = parseArgs({
  options: {
    rate: { type: 'string' },
    only: { type: 'string', default: '' },
    rounds: { type: 'string', default: '3' },
    help: { type: 'boolean', default: false },
  },
});

interface Version {
  readonly name: string;
  readonly faults: Faults;
  /** Of the old version meanwhile, as in the simulation; `usual` unless given. */
  readonly old?: Faults;
  readonly end: 'failed' | 'succeeded';
  /** By rate; those of the simulation, and what two seconds more cost. */
  readonly limits: Readonly<
    Record<number, { readonly seconds: number; readonly exposed?: number }>
  >;
}

const usual: Faults = { errors: 0.005, slowness: 1 };
const learnSeconds = 60;
const extraSeconds = 2;
/** Requests per second that the new version gets at first, at either rate. */
const first: Readonly<Record<number, number>> = { 50: 5, 500: 50 };

const versions: readonly Version[] = [
  {
    name: '5 % errors',
    faults: { errors: 0.05, slowness: 1 },
    end: 'failed',
    limits: { 50: { seconds: 50, exposed: 250 }, 500: { seconds: 7, exposed: 320 } },
  },
  {
    name: 'one endpoint of twenty broken',
    old: { errors: 0.001, slowness: 1 },
    faults: { errors: 0.001, slowness: 1, broken: paths[3] ?? '' },
    end: 'failed',
    limits: { 50: { seconds: 25, exposed: 130 }, 500: { seconds: 4, exposed: 200 } },
  },
  {
    name: 'p99 +30 %',
    faults: { ...usual, slowness: 1.3 },
    end: 'failed',
    limits: { 50: { seconds: 130, exposed: 650 }, 500: { seconds: 17, exposed: 850 } },
  },
  {
    name: 'good',
    faults: usual,
    end: 'succeeded',
    limits: { 50: { seconds: 1100 }, 500: { seconds: 140 } },
  },
];

interface Outcome {
  readonly version: string;
  readonly rate: number;
  readonly state: string;
  readonly exposed: number;
  readonly failed: number;
  readonly seconds: number;
}

const print = (line: string): void => void process.stdout.write(`${line}\n`);
const name = { namespace: 'bibby', name: 'catalog' };
const over = new Set(['failed', 'succeeded', 'inconclusive']);

/** One rollout from the first request that the new version gets to the last one, or to its promotion. */
const trial = async (place: Place, version: Version, rate: number): Promise<Outcome> => {
  await warm(place);
  await place.apps['v1.0'].set(version.old ?? usual);
  await place.apps['v1.1'].set(version.faults);
  await place.ask('rollout.start', { ...name, version: 'v1.1', reason: version.name });
  let rollout: RolloutStatus;
  do {
    await sleep(100);
    rollout = await place.rollout();
  } while (!over.has(rollout.state));
  const endedMs = Date.now();
  const stats: Stats = await place.apps['v1.1'].stats();
  // What is under way when the rollback comes still arrives.
  await sleep(1000);
  const after = await place.apps['v1.1'].stats();
  const isBack = rollout.state === 'failed';
  const { requests, errors, firstMs, lastMs } = isBack ? after : stats;
  return {
    version: version.name,
    rate,
    state: rollout.state,
    exposed: requests,
    failed: errors,
    seconds: Number((((isBack ? lastMs : endedMs) - firstMs) / 1000).toFixed(1)),
  };
};

/** A process is slow at first, whatever its version; here the versions are to differ in nothing but their faults. */
const warm = async (place: Place): Promise<void> => {
  const { port } = place.apps['v1.1'];
  for (let round = 0; round < 20; round += 1)
    await Promise.all(
      Array.from({ length: 20 }, async () => {
        await (await fetch(`http://127.0.0.1:${port}/shelf-0`)).text();
      }),
    );
};

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

const judge = (version: Version, rate: number, outcomes: readonly Outcome[]) => {
  const limit = version.limits[rate] ?? { seconds: 0 };
  const seconds = median(outcomes.map((one) => one.seconds));
  const exposed = median(outcomes.map((one) => one.exposed));
  const most = limit.exposed && limit.exposed + extraSeconds * (first[rate] ?? 0);
  const met =
    outcomes.every(({ state }) => state === version.end) &&
    seconds <= limit.seconds + extraSeconds &&
    (most === undefined || exposed <= most);
  print(
    `${met ? 'met   ' : 'MISSED'} ${version.name} at ${rate} requests/s: ${outcomes.map(({ state }) => state).join(', ')}; exposed ${exposed}${most === undefined ? '' : ` (limit ${most})`}, ${seconds} s (limit ${limit.seconds + extraSeconds} s)`,
  );
  return { version: version.name, rate, met, exposed, seconds, rounds: outcomes };
};

const main = async (): Promise<void> => {
  if (options.help) return print(usage);
  const place = await openPlace();
  process.once('SIGINT', () => void place.close().then(() => process.exit(130)));
  const readers = startReaders({ port: place.port, host, paths }, 500);
  try {
    await place.apps['v1.0'].set(usual);
    const results = [];
    const rates = [500, 50].filter((rate) => !options.rate || Number(options.rate) === rate);
    for (const rate of rates) {
      print(`${rate} requests/s; the old version is watched for ${learnSeconds} s at 500`);
      readers.perSecond = 500;
      await sleep(learnSeconds * 1000);
      readers.perSecond = rate;
      for (const version of versions.filter((one) => one.name.includes(options.only))) {
        const outcomes: Outcome[] = [];
        const rounds = version.end === 'failed' ? Number(options.rounds) : 1;
        for (let round = 0; round < rounds; round += 1) {
          const outcome = await trial(place, version, rate);
          print(`       ${JSON.stringify(outcome)}`);
          outcomes.push(outcome);
        }
        results.push(judge(version, rate, outcomes));
      }
      if ((await place.rollout()).state === 'succeeded')
        await place.ask('rollout.undo', { ...name, reason: 'the next rate' });
    }
    await readers.stop();
    const lost = [...readers.counts].filter(([status]) => status !== 200 && status !== 500);
    const met = results.every((result) => result.met) && lost.length === 0;
    print(
      `answers: ${[...readers.counts].map(([status, count]) => `${status} × ${count}`).join(', ')}`,
    );
    if (readers.refusal)
      print(
        `not the service's own: ${readers.refusal}; readers stood still for up to ${readers.stalledMs} ms`,
      );
    print(
      JSON.stringify({ e2e: 'canary', met, results, answers: Object.fromEntries(readers.counts) }),
    );
    if (!met) process.exitCode = 1;
  } finally {
    await readers.stop();
    await place.close();
  }
};

await main();
