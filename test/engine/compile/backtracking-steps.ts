// A matcher that does what a backtracking engine does, and counts. Anchored at both ends.
import type { Node } from '#engine/compile/regex/syntax.ts';

export const countSteps = (pattern: Node, text: string, limit: number): number => {
  let steps = 0;
  type Next = (at: number) => boolean;
  const match = (node: Node, at: number, next: Next): boolean => {
    steps += 1;
    if (steps >= limit) return true;
    switch (node.type) {
      case 'empty':
        return next(at);
      case 'chars': {
        if (at >= text.length) return false;
        const code = BigInt(Math.min(text.charCodeAt(at), 256));
        return ((node.set >> code) & 1n) === 1n && next(at + 1);
      }
      case 'sequence':
        return node.parts.reduceRight<Next>(
          (rest, part) => (place) => match(part, place, rest),
          next,
        )(at);
      case 'choice':
        return node.parts.some((part) => match(part, at, next));
      case 'repeat':
        return repeat(node, 0, at, next);
      default:
        return node satisfies never;
    }
  };
  const repeat = (
    node: Extract<Node, { type: 'repeat' }>,
    done: number,
    at: number,
    next: Next,
  ): boolean => {
    const again = () =>
      match(node.body, at, (place) => {
        // Like JavaScript, an optional round that takes nothing does not count.
        if (place === at && done >= node.min) return false;
        return repeat(node, done + 1, place, next);
      });
    if (done < node.max && again()) return true;
    return done >= node.min && next(at);
  };
  match(pattern, 0, (at) => at === text.length);
  return steps;
};
