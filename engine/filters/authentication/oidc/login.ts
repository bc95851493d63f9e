// Signing people in at the edge: authorization code with PKCE (S256), state and nonce bound to the browser by a sealed cookie,
// and a sealed cookie for the session. Nothing is kept here, so every edge can go on where another one began.
import type { AuthenticationPlan, LoginPlan } from '../../../model/snapshot.ts';
import type { RequestView } from '../../../pipeline/exchange.ts';
import type { FilterBuild, FilterExchange } from '../../filter.ts';
import { consumersOf, recognised } from '../consumers.ts';
import { type Answer, type Attempt, type Failure, failure, type Method } from '../identity.ts';
import { TokenCache } from '../token-cache.ts';
import { redirectTo, refusalAnswer } from './answers.ts';
import { finishLogin } from './callback.ts';
import { LoginClient } from './client.ts';
import { concealCookies } from './cookies.ts';
import { challengeOf } from './sealed.ts';
import { identityOf } from './session.ts';

/** From being sent to the issuer to being back. */
const LOGIN_MS = 10 * 60_000;
/** A longer address is not found again after signing in; its cookie would not fit. */
const MAX_RETURN_LENGTH = 2000;

export const login = (
  plan: LoginPlan,
  build: FilterBuild,
  mode: AuthenticationPlan['mode'],
): Method => {
  const { deps } = build;
  const client = new LoginClient(plan, deps);
  const consumers = consumersOf(build);
  // By the cookie's whole text; who may seal one may as well have it remembered.
  const basis = deps.hash(JSON.stringify([plan.clientId, plan.redirectPath, plan.issuer]));
  const cache = build.keep(`sessions ${basis}`, () => new TokenCache());

  const resume = async (exchange: FilterExchange, sealed: string): Promise<Attempt> => {
    const seal = client.seal();
    if (typeof seal === 'string') return away(seal);
    const session = await seal.open('session', sealed);
    const identity = session && identityOf(session, plan, deps.clock.now());
    if (identity === undefined) return strangerOf(exchange);
    cache.set(sealed, identity);
    return recognised(identity, consumers);
  };

  const strangerOf = (exchange: FilterExchange): Attempt | Promise<Attempt> => {
    if (mode !== 'required') return undefined;
    return isNavigation(exchange.request) ? startLogin(client, exchange.request) : undefined;
  };

  return {
    authenticate(exchange) {
      const { request } = exchange;
      if (request.path === plan.redirectPath) return finishLogin(client, request);
      if (request.path === plan.logoutPath) return logout(client, request);
      const sealed = client.cookies(request).session(request);
      if (sealed === undefined) return strangerOf(exchange);
      const known = cache.get(sealed, deps.clock.now());
      return known === undefined ? resume(exchange, sealed) : recognised(known, consumers);
    },
    conceal: concealCookies,
    challenge: () => undefined,
  };
};

/** A person's browser that opens a page. Programs get a 401: they would take the issuer's page for the answer. */
const isNavigation = (request: RequestView): boolean =>
  request.method === 'GET' &&
  (request.header('accept')?.includes('text/html') ?? false) &&
  request.header('x-requested-with') === undefined &&
  request.header('authorization') === undefined &&
  (request.header('sec-fetch-mode') ?? 'navigate') === 'navigate';

const away = (cause: string): Failure => ({
  type: 'failure',
  reason: 'nobody can sign in at the moment',
  status: 503,
  cause,
});

const startLogin = async (client: LoginClient, request: RequestView): Promise<Failure> => {
  const { plan, deps } = client;
  const ready = client.ready();
  if (typeof ready === 'string') return away(ready);
  const { unguessable } = deps;
  if (unguessable === undefined) return away('there is no source of chance');
  const [state, nonce, verifier] = [unguessable(), unguessable(), unguessable()];
  const untilMs = deps.clock.now() + LOGIN_MS;
  const back = returnAddress(request);
  const sealed = await ready.seal.seal('login', { state, nonce, verifier, back, untilMs });
  const location = withParameters(ready.endpoints.authorization, {
    response_type: 'code',
    client_id: plan.clientId,
    redirect_uri: client.redirectUri(request),
    scope: plan.scopes.join(' '),
    state,
    nonce,
    code_challenge: challengeOf(verifier, deps.hash),
    code_challenge_method: 'S256',
  });
  const cookie = client.cookies(request).keepLogin(state, sealed, LOGIN_MS / 1000);
  return { ...failure('nobody is signed in'), respond: redirectTo(location, [cookie]) };
};

/** A path on this very host: two slashes in front, or a backslash, would be another one to a browser. */
const returnAddress = ({ path, query }: RequestView): string => {
  const own = `/${path.replace(/^[/\\]+/, '')}`;
  const whole = query === '' ? own : `${own}?${query}`;
  return whole.length > MAX_RETURN_LENGTH || !/^[!-~]+$/.test(whole) ? '/' : whole;
};

const withParameters = (address: string, parameters: Readonly<Record<string, string>>): string =>
  `${address}${address.includes('?') ? '&' : '?'}${new URLSearchParams(parameters).toString()}`;

/** Also of a session that is over or cannot be read. */
const logout = (client: LoginClient, request: RequestView): Answer => {
  if (request.method !== 'GET' && request.method !== 'POST')
    return refusalAnswer({ status: 400, reason: 'signing out is a GET or a POST' });
  const { plan } = client;
  const cookies = client.cookies(request).dropSession(request);
  const endSession = plan.endpoints?.endSession;
  const location =
    endSession === undefined
      ? '/'
      : withParameters(endSession, {
          client_id: plan.clientId,
          post_logout_redirect_uri: `${client.originOf(request)}/`,
        });
  return { type: 'answer', respond: redirectTo(location, cookies), note: 'signed out' };
};
