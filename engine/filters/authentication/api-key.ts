// API keys. A key that reads `<id>.<secret>`, with the id of a consumer's key, is found at once however many there are;
// any other key is tried with every salt, unless there are more than 1,000 of them.
import type { AuthenticationMethod } from '../../model/snapshot.ts';
import type { FilterBuild } from '../filter.ts';
import { queryValues } from '../request-parts.ts';
import { type Consumers, consumerIdentity, consumersOf, type KeyOwner } from './consumers.ts';
import { type Attempt, failure, type Method } from './identity.ts';
import { TokenCache } from './token-cache.ts';

type ApiKeyPlan = Extract<AuthenticationMethod, { type: 'apiKey' }>;

const MAX_KEY_LENGTH = 1024;

export const apiKey = (plan: ApiKeyPlan, build: FilterBuild): Method => {
  const consumers = consumersOf(build);
  const { clock, hash } = build.deps;
  const header = plan.header.toLowerCase();

  const cache = new TokenCache(2 ** 20);

  const check = (presented: string): Attempt => {
    const nowMs = clock.now();
    const known = cache.get(presented, nowMs);
    if (known !== undefined) return known;
    if (presented.length > MAX_KEY_LENGTH) return failure('the API key is not valid');
    const owner = ownerOf(presented, consumers, hash);
    const expiresMs = owner === undefined ? 0 : owner.key.expiresMs || Number.POSITIVE_INFINITY;
    if (owner === undefined || expiresMs <= nowMs) return failure('the API key is not valid');
    const identity = consumerIdentity(owner.consumer, { apiKey: owner.key.id }, { expiresMs });
    cache.set(presented, identity);
    return identity;
  };

  return {
    authenticate({ request }) {
      const inHeader = request.header(header) === undefined ? [] : request.headers(header);
      const inQuery = plan.query === undefined ? [] : queryValues(request.query, plan.query);
      const [presented, ...more] = [...inHeader, ...inQuery];
      if (presented === undefined || presented === '') return undefined;
      if (more.some((other) => other !== presented)) return failure('more than one API key');
      return check(presented);
    },
    conceal(exchange) {
      if (plan.forwardKey) return;
      exchange.removeHeaders.push(header);
      if (plan.query === undefined) return;
      exchange.hiddenQuery ??= new Set();
      exchange.hiddenQuery.add(plan.query);
    },
    challenge: (host) => `ApiKey realm="${host}"`,
  };
};

const ownerOf = (
  presented: string,
  { byKeyId, bySalt }: Consumers,
  hash: (text: string) => string,
): KeyOwner | undefined => {
  const dot = presented.indexOf('.');
  const named = dot > 0 ? byKeyId.get(presented.slice(0, dot)) : undefined;
  if (named !== undefined)
    return hash(named.key.salt + presented) === named.key.hash ? named : undefined;
  for (const [salt, owners] of bySalt ?? []) {
    const hashed = hash(salt + presented);
    const owner = owners.find(({ key }) => key.hash === hashed);
    if (owner !== undefined) return owner;
  }
  return undefined;
};
