// One match of a Route as a list of tests. Serving and `explain` run the same list; serving stops at the first failure.
import { combinedHeader, cookie, queryValues } from '../filters/request-parts.ts';
import type { Match, NamedMatch, ValueMatch } from '../model/snapshot.ts';
import type { RequestView } from './exchange.ts';

export interface CompiledMatch {
  readonly source: Match;
  coversPath(path: string): boolean;
  /** Everything but the path. `method` may differ from the request's own: a preflight asks for another one. */
  accepts(request: RequestView, method: string): boolean;
  /** Why not, in words; undefined if it matches. */
  failure(request: RequestView, method: string): string | undefined;
}

interface Condition {
  readonly text: string;
  holds(request: RequestView): boolean;
}

export const compileMatch = (match: Match): CompiledMatch => {
  const coversPath = pathTest(match.path);
  const methods = match.methods.length > 0 ? new Set(match.methods) : undefined;
  const conditions: readonly Condition[] = [
    ...match.headers.map((named) => condition('header', named, combinedHeader)),
    ...match.query.map((named) =>
      condition('query', named, (request, name) => queryValues(request.query, name)[0]),
    ),
    ...match.cookies.map((named) => condition('cookie', named, cookie)),
  ];
  return {
    source: match,
    coversPath,
    accepts(request, method) {
      if (methods !== undefined && !methods.has(method)) return false;
      for (const each of conditions) if (!each.holds(request)) return false;
      return true;
    },
    failure(request, method) {
      if (!coversPath(request.path))
        return `path ${request.path} is not covered by ${match.path.type} ${match.path.value}`;
      if (methods !== undefined && !methods.has(method))
        return `method ${method} is not one of ${match.methods.join(', ')}`;
      return conditions.find((each) => !each.holds(request))?.text;
    },
  };
};

const pathTest = ({ type, value }: Match['path']): ((path: string) => boolean) => {
  switch (type) {
    case 'exact':
      return (path) => path === value;
    case 'stringPrefix':
      return (path) => path.startsWith(value);
    case 'segmentPrefix': {
      const prefix = value.replace(/\/+$/, '');
      return (path) =>
        path.startsWith(prefix) && (path.length === prefix.length || path[prefix.length] === '/');
    }
    case 'regexStart': {
      const regex = new RegExp(`^(?:${value})`);
      return (path) => regex.test(path);
    }
    case 'regexFull': {
      const regex = new RegExp(`^(?:${value})$`);
      return (path) => regex.test(path);
    }
    default:
      return type satisfies never;
  }
};

const condition = (
  what: string,
  named: NamedMatch,
  find: (request: RequestView, name: string) => string | undefined,
): Condition => {
  const matches = valueTest(named.match);
  return {
    text: `${what} ${named.name} ${named.not ? 'is' : 'is not'} ${describe(named.match)}`,
    holds: (request) => matches(find(request, named.name)) !== named.not,
  };
};

const valueTest = (match: ValueMatch): ((value: string | undefined) => boolean) => {
  switch (match.type) {
    case 'exact':
      return (value) => value === match.value;
    case 'prefix':
      return (value) => value?.startsWith(match.value) ?? false;
    case 'regex': {
      const regex = new RegExp(`^(?:${match.value})$`);
      return (value) => value !== undefined && regex.test(value);
    }
    case 'present':
      return (value) => value !== undefined;
    default:
      return match satisfies never;
  }
};

const describe = (match: ValueMatch): string =>
  match.type === 'present' ? 'present' : `${match.type} ${match.value}`;
