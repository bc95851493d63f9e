// User name and password (RFC 7617), checked with scrypt. What was right once is remembered for five minutes, as a hash.
import { base64url } from 'jose';
import { parsePasswordHash } from '../../model/password-hash.ts';
import type { AuthenticationMethod, ConsumerPlan } from '../../model/snapshot.ts';
import type { FilterBuild, FilterDeps, ScryptCost } from '../filter.ts';
import { consumerIdentity, consumersOf } from './consumers.ts';
import { type Attempt, failure, type Identity, type Method } from './identity.ts';
import { TokenCache } from './token-cache.ts';

type BasicPlan = Extract<AuthenticationMethod, { type: 'basic' }>;

const REMEMBER_MS = 5 * 60_000;
/** Each check costs tens of milliseconds and megabytes; guessers must not take the machine. */
const MAX_PENDING = 32;

interface Secret {
  readonly cost: ScryptCost;
  readonly salt: Uint8Array;
  readonly key: Uint8Array;
}

export const basic = (plan: BasicPlan, build: FilterBuild): Method => {
  const consumers = consumersOf(build);
  const { deps } = build;
  const cache = build.keep('basic', () => new TokenCache(2 ** 20));
  const holders = build.keep('basic holders', () => new WeakMap<Identity, ConsumerPlan>());
  const pending = new Map<string, Promise<Attempt>>();

  const check = async (value: string, memory: string): Promise<Attempt> => {
    const pair = decodePair(value);
    if (pair === undefined) return failure('the user name or password is not valid');
    const consumer = consumers.byUsername.get(pair.username);
    const identity = await verify(pair.password, consumer, deps);
    if (consumer === undefined || identity === undefined)
      return failure('the user name or password is not valid');
    return remember(memory, identity, consumer);
  };

  const remember = (memory: string, identity: Identity, consumer: ConsumerPlan): Identity => {
    identity.recognisedIn = consumers;
    holders.set(identity, consumer);
    cache.set(memory, identity);
    return identity;
  };

  /** What was right for an earlier snapshot holds while the stored hash is the same; the rest may have changed. */
  const remembered = (memory: string): Identity | undefined => {
    const identity = cache.get(memory, deps.clock.now());
    if (identity === undefined || identity.recognisedIn === consumers) return identity;
    const before = holders.get(identity)?.basic;
    const consumer = before && consumers.byUsername.get(before.username);
    if (consumer?.basic === undefined || consumer.basic.hash !== before?.hash) return undefined;
    const { expiresMs } = identity;
    return remember(memory, consumerIdentity(consumer, {}, { expiresMs }), consumer);
  };

  return {
    authenticate({ request }) {
      const value = request.header('authorization');
      if (value === undefined || !/^basic /i.test(value)) return undefined;
      const memory = deps.hash(value);
      const known = remembered(memory);
      if (known !== undefined) return known;
      const underWay = pending.get(memory);
      if (underWay) return underWay;
      if (pending.size >= MAX_PENDING)
        return { type: 'failure', reason: 'too many sign-ins at once', status: 503 };
      const checked = check(value, memory).finally(() => pending.delete(memory));
      pending.set(memory, checked);
      return checked;
    },
    challenge: () => `Basic realm="${plan.realm.replaceAll(/["\\]/g, '')}", charset="UTF-8"`,
  };
};

const decodePair = (value: string): { username: string; password: string } | undefined => {
  const encoded = value.slice('basic '.length);
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(encoded)) return undefined;
  try {
    const bytes = Uint8Array.from(atob(encoded), (char) => char.charCodeAt(0));
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    const colon = text.indexOf(':');
    if (colon === -1) return undefined;
    return { username: text.slice(0, colon), password: text.slice(colon + 1) };
  } catch {
    return undefined;
  }
};

/** An unknown name takes as long as a wrong password, so that names cannot be told by the clock. */
const verify = async (
  password: string,
  consumer: ConsumerPlan | undefined,
  { scrypt, clock }: FilterDeps,
): Promise<Identity | undefined> => {
  const secret = secretOf(consumer?.basic?.hash ?? '') ?? decoy;
  const key = await scrypt(password, secret.salt, secret.cost, secret.key.length);
  if (consumer === undefined || secret === decoy || !isEqual(key, secret.key)) return undefined;
  return consumerIdentity(consumer, {}, { expiresMs: clock.now() + REMEMBER_MS });
};

const decoy: Secret = {
  cost: { N: 16_384, r: 8, p: 1 },
  salt: new Uint8Array(16),
  key: new Uint8Array(32),
};

const secretOf = (text: string): Secret | undefined => {
  const hash = parsePasswordHash(text);
  if (hash === undefined) return undefined;
  const { cost, salt, key } = hash;
  return { cost, salt: base64url.decode(salt), key: base64url.decode(key) };
};

const isEqual = (a: Uint8Array, b: Uint8Array): boolean => {
  let difference = a.length ^ b.length;
  for (let i = 0; i < a.length; i += 1) difference |= (a[i] ?? 0) ^ (b[i] ?? 0);
  return difference === 0;
};
