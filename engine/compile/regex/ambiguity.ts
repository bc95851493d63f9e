// Finds out how the work of a backtracking matcher grows with the text.
//
// Exponential: some state can come back to itself on the same text in two different ways. Polynomial: one loop can hand
// over to another at any point of the same text. (Weber and Seidl, "On the degree of ambiguity of finite automata".)
import type { Automaton } from './automaton.ts';
import { PatternError } from './syntax.ts';

export type Growth =
  | { readonly type: 'linear' }
  /** `places` are indexes into the pattern. */
  | { readonly type: 'polynomial' | 'exponential'; readonly places: readonly [number, number] };

const BUDGET = 300_000;

export const growthOf = (automaton: Automaton): Growth => {
  const work = { left: BUDGET };
  const component = componentsOf(automaton);
  const exponential =
    automaton.doubled.find(([from, to]) => isLoop(automaton, component, from, to)) ??
    twoWaysBack(automaton, component, work);
  if (exponential) return { type: 'exponential', places: placesOf(automaton, exponential) };
  const polynomial = handover(automaton, component, work);
  return polynomial
    ? { type: 'polynomial', places: placesOf(automaton, polynomial) }
    : { type: 'linear' };
};

type Pair = readonly [number, number];
interface Work {
  left: number;
}

const spend = (work: Work): void => {
  work.left -= 1;
  if (work.left < 0) throw new PatternError('is too complicated to be judged');
};

const placesOf = ({ places }: Automaton, [a, b]: Pair): Pair => [places[a] ?? 0, places[b] ?? 0];

/** Number of the strongly connected component of each state (Tarjan, without recursion). */
const componentsOf = ({ follow }: Automaton): readonly number[] => {
  const index: number[] = [];
  const low: number[] = [];
  const component: number[] = [];
  const open: number[] = [];
  let count = 0;
  for (const start of follow.keys()) {
    if (index[start] !== undefined) continue;
    const calls: { state: number; rest: number[] }[] = [];
    const enter = (state: number): void => {
      index[state] = low[state] = count++;
      open.push(state);
      calls.push({ state, rest: [...(follow[state] ?? [])] });
    };
    enter(start);
    for (let call = calls.at(-1); call; call = calls.at(-1)) {
      const { state, rest } = call;
      const next = rest.pop();
      if (next !== undefined) {
        if (index[next] === undefined) enter(next);
        else if (component[next] === undefined) low[state] = Math.min(low[state] ?? 0, index[next]);
        continue;
      }
      calls.pop();
      const caller = calls.at(-1)?.state;
      if (caller !== undefined) low[caller] = Math.min(low[caller] ?? 0, low[state] ?? 0);
      if (low[state] !== index[state]) continue;
      for (let member = open.pop(); member !== undefined; member = open.pop()) {
        component[member] = state;
        if (member === state) break;
      }
    }
  }
  return component;
};

const isLoop = (
  { follow }: Automaton,
  component: readonly number[],
  from: number,
  to: number,
): boolean => component[from] === component[to] && (from !== to || follow[from]?.has(to) === true);

const overlap = ({ sets }: Automaton, a: number, b: number): boolean =>
  ((sets[a] ?? 0n) & (sets[b] ?? 0n)) !== 0n;

/** A pair of different states that one state reaches, and that both come back to one, by the same text. */
const twoWaysBack = (
  automaton: Automaton,
  component: readonly number[],
  work: Work,
): Pair | undefined => {
  const size = automaton.sets.length;
  const seen = new Set<number>();
  const back = new Map<number, number[]>();
  const queue: number[] = [];
  for (const state of automaton.follow.keys()) {
    seen.add(state * size + state);
    queue.push(state * size + state);
  }
  for (let code = queue.pop(); code !== undefined; code = queue.pop()) {
    const [a, b] = [Math.floor(code / size), code % size];
    for (const nextA of automaton.follow[a] ?? [])
      for (const nextB of automaton.follow[b] ?? []) {
        spend(work);
        const stays = component[nextA] === component[a] && component[nextB] === component[b];
        if (!stays || !overlap(automaton, nextA, nextB)) continue;
        const next = nextA * size + nextB;
        back.set(next, [...(back.get(next) ?? []), code]);
        if (seen.has(next)) continue;
        seen.add(next);
        queue.push(next);
      }
  }
  return meetAgain(back, size, work);
};

const meetAgain = (
  back: ReadonlyMap<number, readonly number[]>,
  size: number,
  work: Work,
): Pair | undefined => {
  const queue = [...back.keys()].filter((code) => Math.floor(code / size) === code % size);
  const seen = new Set(queue);
  for (let code = queue.pop(); code !== undefined; code = queue.pop())
    for (const before of back.get(code) ?? []) {
      spend(work);
      const pair: Pair = [Math.floor(before / size), before % size];
      if (pair[0] !== pair[1]) return pair;
      if (seen.has(before)) continue;
      seen.add(before);
      queue.push(before);
    }
  return undefined;
};

/** Two loop states such that one text leads the first to itself, the first to the second, and the second to itself. */
const handover = (
  automaton: Automaton,
  component: readonly number[],
  work: Work,
): Pair | undefined => {
  const loops = [...automaton.follow.keys()].filter((state) =>
    [...(automaton.follow[state] ?? [])].some((next) => component[next] === component[state]),
  );
  for (const from of loops)
    for (const to of loops)
      if (from !== to && handsOver(automaton, component, { from, to, work })) return [from, to];
  return undefined;
};

const handsOver = (
  automaton: Automaton,
  component: readonly number[],
  { from, to, work }: { readonly from: number; readonly to: number; readonly work: Work },
): boolean => {
  const { follow, sets } = automaton;
  const size = sets.length;
  const encode = (x: number, y: number, z: number) => (x * size + y) * size + z;
  const goal = encode(from, to, to);
  const start = encode(from, from, to);
  const seen = new Set([start]);
  const queue = [start];
  const within = (state: number, home: number) =>
    [...(follow[state] ?? [])].filter((next) => component[next] === component[home]);
  for (let code = queue.pop(); code !== undefined; code = queue.pop()) {
    const z = code % size;
    const y = Math.floor(code / size) % size;
    const x = Math.floor(code / size / size);
    for (const nextX of within(x, from))
      for (const nextZ of within(z, to)) {
        const common = (sets[nextX] ?? 0n) & (sets[nextZ] ?? 0n);
        for (const nextY of follow[y] ?? []) {
          spend(work);
          if ((common & (sets[nextY] ?? 0n)) === 0n) continue;
          const next = encode(nextX, nextY, nextZ);
          if (next === goal) return true;
          if (seen.has(next)) continue;
          seen.add(next);
          queue.push(next);
        }
      }
  }
  return false;
};
