// Who is calling. Any method of a policy will do, in order; every policy of the route must be content.
import type { AuthenticationMethod, AuthenticationPlan } from '../../model/snapshot.ts';
import type { Respond } from '../../pipeline/exchange.ts';
import type { FilterAction, FilterBuild, FilterExchange, FilterKind } from '../filter.ts';
import { putHeader } from '../header-names.ts';
import { note } from '../note.ts';
import { own } from '../own.ts';
import { apiKey } from './api-key.ts';
import { basic } from './basic.ts';
import { clientCertificate } from './client-certificate.ts';
import { forward } from './forward.ts';
import { type Attempt, type Failure, failure, type Identity, type Method } from './identity.ts';
import { introspection } from './introspection.ts';
import { jwt } from './jwt.ts';
import { login } from './oidc/login.ts';

interface Policy {
  readonly plan: AuthenticationPlan;
  readonly methods: readonly Method[];
  readonly nowMs: () => number;
}

export const authentication: FilterKind = {
  name: 'authentication',
  create(rule, build) {
    const policies = rule.authentications.flatMap((id) => policyOf(id, build) ?? []);
    if (policies.length === 0) return undefined;
    const ask = (exchange: FilterExchange, from: number): FilterAction | Promise<FilterAction> => {
      for (let i = from; i < policies.length; i += 1) {
        const policy = policies[i];
        if (policy === undefined) break;
        for (const method of policy.methods) method.conceal?.(exchange);
        const found = askMethods(policy, exchange, 0);
        if (found instanceof Promise)
          return found.then((late) => conclude(policy, exchange, late) ?? ask(exchange, i + 1));
        const action = conclude(policy, exchange, found);
        if (action !== undefined) return action;
      }
      return undefined;
    };
    return {
      request: (exchange) => (isAmbiguous(exchange) ? ambiguous : ask(exchange, 0)),
      explain: ({ principal }) =>
        policies.map(({ plan }) => ({
          policy: plan.origin.resource,
          mode: plan.mode,
          says: principal === undefined ? 'nobody is authenticated' : `the caller is ${principal}`,
        })),
    };
  },
};

const policyOf = (id: string, build: FilterBuild): Policy | undefined =>
  build.share(`authentication ${id}`, () => {
    const plan = own(build.snapshot.authentications, id);
    return (
      plan && {
        plan,
        methods: plan.methods.map((method) => methodOf(method, build, plan.mode)),
        nowMs: () => build.deps.clock.now(),
      }
    );
  });

const methodOf = (
  method: AuthenticationMethod,
  build: FilterBuild,
  mode: AuthenticationPlan['mode'],
): Method => {
  switch (method.type) {
    case 'jwt':
      return jwt(method, build);
    case 'apiKey':
      return apiKey(method, build);
    case 'basic':
      return basic(method, build);
    case 'clientCertificate':
      return clientCertificate(method, build);
    case 'introspection':
      return introspection(method, build);
    case 'forward':
      return forward(method, build);
    case 'oidc':
      return login(method, build, mode);
    default:
      return method satisfies never;
  }
};

/** The first identity, else the failure that helps most, else nothing. */
const askMethods = (
  policy: Policy,
  exchange: FilterExchange,
  from: number,
  before?: Failure,
): Attempt | Promise<Attempt> => {
  let first = before;
  for (let i = from; i < policy.methods.length; i += 1) {
    const method = policy.methods[i];
    if (method === undefined) break;
    const attempt = method.authenticate(exchange);
    if (attempt instanceof Promise)
      return attempt.then((late) => {
        const result = unlessRevoked(late, exchange, policy);
        if (result !== undefined && result.type !== 'failure') return result;
        return askMethods(policy, exchange, i + 1, moreHelpful(first, result));
      });
    const result = unlessRevoked(attempt, exchange, policy);
    if (result !== undefined && result.type !== 'failure') return result;
    first = moreHelpful(first, result);
  }
  return first;
};

/** That nobody could tell comes before any refusal, and an answer with a way on before one without. */
const moreHelpful = (before: Failure | undefined, now: Failure | undefined) =>
  helpfulness(now) > helpfulness(before) ? now : before;

const helpfulness = (found: Failure | undefined): number => {
  if (found === undefined) return 0;
  if (found.status !== undefined) return 3;
  return found.respond === undefined ? 1 : 2;
};

const unlessRevoked = (attempt: Attempt, exchange: FilterExchange, { nowMs }: Policy): Attempt => {
  if (attempt?.type !== 'identity') return attempt;
  const { revocations } = exchange;
  if (revocations.size === 0 || attempt.cleared === revocations) return attempt;
  if (revocations.find(attempt.credential, nowMs()) !== undefined)
    return failure('the credential was revoked');
  attempt.cleared = revocations;
  return attempt;
};

const conclude = (policy: Policy, exchange: FilterExchange, found: Attempt): FilterAction => {
  if (found?.type === 'identity') {
    adopt(exchange, found);
    return undefined;
  }
  const { mode, origin } = policy.plan;
  if (mode === 'optional' && found === undefined) return undefined;
  if (found?.type === 'pass' || found?.type === 'answer') {
    exchange.notes ??= {};
    exchange.notes['authentication'] = `${origin.resource}: ${found.note}`;
    return found.type === 'answer' ? found.respond : undefined;
  }
  return refuse(policy, exchange, found);
};

const refuse = (
  policy: Policy,
  exchange: FilterExchange,
  found: Failure | undefined,
): FilterAction => {
  const { mode, origin } = policy.plan;
  const reason = found?.reason ?? 'no credentials were given';
  if (mode === 'audit') {
    note(exchange, 'audit', `${origin.resource} would refuse: ${reason}`);
    return undefined;
  }
  exchange.notes ??= {};
  exchange.notes['policy'] = origin.resource;
  exchange.notes['reason'] = reason;
  if (found?.cause !== undefined) exchange.notes['cause'] = found.cause;
  return found?.respond ?? unauthorized(policy, exchange, found, reason);
};

const adopt = (exchange: FilterExchange, identity: Identity): void => {
  exchange.principal = identity.principal;
  exchange.consumer = identity.consumer;
  exchange.groups = identity.groups;
  exchange.claims = identity.claims;
  exchange.credentials.push(identity.credential);
  const { headers } = identity;
  for (let i = 0; i < headers.length; i += 2)
    putHeader(exchange.setHeaders, headers[i] ?? '', headers[i + 1] ?? '');
};

const unauthorized = (
  policy: Policy,
  { request }: FilterExchange,
  found: Failure | undefined,
  reason: string,
): Respond => {
  const status = found?.status ?? 401;
  const realm = request.host.replaceAll(/[^a-z0-9.:_-]/g, '');
  const headers: string[] = [];
  if (status === 401)
    for (const challenge of new Set(policy.methods.map((each) => each.challenge(realm, found))))
      if (challenge !== undefined) headers.push('www-authenticate', challenge);
  return {
    type: 'respond',
    status,
    error: status === 401 ? 'Unauthorized' : 'Service Unavailable',
    reason,
    flag: status === 401 ? 'UAEX' : 'UO',
    headers,
  };
};

/** The upstream might read another one than we do. */
const isAmbiguous = ({ request }: FilterExchange): boolean =>
  request.header('authorization') !== undefined && request.headers('authorization').length > 1;

const ambiguous: Respond = {
  type: 'respond',
  status: 400,
  error: 'Bad Request',
  reason: 'more than one Authorization header',
  flag: 'DPE',
  headers: [],
};
