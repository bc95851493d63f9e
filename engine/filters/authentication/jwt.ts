// Signed tokens (RFC 7519). A token that was verified before costs one look-up in a map.
import type { AuthenticationMethod, IssuerPlan } from '../../model/snapshot.ts';
import type { RequestView } from '../../pipeline/exchange.ts';
import type { FilterBuild, FilterExchange } from '../filter.ts';
import { putHeader } from '../header-names.ts';
import { cookie, queryValues, withoutCookie } from '../request-parts.ts';
import { bearer, bearerChallenge } from './bearer.ts';
import { consumersOf, recognised } from './consumers.ts';
import { type Attempt, type Failure, failure, type Method } from './identity.ts';
import { TokenCache } from './token-cache.ts';
import { createIssuer, type Issuer, verifyToken } from './verify-token.ts';

type JwtPlan = Extract<AuthenticationMethod, { type: 'jwt' }>;

/** One place in a request where tokens are looked for, and the issuers whose tokens may stand there. */
interface Place {
  readonly issuers: readonly Issuer[];
  readonly cache: TokenCache;
  /** Tokens that are being verified: many requests with one new token wait for one answer. */
  readonly pending: Map<string, Promise<Attempt>>;
  readonly isForwarded: boolean;
  find(request: RequestView): string | Failure | undefined;
  conceal(exchange: FilterExchange): void;
}

export const jwt = (plan: JwtPlan, build: FilterBuild): Method => {
  const places = placesOf(plan, build);
  const consumers = consumersOf(build);
  const { clock, onUnknownKey } = build.deps;

  const check = (place: Place, token: string): Attempt | Promise<Attempt> => {
    const nowMs = clock.now();
    const known = place.cache.get(token, nowMs);
    if (known !== undefined) return recognised(known, consumers);
    const underWay = place.pending.get(token);
    if (underWay) return underWay;
    const verified = verifyToken(token, place.issuers, { nowMs, onUnknownKey })
      .then((result) => {
        if (result.type === 'failure') return result;
        place.cache.set(token, result);
        return recognised(result, consumers);
      })
      .finally(() => place.pending.delete(token));
    place.pending.set(token, verified);
    return verified;
  };

  return {
    authenticate(exchange) {
      let found: { readonly place: Place; readonly token: string } | undefined;
      for (const place of places) {
        const token = place.find(exchange.request);
        if (token === undefined) continue;
        if (typeof token !== 'string') return token;
        if (found !== undefined && found.token !== token) return failure('more than one token');
        found ??= { place, token };
      }
      return found === undefined ? undefined : check(found.place, found.token);
    },
    conceal(exchange) {
      for (const place of places) if (!place.isForwarded) place.conceal(exchange);
    },
    challenge: bearerChallenge,
  };
};

const placesOf = (plan: JwtPlan, build: FilterBuild): readonly Place[] => {
  const issuersAt = new Map<string, IssuerPlan[]>();
  for (const issuer of plan.issuers)
    for (const [where, name] of Object.entries(issuer.from)) {
      if (name === undefined) continue;
      const key = `${where} ${where === 'header' ? name.toLowerCase() : name}`;
      issuersAt.set(key, [...(issuersAt.get(key) ?? []), issuer]);
    }
  return [...issuersAt].map(([key, issuers]) => {
    const space = key.indexOf(' ');
    const kind = placeKinds[key.slice(0, space) as keyof IssuerPlan['from']];
    // The plans are the key: other audiences or other keys, and nothing from the cache counts any more.
    const basis = build.deps.hash(JSON.stringify([key, issuers]));
    return {
      issuers: issuers.map(createIssuer),
      cache: build.keep(`tokens ${basis}`, () => new TokenCache()),
      pending: new Map(),
      isForwarded: issuers.every((issuer) => issuer.forwardToken),
      ...kind(key.slice(space + 1)),
    };
  });
};

type PlaceKind = (name: string) => Pick<Place, 'find' | 'conceal'>;

const placeKinds: Readonly<Record<keyof IssuerPlan['from'], PlaceKind>> = {
  header: (name) => ({
    find: name === 'authorization' ? bearer : (request) => single(request.headers(name)),
    conceal: (exchange) => exchange.removeHeaders.push(name),
  }),
  cookie: (name) => ({
    find: (request) => cookie(request, name) || undefined,
    conceal(exchange) {
      const rest = withoutCookie(exchange.request, name);
      if (rest === undefined) exchange.removeHeaders.push('cookie');
      else putHeader(exchange.setHeaders, 'cookie', rest);
    },
  }),
  query: (name) => ({
    find: (request) => single(queryValues(request.query, name)),
    conceal(exchange) {
      exchange.hiddenQuery ??= new Set();
      exchange.hiddenQuery.add(name);
    },
  }),
};

const single = (values: readonly string[]): string | Failure | undefined =>
  values.length > 1 ? failure('more than one token') : values[0] || undefined;
