// Single parts of a request, found without taking the whole apart.
import type { RequestView } from '../pipeline/exchange.ts';

/** All lines of a header as one value (RFC 9110 section 5.3), so that no copy escapes a policy. */
export const combinedHeader = (request: RequestView, name: string): string | undefined => {
  const first = request.header(name);
  if (first === undefined) return undefined;
  const values = request.headers(name);
  return values.length > 1 ? values.join(',') : first;
};

/** The first cookie of that name. */
export const cookie = (request: RequestView, name: string): string | undefined => {
  if (request.header('cookie') === undefined) return undefined;
  for (const line of request.headers('cookie')) {
    const value = inCookieLine(line, name);
    if (value !== undefined) return value;
  }
  return undefined;
};

const inCookieLine = (line: string, name: string): string | undefined => {
  for (let start = 0; start < line.length; ) {
    const semicolon = line.indexOf(';', start);
    const end = semicolon === -1 ? line.length : semicolon;
    const equals = line.indexOf('=', start);
    if (equals !== -1 && equals < end && line.slice(start, equals).trim() === name)
      return unquoted(line.slice(equals + 1, end).trim());
    start = end + 1;
  }
  return undefined;
};

const unquoted = (value: string): string =>
  value.length >= 2 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value;

/** All values of a query parameter, decoded. */
export const queryValues = (query: string, name: string): readonly string[] => {
  if (query === '') return [];
  const values: string[] = [];
  for (let start = 0; start <= query.length; ) {
    const ampersand = query.indexOf('&', start);
    const end = ampersand === -1 ? query.length : ampersand;
    const equals = query.indexOf('=', start);
    const nameEnd = equals === -1 || equals > end ? end : equals;
    if (nameEnd > start && decoded(query.slice(start, nameEnd)) === name)
      values.push(nameEnd < end ? decoded(query.slice(nameEnd + 1, end)) : '');
    start = end + 1;
  }
  return values;
};

/** Form decoding; what is not valid UTF-8 behind its `%` stays as it was written. */
const decoded = (text: string): string => {
  if (!text.includes('%') && !text.includes('+')) return text;
  const spaced = text.replaceAll('+', ' ');
  try {
    return decodeURIComponent(spaced);
  } catch {
    return spaced;
  }
};

/** The query without some of its parameters, the rest as it was written. */
export const withoutQuery = (query: string, names: ReadonlySet<string>): string => {
  if (query === '') return query;
  return query
    .split('&')
    .filter((pair) => !names.has(decoded(pair.split('=', 1)[0] ?? '')))
    .join('&');
};

/** Cookie lines without one cookie, joined; undefined if nothing is left. */
export const withoutCookie = (request: RequestView, name: string): string | undefined => {
  const rest = request
    .headers('cookie')
    .flatMap((line) => line.split(';'))
    .map((pair) => pair.trim())
    .filter((pair) => pair !== '' && pair.split('=', 1)[0]?.trim() !== name);
  return rest.length > 0 ? rest.join('; ') : undefined;
};
