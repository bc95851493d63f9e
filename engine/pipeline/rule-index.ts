// The ordered rules of one host behind an index: same answer as walking the list, without walking it.
import { PathIndex } from '../filters/path-index.ts';
import type { RequestView } from './exchange.ts';
import type { CompiledMatch } from './match.ts';

export interface Ranked {
  /** Place in the list; the smallest that matches wins. */
  readonly rank: number;
  readonly match: CompiledMatch;
}

export class RuleIndex<R extends Ranked> {
  readonly #paths = new PathIndex<R>();
  readonly #regexes: R[] = [];
  readonly #lists: (readonly R[])[] = [];

  /** `rules` in rank order. */
  constructor(rules: readonly R[]) {
    for (const rule of rules) {
      const { type, value } = rule.match.source.path;
      if (type === 'regexStart' || type === 'regexFull') this.#regexes.push(rule);
      else this.#paths.add({ type, value }, rule);
    }
  }

  find(request: RequestView, method: string): R | undefined {
    const lists = this.#lists;
    lists.length = 0;
    this.#paths.collect(request.path, lists);
    let best: R | undefined;
    // Longest pattern first: it usually has the best rank, and then the other lists end at their first rule.
    for (let i = lists.length - 1; i >= 0; i -= 1) {
      const list = lists[i];
      if (list !== undefined) best = firstIn(list, best, request, method);
    }
    for (const rule of this.#regexes) {
      if (best !== undefined && rule.rank >= best.rank) break;
      if (rule.match.coversPath(request.path) && rule.match.accepts(request, method)) return rule;
    }
    return best;
  }
}

const firstIn = <R extends Ranked>(
  list: readonly R[],
  best: R | undefined,
  request: RequestView,
  method: string,
): R | undefined => {
  for (const rule of list) {
    if (best !== undefined && rule.rank >= best.rank) return best;
    if (rule.match.accepts(request, method)) return rule;
  }
  return best;
};
