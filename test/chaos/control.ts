// `npm run chaos:control`: the leader of two control processes is killed, frozen or cut off in every state of a breaker and of
// the retry brake, in random order. ROUNDS (default 15) and SEED choose how often and in which order. The last line is JSON;
// exit code 1 if anything was lost, forgotten or done twice, or a takeover took more than five seconds.

import { play, type Round, type State, states } from './breaker-rounds.ts';
import { BreakerWorld, type Harm, harms } from './breaker-world.ts';

const ROUNDS = Number(process.env['ROUNDS'] ?? 15);
const SEED = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const TAKEOVER_MS = 5_000;
const say = (line: string): void => void process.stdout.write(`${line}\n`);

/** Mulberry32. */
const randomFrom = (seed: number): (() => number) => {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
};

/** Every state meets every harm before any does so again. */
const plan = (random: () => number): readonly { readonly state: State; readonly harm: Harm }[] => {
  const pairs = states.flatMap((state) => harms.map((harm) => ({ state, harm })));
  const all = [];
  while (all.length < ROUNDS) {
    const shuffled = pairs.map((pair) => ({ pair, rank: random() }));
    all.push(...shuffled.toSorted((a, b) => a.rank - b.rank).map(({ pair }) => pair));
  }
  return all.slice(0, ROUNDS);
};

say(`seed ${SEED}, ${ROUNDS} rounds`);
const rounds: Round[] = [];
const wrong: string[] = [];
let world = await BreakerWorld.start();
let requests = 0;
let failures = 0;
const leave = async (): Promise<void> => {
  requests += world.seen.requests;
  failures += world.seen.failures;
  await world.close();
};
for (const [at, { state, harm }] of plan(randomFrom(SEED)).entries()) {
  try {
    const round = await play(world, at + 1, { state, harm });
    rounds.push(round);
    say(`${at + 1}: ${state}, ${harm}: takeover ${Math.round(round.takeoverMs)} ms`);
  } catch (error) {
    wrong.push(`${at + 1}: ${state}, ${harm}: ${(error as Error).message}`);
    say(wrong.at(-1) ?? '');
    await leave();
    world = await BreakerWorld.start();
  }
}
await leave();
const takeovers = rounds.map(({ takeoverMs }) => Math.round(takeoverMs)).toSorted((a, b) => a - b);
const result = {
  seed: SEED,
  rounds: ROUNDS,
  medianMs: takeovers[Math.floor(takeovers.length / 2)],
  maxMs: takeovers.at(-1),
  requests,
  failures,
  wrong,
};
say(JSON.stringify(result));
process.exit(wrong.length === 0 && (result.maxMs ?? 0) <= TAKEOVER_MS ? 0 : 1);
