// Patterns without a bad loop can still read one text in very many ways: `(a?){30}a{30}`. Their number is counted along the
// text that a greedy adversary would send: always the character that keeps most ways open.
import type { Automaton } from './automaton.ts';
import { type CharSet, PatternError } from './syntax.ts';

const MAX_WAYS = 1000;
const MAX_LENGTH = 300;
const BUDGET = 300_000;

export const hasManyWays = (automaton: Automaton): boolean => {
  const atoms = atomsOf(automaton.sets);
  let work = 0;
  let ways = new Map<number, number>();
  for (const state of automaton.first) add(ways, state, 1);
  for (let length = 0; length < MAX_LENGTH; length += 1) {
    let widest = new Map<number, number>();
    let most = 0;
    for (const atom of atoms) {
      const next = new Map<number, number>();
      let total = 0;
      for (const [state, count] of ways) {
        if (((automaton.sets[state] ?? 0n) & atom) === 0n) continue;
        total += count;
        work += automaton.follow[state]?.size ?? 0;
        for (const target of automaton.follow[state] ?? []) add(next, target, count);
      }
      if (work > BUDGET) throw new PatternError('is too complicated to be judged');
      if (total > MAX_WAYS) return true;
      if (total > most) [widest, most] = [next, total];
    }
    if (most === 0) return false;
    ways = widest;
  }
  return false;
};

const add = (ways: Map<number, number>, state: number, count: number): void => {
  ways.set(state, (ways.get(state) ?? 0) + count);
};

/** One character of every kind that the pattern tells apart. */
const atomsOf = (sets: readonly CharSet[]): readonly CharSet[] => {
  const distinct = [...new Set(sets)];
  const atoms = new Map<string, CharSet>();
  for (let bit = 0n; bit <= 256n; bit += 1n) {
    const members = distinct.map((set) => (set >> bit) & 1n).join('');
    if (members.includes('1')) atoms.set(members, 1n << bit);
  }
  return [...atoms.values()];
};
