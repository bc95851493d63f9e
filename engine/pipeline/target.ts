// The path and query that an upstream sees.
import type { ForwardAction } from '../model/snapshot.ts';

type Rewrite = NonNullable<ForwardAction['rewrite']>;

/** One function per rule, so that rules without a rewrite do nothing. */
export const targetOf = (rewrite: Rewrite | undefined): ((path: string) => string) => {
  if (rewrite === undefined) return asItIs;
  const { path: whole, stripPrefix, prefix } = rewrite;
  if (whole !== undefined) return () => whole;
  if (stripPrefix === undefined && prefix === undefined) return asItIs;
  const stripped = stripPrefix === undefined ? asItIs : strip(stripPrefix.replace(/\/+$/, ''));
  const front = (prefix ?? '').replace(/\/+$/, '');
  return (path) => join(front, stripped(path));
};

const asItIs = (path: string): string => path;

const strip =
  (prefix: string) =>
  (path: string): string =>
    path.startsWith(prefix) ? path.slice(prefix.length) : path;

/** Exactly one slash between the two and never two at the front, where they would read as a host. */
const join = (front: string, rest: string): string => {
  if (rest === '') return front === '' ? '/' : front;
  let start = 0;
  while (rest.charCodeAt(start) === SLASH) start += 1;
  if (start === 1) return front === '' ? rest : front + rest;
  return `${front}/${rest.slice(start)}`;
};

const SLASH = 47;

export const withQuery = (path: string, query: string): string =>
  query === '' ? path : `${path}?${query}`;
