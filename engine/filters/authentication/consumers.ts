// Known callers, found by what they show.
import type { ConsumerPlan, Snapshot } from '../../model/snapshot.ts';
import type { FilterBuild } from '../filter.ts';
import type { Credential } from '../revocations.ts';
import { claimHeader } from './claim-headers.ts';
import type { Identity } from './identity.ts';

export interface Consumers {
  readonly byToken: ReadonlyMap<string, ConsumerPlan>;
  readonly byCertificate: ReadonlyMap<string, ConsumerPlan>;
  readonly byUsername: ReadonlyMap<string, ConsumerPlan>;
  readonly byKeyId: ReadonlyMap<string, KeyOwner>;
  /** Keys that share a salt. Undefined where there are so many salts that a guess would cost too much. */
  readonly bySalt: ReadonlyMap<string, readonly KeyOwner[]> | undefined;
}

export interface KeyOwner {
  readonly consumer: ConsumerPlan;
  readonly key: ConsumerPlan['apiKeys'][number];
}

export const consumersOf = (build: FilterBuild): Consumers =>
  build.share('consumers', () => index(build.snapshot.consumers));

/** No issuer contains a NUL, so two different pairs never make one key. */
const tokenKey = (issuer: string, subject: string): string => `${issuer}\0${subject}`;

const index = (consumers: Snapshot['consumers']): Consumers => {
  const byToken = new Map<string, ConsumerPlan>();
  const byCertificate = new Map<string, ConsumerPlan>();
  const byUsername = new Map<string, ConsumerPlan>();
  const byKeyId = new Map<string, KeyOwner>();
  const bySalt = new Map<string, KeyOwner[]>();
  for (const consumer of consumers) {
    if (consumer.jwt) byToken.set(tokenKey(consumer.jwt.issuer, consumer.jwt.subject), consumer);
    if (consumer.basic) byUsername.set(consumer.basic.username, consumer);
    for (const name of consumer.certificates) byCertificate.set(name, consumer);
    for (const key of consumer.apiKeys) {
      const owner = { consumer, key };
      byKeyId.set(key.id, owner);
      const owners = bySalt.get(key.salt);
      if (owners) owners.push(owner);
      else if (bySalt.size <= MAX_SALTS) bySalt.set(key.salt, [owner]);
    }
  }
  const isAffordable = bySalt.size <= MAX_SALTS;
  return {
    byToken,
    byCertificate,
    byUsername,
    byKeyId,
    bySalt: isAffordable ? bySalt : undefined,
  };
};

/** Trying as many costs about a millisecond. */
const MAX_SALTS = 1000;

/** A remembered identity may have become another consumer's, or nobody's, with a new snapshot. */
const recognise = (
  identity: Identity,
  consumer: ConsumerPlan | undefined,
  among: Consumers,
): void => {
  identity.consumer = consumer?.name;
  identity.groups = consumer?.groups ?? [];
  identity.credential = { ...identity.credential, consumer: consumer?.name };
  identity.cleared = undefined;
  identity.recognisedIn = among;
};

/** The consumer whose token this is, if it is one's. */
export const recognised = (identity: Identity, among: Consumers): Identity => {
  if (identity.recognisedIn === among) return identity;
  const { issuer, subject } = identity.credential;
  const consumer =
    issuer === undefined || subject === undefined
      ? undefined
      : among.byToken.get(tokenKey(issuer, subject));
  recognise(identity, consumer, among);
  return identity;
};

/** Backends hear of a consumer the same way as of a token's subject. */
export const consumerIdentity = (
  consumer: ConsumerPlan,
  credential: Credential,
  facts: { readonly principal?: string; readonly expiresMs: number },
): Identity => {
  const headers: string[] = [];
  const id = claimHeader(consumer.name);
  const roles = claimHeader(consumer.groups);
  if (id !== undefined) headers.push('x-user-id', id);
  if (roles !== undefined) headers.push('x-user-roles', roles);
  return {
    type: 'identity',
    principal: facts.principal ?? consumer.name,
    consumer: consumer.name,
    groups: consumer.groups,
    claims: undefined,
    headers,
    credential: { ...credential, consumer: consumer.name },
    expiresMs: facts.expiresMs,
    cleared: undefined,
    recognisedIn: undefined,
  };
};
