// The facts of a request that conditions may ask for, by Istio's names.

import { own } from '../own.ts';
import type { Judged } from './judged.ts';
import { type StringTest, stringTest, wildcardTest } from './strings.ts';

/** `cluster.local/ns/bibby/sa/library-service`, without the scheme. */
export const peerPrincipal = ({ request }: Judged): string | undefined =>
  request.peerPrincipal?.startsWith(SPIFFE)
    ? request.peerPrincipal.slice(SPIFFE.length)
    : request.peerPrincipal;

const SPIFFE = 'spiffe://';

export const withoutScheme = (pattern: string): string =>
  pattern.startsWith(SPIFFE) ? pattern.slice(SPIFFE.length) : pattern;

const identityPart = (name: 'ns' | 'sa') => {
  const regex =
    name === 'ns' ? /^[^/]+\/ns\/([^/]+)\/sa\/[^/]+$/ : /^[^/]+\/ns\/[^/]+\/sa\/([^/]+)$/;
  return (exchange: Judged): string | undefined => regex.exec(peerPrincipal(exchange) ?? '')?.[1];
};

export const peerNamespace = identityPart('ns');
const peerAccount = identityPart('sa');

export type Fact = (exchange: Judged) => readonly string[];

const one = (value: string | undefined): readonly string[] =>
  value === undefined ? none : [value];
const none: readonly string[] = Object.freeze([]);

const plain: ReadonlyMap<string, Fact> = new Map<string, Fact>([
  ['source.principal', (exchange) => one(peerPrincipal(exchange))],
  ['source.namespace', (exchange) => one(peerNamespace(exchange))],
  ['source.serviceAccount', (exchange) => one(peerAccount(exchange))],
  ['source.trustDomain', (exchange) => one(peerPrincipal(exchange)?.split('/', 1)[0])],
  ['request.auth.principal', ({ principal }) => one(principal)],
  ['request.auth.audiences', ({ claims }) => texts(own(claims ?? {}, 'aud'))],
  ['request.auth.presenter', ({ claims }) => texts(own(claims ?? {}, 'azp'))],
  ['request.auth.consumer', ({ consumer }) => one(consumer)],
  ['request.auth.groups', ({ groups }) => groups],
  ['request.method', ({ request }) => [request.method]],
  ['request.path', ({ request }) => [request.path]],
  ['request.host', ({ request }) => [request.host]],
  ['destination.port', ({ request }) => [String(request.localPort)]],
  ['connection.sni', ({ request }) => one(request.serverName)],
]);

/** Undefined: no such fact. */
export const factOf = (key: string): Fact | undefined => {
  const claim = /^request\.auth\.claims((?:\[[^\]]+\])+)$/.exec(key)?.[1];
  if (claim === undefined) return plain.get(key);
  const names = [...claim.matchAll(/\[([^\]]+)\]/g)].map((each) => each[1] ?? '');
  return ({ claims }) => claimTexts(claims, names);
};

/** As written, but for identities, whose scheme may be left out, and server names, which have no case. */
export const patternsOf = (key: string, values: readonly string[]): readonly string[] => {
  if (key === 'source.principal') return values.map(withoutScheme);
  return key === 'connection.sni' ? values.map((value) => value.toLowerCase()) : values;
};

/** Namespaces take `*` anywhere, as in `from`. */
export const testOf = (key: string): ((pattern: string) => StringTest) =>
  key === 'source.namespace' ? wildcardTest : stringTest;

export const headerOf = (key: string): string | undefined =>
  /^request\.headers\[([^\]]+)\]$/.exec(key)?.[1]?.toLowerCase();

export const addressOf = (key: string): ((exchange: Judged) => string) | undefined => {
  if (key === 'source.ip') return ({ request }) => request.peerAddress;
  if (key === 'destination.ip') return ({ request }) => request.localAddress ?? '';
  return key === 'remote.ip' ? ({ request }) => request.clientAddress : undefined;
};

const spaceDelimited = new Set(['scope', 'permission']);

/** Lists match by any element; numbers and booleans never match. */
const claimTexts = (claims: Judged['claims'], names: readonly string[]): readonly string[] => {
  let value: unknown = claims;
  for (const name of names) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return none;
    value = own(value as Record<string, unknown>, name);
  }
  const last = names.at(-1) ?? '';
  if (typeof value === 'string' && names.length === 1 && spaceDelimited.has(last))
    return [value, ...value.split(' ')];
  return texts(value);
};

const texts = (value: unknown): readonly string[] => {
  if (typeof value === 'string') return [value];
  return Array.isArray(value) ? value.filter((each) => typeof each === 'string') : none;
};
