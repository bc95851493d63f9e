// Finds rules that can never be reached because one before them always matches first.
import type { Match, NamedMatch } from '../../model/snapshot.ts';
import type { RouteRule } from './route-rules.ts';

export interface Shadowed {
  readonly rule: RouteRule;
  readonly by: RouteRule;
}

/** Each list in the order to ask. A rule counts only if it is unreachable in every list that has it. */
export const shadowedRules = (lists: readonly (readonly RouteRule[])[]): readonly Shadowed[] => {
  const reached = new Set<RouteRule>();
  const hidden = new Map<RouteRule, RouteRule>();
  for (const list of lists) {
    const before = new PathIndex();
    for (const rule of list) {
      const by = before.find(rule);
      if (by) hidden.set(rule, by);
      else reached.add(rule);
      before.add(rule);
    }
  }
  return [...hidden].filter(([rule]) => !reached.has(rule)).map(([rule, by]) => ({ rule, by }));
};

/** Rules by path, so that only those whose path covers another one's are compared with it. */
class PathIndex {
  readonly #byPath = new Map<string, RouteRule[]>();
  readonly #prefixLengths = new Set<number>();

  add(rule: RouteRule): void {
    const { path } = rule.rule.match;
    if (path.type === 'stringPrefix') this.#prefixLengths.add(path.value.length);
    const key = `${path.type} ${path.value}`;
    const list = this.#byPath.get(key);
    if (list) list.push(rule);
    else this.#byPath.set(key, [rule]);
  }

  find(rule: RouteRule): RouteRule | undefined {
    const { match } = rule.rule;
    for (const key of this.#coveringPaths(match.path))
      for (const other of this.#byPath.get(key) ?? [])
        if (coversConditions(other.rule.match, match)) return other;
    return undefined;
  }

  *#coveringPaths({ type, value }: Match['path']): Generator<string> {
    yield `${type} ${value}`;
    yield 'segmentPrefix /';
    yield 'stringPrefix /';
    if (type === 'regexFull' || type === 'regexStart') return;
    for (const length of this.#prefixLengths)
      if (length <= value.length) yield `stringPrefix ${value.slice(0, length)}`;
    // `/foo` as a string prefix covers `/foobar`, which no segment prefix does.
    if (type === 'stringPrefix') return;
    for (let end = value.length; end > 0; end = value.lastIndexOf('/', end - 1))
      yield `segmentPrefix ${value.slice(0, end)}`;
  }
}

const coversConditions = (outer: Match, inner: Match): boolean =>
  (outer.methods.length === 0 ||
    (inner.methods.length > 0 && inner.methods.every((one) => outer.methods.includes(one)))) &&
  isSubset(outer.headers, inner.headers) &&
  isSubset(outer.query, inner.query) &&
  isSubset(outer.cookies, inner.cookies);

const isSubset = (few: readonly NamedMatch[], many: readonly NamedMatch[]): boolean => {
  if (few.length === 0) return true;
  const texts = new Set(many.map((one) => JSON.stringify(one)));
  return few.every((one) => texts.has(JSON.stringify(one)));
};
