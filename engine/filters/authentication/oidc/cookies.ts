// The cookies of one login policy. Behind TLS their names begin with __Host-, which no other host, no subdomain and no plain
// connection can set.
import type { RequestView } from '../../../pipeline/exchange.ts';
import type { FilterExchange } from '../../filter.ts';
import { headerIn, putHeader } from '../../header-names.ts';
import { cookie } from '../../request-parts.ts';

/** Browsers keep at most 4096 bytes of one cookie, name and attributes included. */
const CHUNK = 3800;
const MAX_CHUNKS = 4;

export interface Cookies {
  session(request: RequestView): string | undefined;
  login(request: RequestView, state: string): string | undefined;
  /** Values of Set-Cookie; undefined if it does not fit into as many cookies as browsers and proxies bear. */
  keepSession(request: RequestView, sealed: string, maxAgeS: number): readonly string[] | undefined;
  keepLogin(state: string, sealed: string, maxAgeS: number): string;
  dropSession(request: RequestView): readonly string[];
  /** All logins that were started and not finished. */
  dropLogins(request: RequestView): readonly string[];
}

export const createCookies = (owner: string, isSecure: boolean): Cookies => {
  const host = isSecure ? '__Host-' : '';
  const sessionName = `${host}weir-session-${owner}`;
  const loginName = `${host}weir-login-${owner}-`;
  const attributes = `; Path=/; HttpOnly; SameSite=Lax${isSecure ? '; Secure' : ''}`;
  const keep = (name: string, value: string, maxAgeS: number): string =>
    `${name}=${value}; Max-Age=${maxAgeS}${attributes}`;
  const drop = (name: string): string => keep(name, '', 0);
  const chunkName = (index: number): string =>
    index === 0 ? sessionName : `${sessionName}.${index}`;
  const loginOf = (state: string): string => `${loginName}${state.slice(0, 12)}`;
  const sessionNames = (request: RequestView): readonly string[] =>
    cookieNames(request).filter(
      (name) => name === sessionName || name.startsWith(`${sessionName}.`),
    );
  return {
    session(request) {
      const first = cookie(request, sessionName);
      if (first === undefined) return undefined;
      const [, count, part] = /^([1-4])~(.*)$/.exec(first) ?? [];
      let whole = part ?? '';
      for (let i = 1; i < Number(count ?? 0); i += 1) whole += cookie(request, chunkName(i)) ?? '';
      return whole === '' ? undefined : whole;
    },
    login: (request, state) => cookie(request, loginOf(state)),
    keepSession(request, sealed, maxAgeS) {
      const parts = sealed.match(new RegExp(`.{1,${CHUNK}}`, 'g')) ?? [];
      if (parts.length > MAX_CHUNKS) return undefined;
      const kept = parts.map((part, i) =>
        keep(chunkName(i), i === 0 ? `${parts.length}~${part}` : part, maxAgeS),
      );
      const names = new Set(parts.map((_, i) => chunkName(i)));
      return [
        ...kept,
        ...sessionNames(request)
          .filter((name) => !names.has(name))
          .map(drop),
      ];
    },
    keepLogin: (state, sealed, maxAgeS) => keep(loginOf(state), sealed, maxAgeS),
    dropSession: (request) => [...new Set([sessionName, ...sessionNames(request)])].map(drop),
    dropLogins: (request) =>
      cookieNames(request)
        .filter((name) => name.startsWith(loginName))
        .map(drop),
  };
};

const pairsOf = (lines: readonly string[]): readonly string[] =>
  lines.flatMap((line) => line.split(';')).map((pair) => pair.trim());

const nameOf = (pair: string): string => pair.split('=', 1)[0]?.trim() ?? '';

const cookieNames = (request: RequestView): readonly string[] =>
  request.header('cookie') === undefined ? [] : pairsOf(request.headers('cookie')).map(nameOf);

const ours = /^(?:__Host-)?weir-(?:session|login)-/;

/** Services get to see every cookie but those that sign people in. */
export const concealCookies = (exchange: FilterExchange): void => {
  const { request, setHeaders, removeHeaders } = exchange;
  if (request.header('cookie')?.includes('weir-') !== true && request.headers('cookie').length < 2)
    return;
  const changed = headerIn(setHeaders, 'cookie');
  if (changed === undefined && removeHeaders.includes('cookie')) return;
  const pairs = pairsOf(changed === undefined ? request.headers('cookie') : [changed]);
  const rest = pairs.filter((pair) => pair !== '' && !ours.test(nameOf(pair)));
  if (rest.length === pairs.length) return;
  if (rest.length > 0) putHeader(setHeaders, 'cookie', rest.join('; '));
  else {
    const at = setHeaders.indexOf('cookie');
    if (at !== -1) setHeaders.splice(at, 2);
    removeHeaders.push('cookie');
  }
};
