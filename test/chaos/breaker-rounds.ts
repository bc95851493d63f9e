// One round: bring the breaker of an endpoint, or the retry brake, into a state, take the leader away in it, and hold what
// happens then against what would have happened without.
import { isDeepStrictEqual } from 'node:util';
import { eventually, pause } from '#test/services/control/installation.ts';
import type { BreakerWorld, Harm } from './breaker-world.ts';

export const states = ['evidence', 'open', 'halfOpen', 'openAgain', 'braked'] as const;
export type State = (typeof states)[number];

export interface Round {
  readonly state: State;
  readonly harm: Harm;
  readonly takeoverMs: number;
}

const must = (what: string, found: unknown, wanted: unknown): void => {
  if (!isDeepStrictEqual(found, wanted))
    throw new Error(`${what}: ${JSON.stringify(found)} instead of ${JSON.stringify(wanted)}`);
};

/** Throws what should not have happened. */
export const play = async (
  world: BreakerWorld,
  round: number,
  { state, harm }: { readonly state: State; readonly harm: Harm },
): Promise<Round> => {
  await world.begin(round);
  const takeoverMs = await inState[state](world, harm);
  await world.hush();
  must('requests lost', world.seen.lost, []);
  mustOnlyGrow(world);
  return { state, harm, takeoverMs };
};

/** No agent went back, neither by what it applied nor by what it announced. */
const mustOnlyGrow = ({ watcher, announced }: BreakerWorld): void => {
  const { positions } = watcher;
  must(
    'positions applied',
    positions,
    positions.toSorted((a, b) => a - b),
  );
  for (const [agent, beats] of announced)
    for (const [at, { position, revision }] of beats.entries()) {
      const before = beats[at - 1];
      if (before && (position < before.position || revision < before.revision))
        throw new Error(`${agent} went back: ${JSON.stringify([before, beats[at]])}`);
    }
};

const backend = (world: BreakerWorld) => {
  const [bad] = world.backends;
  if (!bad) throw new Error('no backend');
  return bad;
};

const word = (world: BreakerWorld, wanted: string): Promise<number> =>
  eventually(`the agents hear ${wanted}`, () => world.word.breaker === wanted, 40_000);

/** From an open breaker with a healthy endpoint behind it to a closed one. */
const recover = async (world: BreakerWorld): Promise<void> => {
  world.send();
  await word(world, 'closed');
};

const opened = async (world: BreakerWorld): Promise<void> => {
  world.send();
  await pause(500);
  backend(world).isBad = true;
  await word(world, 'open');
};

/** Everything that an operator sees of it, but for what changes by itself. */
const statusOf = async (world: BreakerWorld) => {
  const { state, openings, openUntilMs, prober, reason } = (await world.breaker()) ?? {};
  return { state, openings, openUntilMs, prober, reason };
};

/** Told a moment after it happened, if need be by the next leader; never more than once. */
const tells = async (world: BreakerWorld, ...wanted: readonly string[]): Promise<void> => {
  let story: readonly string[] = [];
  const isTold = async () => isDeepStrictEqual((story = await world.story()), wanted);
  await eventually('told', isTold).catch(() => must('story', story, wanted));
};

type InState = (world: BreakerWorld, harm: Harm) => Promise<number>;

/** Closed, with some failures, too few: the next leader neither opens it for them nor has lost the way to do so. */
const evidence: InState = async (world, harm) => {
  world.send();
  await pause(500);
  backend(world).failNext = 3;
  await eventually('they have failed', () => backend(world).failNext === 0);
  const { takeoverMs, heal } = await world.harm(harm);
  must('state after the takeover', world.word.breaker, 'closed');
  await tells(world);
  backend(world).isBad = true;
  await word(world, 'open');
  backend(world).isBad = false;
  await heal();
  await recover(world);
  await tells(world, 'opened 1', 'halfOpened', 'closed');
  return takeoverMs;
};

/** Open: the next leader opens it no second time, closes it no sooner, and nobody is sent there meanwhile. */
const open: InState = async (world, harm) => {
  await opened(world);
  // What was under way when it opened has come back.
  await pause(300);
  const before = await statusOf(world);
  const failures = world.seen.failures;
  const { takeoverMs, heal } = await world.harm(harm);
  const untilMs = before.openUntilMs ?? 0;
  const after = await statusOf(world);
  if (Date.now() < untilMs) {
    must('breaker after the takeover', after, before);
    must('failures while it was open', world.seen.failures, failures);
  }
  backend(world).isBad = false;
  await heal();
  await recover(world);
  await tells(world, 'opened 1', 'halfOpened', 'closed');
  return takeoverMs;
};

/** Half-open without traffic: the prober stays elected, and nothing but its measurement closes it. */
const halfOpen: InState = async (world, harm) => {
  await opened(world);
  backend(world).isBad = false;
  await world.hush();
  await word(world, 'halfOpen');
  const before = await statusOf(world);
  const { takeoverMs, heal } = await world.harm(harm);
  const after = await statusOf(world);
  // One that measures nothing for ten seconds is replaced, by whoever leads.
  must(
    'breaker after the takeover',
    [after.state, after.openings],
    [before.state, before.openings],
  );
  await tells(world, 'opened 1', 'halfOpened');
  await heal();
  await recover(world);
  await tells(world, 'opened 1', 'halfOpened', 'closed');
  return takeoverMs;
};

/** Open for the second time, for twice as long: the next leader keeps to both. */
const openAgain: InState = async (world, harm) => {
  await opened(world);
  await eventually(
    'a probe has failed',
    async () => (await world.breaker())?.openings === 2,
    40_000,
  );
  await word(world, 'open');
  backend(world).isBad = false;
  const before = await statusOf(world);
  const { takeoverMs, heal } = await world.harm(harm);
  if (Date.now() < (before.openUntilMs ?? 0))
    must('breaker after the takeover', await statusOf(world), before);
  await heal();
  await recover(world);
  await tells(world, 'opened 1', 'halfOpened', 'opened 2', 'halfOpened', 'closed');
  return takeoverMs;
};

/** Retries are limited: the next leader neither lets go of it nor forgets to let go in the end. */
const braked: InState = async (world, harm) => {
  const released = async () => (await world.events('retries.released')).length;
  const before = await released();
  world.send('/storm');
  await pause(500);
  backend(world).isBad = true;
  await eventually('retries are limited', () => world.word.retryPercent !== undefined, 40_000);
  const percents: (number | undefined)[] = [];
  const watch = setInterval(() => percents.push(world.word.retryPercent), 20);
  const { takeoverMs, heal } = await world.harm(harm);
  clearInterval(watch);
  if (percents.includes(undefined)) throw new Error('the brake was let go in the takeover');
  must('releases so far', (await released()) - before, 0);
  backend(world).isBad = false;
  await heal();
  await eventually('they are let go', () => world.word.retryPercent === undefined, 60_000);
  await eventually('one release is told', async () => (await released()) - before === 1);
  return takeoverMs;
};

const inState: Readonly<Record<State, InState>> = { evidence, open, halfOpen, openAgain, braked };
