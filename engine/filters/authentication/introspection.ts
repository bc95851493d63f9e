// Tokens that only their issuer understands (RFC 7662). What he says is believed for a while; while he says nothing nobody
// is let in on a token that he has not vouched for lately.
import { reasonOf } from '../../model/errors.ts';
import type { IntrospectionPlan } from '../../model/snapshot.ts';
import type { WebAnswer } from '../../ports/web.ts';
import type { FilterBuild } from '../filter.ts';
import { own } from '../own.ts';
import { bearer, bearerChallenge } from './bearer.ts';
import { claimHeaders } from './claim-headers.ts';
import { consumersOf, recognised } from './consumers.ts';
import { type Attempt, type Failure, failure, type Identity, type Method } from './identity.ts';
import { TokenCache } from './token-cache.ts';

/** Said of a token that it does not hold. */
type Inactive = Failure & { readonly expiresMs: number };
type Answer = Identity | Inactive;

/** That a token does not hold is asked again sooner: it may have been made a moment ago, on another node. */
const INACTIVE_MS = 5000;
const CACHE_BYTES = 8 * 2 ** 20;
const MAX_PENDING = 256;
const MAX_TOKEN_LENGTH = 16_384;

export const introspection = (plan: IntrospectionPlan, build: FilterBuild): Method => {
  const { clock, hash, web, files } = build.deps;
  const consumers = consumersOf(build);
  const basis = hash(JSON.stringify(plan));
  const cache = build.keep(
    `introspection ${basis}`,
    () => new TokenCache<Answer>(CACHE_BYTES, weigh),
  );
  const pending = new Map<string, Promise<Attempt>>();

  const ask = async (token: string): Promise<Answer | Failure> => {
    if (web === undefined) return away('nobody can be asked from here');
    const secret = files?.(plan.clientSecretFile)?.trim();
    if (secret === undefined) return away(`${plan.clientSecretFile} cannot be read`);
    try {
      const answer = await web.ask({
        method: 'POST',
        url: plan.endpoint,
        headers: {
          authorization: `Basic ${btoa(`${form(plan.clientId)}:${form(secret)}`)}`,
          'content-type': 'application/x-www-form-urlencoded',
          accept: 'application/json',
        },
        body: `token=${form(token)}&token_type_hint=access_token`,
        timeoutMs: plan.timeoutMs,
      });
      return read(answer, plan, clock.now());
    } catch (error) {
      return away(reasonOf(error));
    }
  };

  const check = async (token: string, memory: string): Promise<Attempt> => {
    const answer = await ask(token);
    if ('expiresMs' in answer && answer.expiresMs > clock.now()) cache.set(memory, answer);
    return answer.type === 'identity' ? recognised(answer, consumers) : answer;
  };

  return {
    authenticate({ request }) {
      const token = bearer(request);
      if (token === undefined || typeof token !== 'string') return token;
      if (token.length > MAX_TOKEN_LENGTH) return failure('the token is too long');
      const memory = hash(token);
      const known = cache.get(memory, clock.now());
      if (known !== undefined)
        return known.type === 'identity' ? recognised(known, consumers) : known;
      const underWay = pending.get(memory);
      if (underWay) return underWay;
      if (pending.size >= MAX_PENDING) return away('too many tokens are being asked about');
      const checked = check(token, memory).finally(() => pending.delete(memory));
      pending.set(memory, checked);
      return checked;
    },
    conceal(exchange) {
      if (!plan.forwardToken) exchange.removeHeaders.push('authorization');
    },
    challenge: bearerChallenge,
  };
};

const weigh = (_memory: string, answer: Answer): number =>
  2048 + (answer.type === 'identity' ? 4 * JSON.stringify(answer.claims).length : 0);

/** The token may be as good as ever: to say 401 would send its owner away for another one. */
const away = (cause: string): Failure => ({
  type: 'failure',
  reason: 'the token cannot be checked at the moment',
  status: 503,
  cause,
});

const form = (text: string): string => new URLSearchParams({ a: text }).toString().slice(2);

const read = ({ status, body }: WebAnswer, plan: IntrospectionPlan, nowMs: number) => {
  if (status !== 200) return away(`${plan.endpoint} answered ${status}`);
  const claims = parse(body);
  if (typeof claims?.['active'] !== 'boolean')
    return away(`${plan.endpoint} did not answer as RFC 7662 says`);
  const reason = claims['active'] ? objection(claims, plan, nowMs) : 'the token is not active';
  if (reason === undefined) return identify(claims, plan, nowMs);
  const expiresMs = nowMs + Math.min(plan.cacheMs, INACTIVE_MS);
  return { ...failure(reason), expiresMs };
};

type Claims = Readonly<Record<string, unknown>>;

const parse = (body: string): Claims | undefined => {
  try {
    const value: unknown = JSON.parse(body);
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isObject ? (value as Claims) : undefined;
  } catch {
    return undefined;
  }
};

/** The issuer's clock is taken for ours: he has just said that the token is active. */
const objection = (claims: Claims, plan: IntrospectionPlan, nowMs: number): string | undefined => {
  const { exp, nbf } = claims;
  if (exp !== undefined && !(isTime(exp) && nowMs < exp * 1000)) return 'the token is expired';
  if (nbf !== undefined && !(isTime(nbf) && nowMs >= nbf * 1000 - SKEW_MS))
    return 'the token is not valid yet';
  if (plan.audiences.length === 0) return undefined;
  const audiences = [own(claims, 'aud') ?? []].flat();
  return audiences.some((each) => typeof each === 'string' && plan.audiences.includes(each))
    ? undefined
    : 'the token is for somebody else';
};

const SKEW_MS = 60_000;

const isTime = (value: unknown): value is number =>
  typeof value === 'number' && Number.isFinite(value);

const identify = (claims: Claims, plan: IntrospectionPlan, nowMs: number): Identity => {
  const text = (name: string): string | undefined => {
    const value = own(claims, name);
    return typeof value === 'string' ? value : undefined;
  };
  const { exp, iat } = claims;
  const issuer = text('iss') ?? new URL(plan.endpoint).origin;
  const subject = text('sub') ?? text('client_id');
  const lastMs = isTime(exp) ? exp * 1000 : Number.POSITIVE_INFINITY;
  return {
    type: 'identity',
    principal: `${issuer}/${subject ?? ''}`,
    consumer: undefined,
    groups: [],
    claims,
    headers: claimHeaders(claims, plan.claimsToHeaders),
    credential: {
      issuer,
      subject,
      tokenId: text('jti'),
      issuedMs: isTime(iat) ? iat * 1000 : Number.NEGATIVE_INFINITY,
    },
    expiresMs: Math.min(lastMs, nowMs + plan.cacheMs),
    cleared: undefined,
    recognisedIn: undefined,
  };
};
