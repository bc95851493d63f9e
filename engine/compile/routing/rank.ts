// The total order of rules: Gateway API's, with regexes ranked by length between exact paths and prefixes.
import type { Match } from '../../model/snapshot.ts';
import { compareText } from '../findings.ts';

/** Compared member by member; the smaller one is asked first. */
export type Rank = readonly number[];

const pathClass: Readonly<Record<Match['path']['type'], number>> = {
  exact: 0,
  regexFull: 1,
  regexStart: 1,
  segmentPrefix: 2,
  stringPrefix: 2,
};

/** Of two paths of equal class and length the narrower one. */
const pathWidth: Readonly<Record<Match['path']['type'], number>> = {
  exact: 0,
  regexFull: 0,
  regexStart: 1,
  segmentPrefix: 0,
  stringPrefix: 1,
};

export const rankOf = ({ path, methods, headers, query, cookies }: Match): Rank => [
  pathClass[path.type],
  -path.value.length,
  pathWidth[path.type],
  methods.length > 0 ? 0 : 1,
  -headers.length,
  -query.length,
  -cookies.length,
];

const compareRanks = (a: Rank, b: Rank): number => {
  for (const [index, value] of a.entries()) {
    const difference = value - (b[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
};

export interface Ranked {
  readonly rank: Rank;
  /** `namespace/name` of the Route. */
  readonly route: string;
  /** Place of the match in its Route. */
  readonly place: number;
}

export const compareRanked = (a: Ranked, b: Ranked): number =>
  compareRanks(a.rank, b.rank) || compareText(a.route, b.route) || a.place - b.place;

/**
 * In a list where the first match wins, no rule may stand above one before it. So each is ranked with the least specific
 * rule up to its own place: the list keeps its order, and takes nothing from a more specific rule of another Route.
 */
export const listedRanks = (ranks: readonly Rank[]): readonly Rank[] => {
  const result: Rank[] = [];
  for (const rank of ranks) {
    const before = result.at(-1);
    result.push(before && compareRanks(before, rank) > 0 ? before : rank);
  }
  return result;
};
