// The position automaton of a pattern (Glushkov): one state per character of the pattern, no empty moves. A way through it
// is a way in which a backtracking matcher can read a text, so two ways for one text are work done twice.
import { allChars, anyChar, type CharSet, type Node, PatternError } from './syntax.ts';

export interface Automaton {
  readonly sets: readonly CharSet[];
  /** States for the first character of a text. */
  readonly first: readonly number[];
  /** Place in the pattern that each state comes from. */
  readonly places: readonly number[];
  readonly follow: readonly ReadonlySet<number>[];
  /** Moves that the pattern allows in more than one way: `(a*)*`. */
  readonly doubled: readonly (readonly [from: number, to: number])[];
}

const MAX_STATES = 600;

interface Ends {
  readonly nullable: boolean;
  readonly first: readonly number[];
  readonly last: readonly number[];
}

const nothing: Ends = { nullable: true, first: [], last: [] };

export const automatonOf = (root: Node): Automaton => {
  const builder = new Builder();
  const { first, last } = builder.build(root);
  return builder.finish(first, new Set(last));
};

class Builder {
  readonly #sets: CharSet[] = [];
  readonly #places: number[] = [];
  readonly #follow: Set<number>[] = [];
  readonly #doubled: (readonly [number, number])[] = [];

  build(node: Node): Ends {
    switch (node.type) {
      case 'empty':
        return nothing;
      case 'chars':
        return this.#chars(node.set, node.at);
      case 'sequence':
        return node.parts.map((part) => () => this.build(part)).reduce(this.#then, nothing);
      case 'choice':
        return node.parts.map((part) => this.build(part)).reduce(either);
      case 'repeat':
        return this.#repeat(node);
      default:
        return node satisfies never;
    }
  }

  /**
   * Whoever gets to a loop over every character at the end of the pattern has matched, so nothing is ever tried again from
   * there: such states are taken out.
   */
  finish(first: readonly number[], last: ReadonlySet<number>): Automaton {
    const isSafe = (state: number): boolean =>
      last.has(state) &&
      (this.#sets[state] === anyChar || this.#sets[state] === allChars) &&
      this.#follow[state]?.size === 1 &&
      this.#follow[state].has(state);
    const follow = this.#follow.map(
      (targets, state) =>
        new Set(isSafe(state) ? [] : [...targets].filter((target) => !isSafe(target))),
    );
    const doubled = this.#doubled.filter(([from, to]) => follow[from]?.has(to));
    return {
      sets: this.#sets,
      first: first.filter((state) => !isSafe(state)),
      places: this.#places,
      follow,
      doubled,
    };
  }

  #chars(set: CharSet, at: number): Ends {
    const state = this.#sets.push(set) - 1;
    if (state >= MAX_STATES) throw new PatternError('is too long once its counts are written out');
    this.#places.push(at);
    this.#follow.push(new Set());
    return { nullable: false, first: [state], last: [state] };
  }

  readonly #then = (left: Ends, make: () => Ends): Ends => {
    const right = make();
    this.#link(left.last, right.first);
    return {
      nullable: left.nullable && right.nullable,
      first: left.nullable ? [...left.first, ...right.first] : left.first,
      last: right.nullable ? [...left.last, ...right.last] : right.last,
    };
  };

  #link(from: readonly number[], to: readonly number[]): void {
    for (const source of from)
      for (const target of to)
        if (this.#follow[source]?.has(target)) this.#doubled.push([source, target]);
        else this.#follow[source]?.add(target);
  }

  #repeat({ body, min, max }: Extract<Node, { type: 'repeat' }>): Ends {
    if (max === 0) return nothing;
    if (max === Number.POSITIVE_INFINITY) {
      let ends = nothing;
      for (let copy = 1; copy < min; copy += 1) ends = this.#then(ends, () => this.build(body));
      return this.#then(ends, () => {
        const loop = this.build(body);
        this.#link(loop.last, loop.first);
        return { ...loop, nullable: loop.nullable || min === 0 };
      });
    }
    let ends = nothing;
    for (let copy = 0; copy < min; copy += 1) ends = this.#then(ends, () => this.build(body));
    return this.#then(ends, () => this.#optional(body, max - min));
  }

  /** `(x(x(x)?)?)?` */
  #optional(body: Node, times: number): Ends {
    if (times === 0) return nothing;
    const ends = this.#then(this.build(body), () => this.#optional(body, times - 1));
    return { ...ends, nullable: true };
  }
}

const either = (left: Ends, right: Ends): Ends => ({
  nullable: left.nullable || right.nullable,
  first: [...left.first, ...right.first],
  last: [...left.last, ...right.last],
});
