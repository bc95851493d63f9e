// Puts a caller into a request the way real ones come: with a token, a key or a password that the policies check for themselves.
import { createHash, scryptSync } from 'node:crypto';
import { identityNamed } from '#adapters/dataplane-node/imagined-request.ts';
import type {
  AuthenticationMethod,
  ConsumerPlan,
  IssuerPlan,
  Snapshot,
} from '#engine/model/snapshot.ts';
import { CliError, exitCodes } from '../exit.ts';
import type { TestPolicies } from './policies.ts';
import type { AuthzTest } from './table.ts';

export interface Caller {
  readonly snapshot: Snapshot;
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** To add to the query of the address. */
  readonly query?: readonly [name: string, value: string];
  readonly peerPrincipal?: string;
}

const NAME = 'authz-test';
const SALT = Buffer.from('authz-test-salt');
const passwordHash = (): string => {
  const key = scryptSync(NAME, SALT, 32, { N: 2, r: 1, p: 1 });
  return `scrypt:2:1:1:${SALT.toString('base64url')}:${key.toString('base64url')}`;
};

export const callerOf = async (
  test: AuthzTest,
  snapshot: Snapshot,
  { sign }: Pick<TestPolicies, 'sign'>,
  nowMs: number,
): Promise<Caller> => {
  const peerPrincipal = test.peer === undefined ? undefined : identityNamed(test.peer);
  const peer = peerPrincipal === undefined ? {} : { peerPrincipal };
  const isConsumer = test.consumer !== undefined || test.groups !== undefined;
  if (!isConsumer && test.claims === undefined) return { snapshot, headers: [], ...peer };
  const methods = Object.values(snapshot.authentications).flatMap((plan) => plan.methods);
  const known = isConsumer ? consumerOf(test, snapshot) : undefined;
  const method = known && test.claims === undefined ? passwordless(methods) : undefined;
  if (known && method) {
    const next = withConsumer(snapshot, {
      ...known,
      apiKeys: [{ id: NAME, salt: '', hash: sha256(NAME), expiresMs: 0 }],
      basic: { username: NAME, hash: passwordHash() },
    });
    return { snapshot: next, headers: [credential(method)], ...peer };
  }
  const issuers = methods.flatMap((each) => (each.type === 'jwt' ? each.issuers : []));
  const claims = claimsOf(test, known, issuers, nowMs);
  const issuer = issuers.find((each) => each.issuer === claims['iss']) ?? issuers[0];
  if (!issuer)
    throw new CliError(
      exitCodes.usage,
      `${test.name ?? test.request}: no Authentication of the scope takes a token, a key or a password.`,
      {
        hint: 'A caller with claims needs an Authentication with jwt, a consumer one of any kind.',
      },
    );
  const jwt = { issuer: String(claims['iss']), subject: String(claims['sub']) };
  return {
    snapshot: known ? withConsumer(snapshot, { ...known, jwt }) : snapshot,
    ...place(issuer, await sign(claims)),
    ...peer,
  };
};

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

const consumerOf = (test: AuthzTest, { consumers }: Snapshot): ConsumerPlan => {
  const known = consumers.find(({ name }) => name === test.consumer);
  if (test.consumer !== undefined && !known)
    throw new CliError(
      exitCodes.usage,
      `${test.name ?? test.request}: there is no Consumer "${test.consumer}" in this scope.`,
      { hint: 'With `groups` instead, any caller of those groups is meant.' },
    );
  return {
    name: known?.name ?? NAME,
    groups: test.groups ?? known?.groups ?? [],
    apiKeys: [],
    certificates: [],
    ...(known?.jwt && { jwt: known.jwt }),
  };
};

const withConsumer = (snapshot: Snapshot, consumer: ConsumerPlan): Snapshot => ({
  ...snapshot,
  consumers: [...snapshot.consumers.filter(({ name }) => name !== consumer.name), consumer],
});

type Passwordless = Extract<AuthenticationMethod, { type: 'apiKey' | 'basic' }>;

const passwordless = (methods: readonly AuthenticationMethod[]): Passwordless | undefined =>
  methods.find((each) => each.type === 'apiKey') ?? methods.find((each) => each.type === 'basic');

const credential = (method: Passwordless): readonly [string, string] =>
  method.type === 'apiKey'
    ? [method.header, NAME]
    : ['authorization', `Basic ${Buffer.from(`${NAME}:${NAME}`).toString('base64')}`];

/** What a token of the issuer usually says, unless the test says otherwise; `null` takes a claim away. */
const claimsOf = (
  { claims = {} }: AuthzTest,
  consumer: ConsumerPlan | undefined,
  issuers: readonly IssuerPlan[],
  nowMs: number,
): Record<string, unknown> => {
  const iss = claims['iss'] ?? consumer?.jwt?.issuer ?? issuers[0]?.issuer;
  const issuer = issuers.find((each) => each.issuer === iss);
  const usual = {
    iss,
    sub: consumer?.jwt?.subject ?? NAME,
    ...(issuer?.audiences[0] === undefined ? {} : { aud: issuer.audiences[0] }),
    iat: Math.floor(nowMs / 1000),
    exp: Math.floor(nowMs / 1000) + 3600,
  };
  const all: Record<string, unknown> = { ...usual, ...claims };
  for (const [name, value] of Object.entries(all)) if (value === null) delete all[name];
  return all;
};

const place = ({ from }: IssuerPlan, token: string): Pick<Caller, 'headers' | 'query'> => {
  if (from.header?.toLowerCase() === 'authorization')
    return { headers: [['authorization', `Bearer ${token}`]] };
  if (from.header !== undefined) return { headers: [[from.header, token]] };
  if (from.cookie !== undefined) return { headers: [['cookie', `${from.cookie}=${token}`]] };
  return { headers: [], query: [from.query ?? 'access_token', token] };
};
