// Cross-origin requests: preflights are answered here, before anybody is asked who he is; other answers are marked.
import type { CorsPlan } from '../../model/snapshot.ts';
import type { RequestView, Respond } from '../../pipeline/exchange.ts';
import type { FilterExchange, FilterKind } from '../filter.ts';
import { headerIn, putHeader } from '../header-names.ts';

export const cors: FilterKind = {
  name: 'cors',
  create({ cors: plan }) {
    if (!plan) return undefined;
    const policy = compile(plan);
    return {
      request({ request }) {
        if (request.method !== 'OPTIONS') return undefined;
        const origin = request.header('origin');
        const wanted = request.header('access-control-request-method');
        if (origin === undefined || wanted === undefined) return undefined;
        return policy.allow(origin) === undefined ? refused(origin) : policy.preflight;
      },
      response(exchange, response) {
        // Upstreams that do CORS themselves must not contradict the policy.
        for (const name of ownHeaders) exchange.removeResponseHeaders.push(name);
        if (policy.varies) vary(exchange, response.header('vary'));
        const origin = originOf(exchange.request);
        const allowed = origin === undefined ? undefined : policy.allow(origin);
        if (allowed === undefined) return;
        putHeader(exchange.responseHeaders, 'access-control-allow-origin', allowed);
        for (let i = 0; i < policy.headers.length; i += 2)
          putHeader(exchange.responseHeaders, policy.headers[i] ?? '', policy.headers[i + 1] ?? '');
      },
    };
  },
};

interface Policy {
  /** Value of Access-Control-Allow-Origin, or undefined. */
  allow(origin: string): string | undefined;
  readonly varies: boolean;
  readonly preflight: Respond;
  /** On every answer to an allowed origin: name, value, ... */
  readonly headers: readonly string[];
}

const ownHeaders = [
  'access-control-allow-origin',
  'access-control-allow-credentials',
  'access-control-expose-headers',
] as const;

const compile = (plan: CorsPlan): Policy => {
  const everyone = plan.origins.includes('*');
  const tests = plan.origins.map(originTest);
  const headers: string[] = [];
  // Together with `*` credentials would let any page act as its visitor, so there they stay off.
  if (plan.credentials && !everyone) headers.push('access-control-allow-credentials', 'true');
  if (plan.exposedHeaders.length > 0)
    headers.push('access-control-expose-headers', plan.exposedHeaders.join(', '));
  return {
    allow: everyone
      ? () => '*'
      : (origin) => (tests.some((covers) => covers(origin.toLowerCase())) ? origin : undefined),
    varies: !everyone,
    preflight: preflight(plan),
    headers,
  };
};

const preflight = (plan: CorsPlan): Respond => {
  const headers = ['access-control-allow-methods', plan.methods.join(', ')];
  if (plan.headers.length > 0)
    headers.push('access-control-allow-headers', plan.headers.join(', '));
  headers.push('access-control-max-age', String(plan.maxAgeSeconds));
  return {
    type: 'respond',
    status: 204,
    error: '',
    reason: '',
    flag: '',
    headers,
    body: '',
  };
};

const refused = (origin: string): Respond => ({
  type: 'respond',
  status: 403,
  error: 'Forbidden',
  reason: `origin ${JSON.stringify(origin.slice(0, 256))} is not allowed here`,
  flag: '',
  headers: [],
});

/** `https://*.example.com` covers every host below example.com, and nothing that only looks like one. */
const originTest = (pattern: string): ((origin: string) => boolean) => {
  const lower = pattern.toLowerCase();
  const star = lower.indexOf('*');
  if (star === -1) return (origin) => origin === lower;
  const before = lower.slice(0, star);
  const after = lower.slice(star + 1);
  return (origin) =>
    origin.length > before.length + after.length &&
    origin.startsWith(before) &&
    origin.endsWith(after) &&
    /^[a-z0-9.-]+$/.test(origin.slice(before.length, origin.length - after.length));
};

const originOf = (request: RequestView): string | undefined => request.header('origin');

const vary = (exchange: FilterExchange, fromUpstream: string | undefined): void => {
  const before = headerIn(exchange.responseHeaders, 'vary') ?? fromUpstream;
  if (before !== undefined && /(^|,)\s*(\*|origin)\s*(,|$)/i.test(before)) return;
  putHeader(
    exchange.responseHeaders,
    'vary',
    before === undefined ? 'Origin' : `${before}, Origin`,
  );
};
