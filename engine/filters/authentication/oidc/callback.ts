// The way back from the issuer. Whatever is said here was carried by a browser, so nothing counts that is not bound to the
// login which this very browser began: state and nonce by the sealed cookie, the code by its verifier.
import { reasonOf } from '../../../model/errors.ts';
import type { RequestView } from '../../../pipeline/exchange.ts';
import { own } from '../../own.ts';
import { queryValues } from '../../request-parts.ts';
import type { Answer, Identity } from '../identity.ts';
import { verifyToken } from '../verify-token.ts';
import { type Refusal, redirectTo, refusalAnswer } from './answers.ts';
import type { LoginClient, Ready } from './client.ts';
import { sessionOf } from './session.ts';

const TOKEN_MS = 5000;

/** What was sealed when the login began. */
interface Began {
  readonly state: string;
  readonly nonce: string;
  readonly verifier: string;
  readonly back: string;
}

export const finishLogin = async (client: LoginClient, request: RequestView): Promise<Answer> => {
  const ready = client.ready();
  if (typeof ready === 'string') return refusalAnswer(unavailable(ready));
  const began = await beganBy(client, request, ready);
  if (isRefusal(began)) return refusalAnswer(began);
  const cookies = client.cookies(request);
  const over = cookies.dropLogins(request);
  const code = codeOf(client, request, ready);
  if (typeof code !== 'string') return refusalAnswer(code, over);
  const token = await exchangeCode(client, ready, {
    code,
    verifier: began.verifier,
    redirectUri: client.redirectUri(request),
  });
  if (typeof token !== 'string') return refusalAnswer(token, over);
  const caller = await callerOf(client, token, began.nonce);
  if (isRefusal(caller)) return refusalAnswer(caller, over);
  const lifetimeMs = client.plan.sessionMs;
  const facts = {
    id: client.deps.unguessable?.() ?? '',
    nowMs: client.deps.clock.now(),
    lifetimeMs,
  };
  const sealed = await ready.seal.seal('session', sessionOf(caller, facts));
  const kept = cookies.keepSession(request, sealed, Math.floor(lifetimeMs / 1000));
  if (kept === undefined)
    return refusalAnswer({ status: 431, reason: 'the claims do not fit into cookies' }, over);
  return {
    type: 'answer',
    respond: redirectTo(began.back, [...kept, ...over]),
    note: `${caller.principal} signed in`,
  };
};

const isRefusal = (found: object): found is Refusal => 'status' in found && 'reason' in found;

const unavailable = (cause: string): Refusal => ({
  status: 503,
  reason: 'nobody can sign in at the moment',
  cause,
});

const strange: Refusal = {
  status: 400,
  reason: 'this sign-in was not begun in this browser, or took too long; open the page again',
};

/** Undefined if it is not there; two of one name are none. */
const parameter = (request: RequestView, name: string): string | undefined => {
  const values = queryValues(request.query, name);
  return values.length === 1 ? values[0] : undefined;
};

const beganBy = async (
  client: LoginClient,
  request: RequestView,
  { seal }: Ready,
): Promise<Began | Refusal> => {
  const asked = parameter(request, 'state');
  if (asked === undefined || request.method !== 'GET') return strange;
  const cookie = client.cookies(request).login(request, asked);
  const sealed = cookie === undefined ? undefined : await seal.open('login', cookie);
  const { state, nonce, verifier, back, untilMs } = sealed ?? {};
  const isWhole =
    typeof nonce === 'string' && typeof verifier === 'string' && typeof back === 'string';
  if (!isWhole || state !== asked) return strange;
  if (typeof untilMs !== 'number' || untilMs <= client.deps.clock.now()) return strange;
  return { state: asked, nonce, verifier, back };
};

const codeOf = (
  { plan }: LoginClient,
  request: RequestView,
  { endpoints }: Ready,
): string | Refusal => {
  // RFC 9207: an answer of another issuer must not get this one's code to that one's endpoint, or the other way round.
  const isNamed = queryValues(request.query, 'iss').length > 0;
  if ((isNamed || endpoints.namesItself) && parameter(request, 'iss') !== plan.issuer.issuer)
    return { status: 400, reason: 'the answer is from another issuer' };
  const error = parameter(request, 'error');
  if (error !== undefined)
    return {
      status: 401,
      reason: `the issuer says ${error.replaceAll(/[^\w.-]/g, '').slice(0, 64)}`,
    };
  return parameter(request, 'code') ?? { status: 400, reason: 'the issuer sent no code' };
};

const exchangeCode = async (
  { plan, deps }: LoginClient,
  { clientSecret, endpoints }: Ready,
  asked: { readonly code: string; readonly verifier: string; readonly redirectUri: string },
): Promise<string | Refusal> => {
  if (deps.web === undefined) return unavailable('nobody can be asked from here');
  const body = new URLSearchParams({
    grant_type: 'authorization_code',
    code: asked.code,
    redirect_uri: asked.redirectUri,
    code_verifier: asked.verifier,
    ...(endpoints.secretInBody && { client_id: plan.clientId, client_secret: clientSecret }),
  });
  const pair = `${form(plan.clientId)}:${form(clientSecret)}`;
  try {
    const answer = await deps.web.ask({
      method: 'POST',
      url: endpoints.token,
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        accept: 'application/json',
        ...(!endpoints.secretInBody && { authorization: `Basic ${btoa(pair)}` }),
      },
      body: body.toString(),
      timeoutMs: TOKEN_MS,
    });
    const said = parse(answer.body);
    const token = answer.status === 200 ? said?.['id_token'] : undefined;
    if (typeof token === 'string') return token;
    if (answer.status >= 500) return unavailable(`${endpoints.token} answered ${answer.status}`);
    const error = typeof said?.['error'] === 'string' ? said['error'] : 'without an ID token';
    const cause = `${endpoints.token} answered ${answer.status} ${error}`;
    return { status: 401, reason: 'the issuer does not accept the code', cause };
  } catch (error) {
    return unavailable(reasonOf(error));
  }
};

const form = (text: string): string => new URLSearchParams({ a: text }).toString().slice(2);

const parse = (text: string): Readonly<Record<string, unknown>> | undefined => {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null
      ? (value as Readonly<Record<string, unknown>>)
      : undefined;
  } catch {
    return undefined;
  }
};

/** OpenID Connect Core 3.1.3.7. */
const callerOf = async (
  { plan, issuer, deps }: LoginClient,
  token: string,
  nonce: string,
): Promise<Identity | Refusal> => {
  const nowMs = deps.clock.now();
  const found = await verifyToken(token, [issuer], { nowMs, onUnknownKey: deps.onUnknownKey });
  if (found.type === 'failure')
    return { status: 401, reason: `the ID token is refused: ${found.reason}` };
  const claims = found.claims ?? {};
  if (own(claims, 'nonce') !== nonce)
    return { status: 401, reason: 'the ID token is not for this sign-in' };
  const party = own(claims, 'azp');
  if (
    party === undefined
      ? Array.isArray(claims['aud']) && claims['aud'].length > 1
      : party !== plan.clientId
  )
    return { status: 401, reason: 'the ID token was made for another client' };
  if (typeof own(claims, 'sub') !== 'string')
    return { status: 401, reason: 'the ID token says nobody' };
  return found;
};
