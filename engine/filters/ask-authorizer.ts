// Asks another service whether a request may pass, in the words of Traefik's forwardAuth (`X-Forwarded-*`) and of nginx
// (`X-Original-*`), which is what oauth2-proxy, Authelia and their like understand.
import { reasonOf } from '../model/errors.ts';
import type { CallOutPlan } from '../model/snapshot.ts';
import type { Respond } from '../pipeline/exchange.ts';
import type { Web, WebAnswer } from '../ports/web.ts';
import type { FilterExchange } from './filter.ts';
import { headerIn, putHeader } from './header-names.ts';

export type Verdict =
  | { readonly type: 'pass'; readonly answer: WebAnswer }
  | { readonly type: 'refuse'; readonly respond: Respond }
  /** Nobody answered, or nothing that is an answer to this question. */
  | { readonly type: 'silence'; readonly reason: string };

export const askAuthorizer = async (
  plan: CallOutPlan,
  exchange: FilterExchange,
  web: Web | undefined,
): Promise<Verdict> => {
  if (web === undefined) return { type: 'silence', reason: 'nobody can be asked from here' };
  try {
    const { url, timeoutMs } = plan;
    const headers = questionHeaders(plan, exchange);
    const { gone: signal } = exchange.request;
    const answer = await web.ask({ method: 'GET', url, headers, timeoutMs, signal });
    if (answer.status >= 200 && answer.status < 300) return { type: 'pass', answer };
    const respond = refusal(answer);
    if (respond !== undefined) return { type: 'refuse', respond };
    return { type: 'silence', reason: `${plan.url} answered ${answer.status}` };
  } catch (error) {
    const words = reasonOf(error);
    return { type: 'silence', reason: `${plan.url}: ${words}` };
  }
};

/** What the authorizer says about a request that may pass: to the service, and its cookies to the caller. */
export const adoptAnswer = (
  plan: CallOutPlan,
  exchange: FilterExchange,
  { headers, setCookies }: WebAnswer,
): void => {
  for (const name of plan.responseHeaders) {
    const value = headers[name];
    if (value !== undefined) putHeader(exchange.setHeaders, name, value);
  }
  for (const line of setCookies) exchange.responseHeaders.push('set-cookie', line);
};

export const authorizerAway: Respond = {
  type: 'respond',
  status: 503,
  error: 'Service Unavailable',
  reason: 'the authorization service gives no answer',
  flag: 'UAEX',
  headers: [],
};

const questionHeaders = (
  { requestHeaders }: CallOutPlan,
  { request, requestId, setHeaders }: FilterExchange,
): Record<string, string> => {
  const headers: Record<string, string> = {};
  for (const name of requestHeaders) {
    // What Weir itself has found out about the caller counts, not what he says about himself.
    const value = headerIn(setHeaders, name) ?? lines(request.headers(name), name);
    if (value !== undefined) headers[name] = value;
  }
  const uri = request.query === '' ? request.path : `${request.path}?${request.query}`;
  headers['x-request-id'] = requestId;
  headers['x-forwarded-method'] = request.method;
  headers['x-forwarded-proto'] = request.scheme;
  headers['x-forwarded-host'] = request.authority;
  headers['x-forwarded-uri'] = uri;
  headers['x-forwarded-for'] = request.clientAddress;
  headers['x-original-method'] = request.method;
  headers['x-original-url'] = `${request.scheme}://${request.authority}${uri}`;
  return headers;
};

const lines = (values: readonly string[], name: string): string | undefined =>
  values.length === 0 ? undefined : values.join(name === 'cookie' ? '; ' : ', ');

const passedOn = ['www-authenticate', 'location', 'cache-control', 'retry-after'] as const;

const refusal = ({ status, headers, setCookies, body }: WebAnswer): Respond | undefined => {
  const isRedirect = redirects.has(status) && headers['location'] !== undefined;
  if (status !== 401 && status !== 403 && !isRedirect) return undefined;
  const list: string[] = [];
  for (const name of passedOn) {
    const value = headers[name];
    if (value !== undefined) list.push(name, value);
  }
  for (const line of setCookies) list.push('set-cookie', line);
  const contentType = headers['content-type'];
  return {
    type: 'respond',
    status,
    error: isRedirect ? 'Found' : status === 401 ? 'Unauthorized' : 'Forbidden',
    reason: isRedirect
      ? 'sent elsewhere by the authorization service'
      : 'refused by the authorization service',
    flag: 'UAEX',
    headers: list,
    ...(body === '' && !isRedirect
      ? {}
      : { body, contentType: contentType ?? 'text/plain; charset=utf-8' }),
  };
};

const redirects: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
