// Route: which requests go where, and what happens to them on the way.
import Type from 'typebox';
import { duration, headerName, headerValue, host, name, needs, oneOf, strict } from '../schema.ts';

/** Exactly one key. The kinds stay apart because the dialects keep them apart. */
const pathMatch = strict({
  exact: Type.Optional(Type.String({ pattern: '^/' })),
  /** Whole segments: `/foo` covers `/foo`, `/foo/` and `/foo/x`, not `/foobar`. */
  prefix: Type.Optional(Type.String({ pattern: '^/' })),
  /** Any continuation: `/foo` covers `/foobar` too. */
  stringPrefix: Type.Optional(Type.String({ pattern: '^/' })),
  /** Anchored at both ends. */
  regex: Type.Optional(needs('match-regex', Type.String({ maxLength: 1024 }))),
  /** Anchored at the start only. */
  regexStart: Type.Optional(needs('match-regex', Type.String({ maxLength: 1024 }))),
});

/** One of exact, prefix, regex, present; `not: true` turns it round. */
const valueMatch = {
  exact: Type.Optional(Type.String()),
  prefix: Type.Optional(Type.String()),
  regex: Type.Optional(needs('match-regex', Type.String({ maxLength: 1024 }))),
  present: Type.Optional(Type.Boolean()),
  not: Type.Optional(Type.Boolean()),
};

const match = strict({
  path: Type.Optional(pathMatch),
  methods: Type.Optional(Type.Array(Type.String({ pattern: '^[A-Z]+$' }), { minItems: 1 })),
  headers: Type.Optional(Type.Array(strict({ name: headerName(), ...valueMatch }))),
  query: Type.Optional(
    needs(
      'match-query',
      Type.Array(strict({ name: Type.String({ minLength: 1 }), ...valueMatch })),
    ),
  ),
  cookies: Type.Optional(
    needs(
      'match-cookie',
      Type.Array(strict({ name: Type.String({ minLength: 1 }), ...valueMatch })),
    ),
  ),
});

const headerEdits = strict({
  set: Type.Optional(Type.Record(headerName(), headerValue())),
  add: Type.Optional(Type.Record(headerName(), headerValue())),
  remove: Type.Optional(Type.Array(headerName())),
});

const backend = strict({
  service: name(),
  namespace: Type.Optional(name()),
  /** Without a version the Service's own split (baseline, rollout) decides. */
  version: Type.Optional(Type.String()),
  weight: Type.Integer({ minimum: 0, maximum: 1000000, default: 1 }),
});

export const retryConditions = [
  '5xx',
  'gateway-error',
  'connect-failure',
  'reset',
  'refused-stream',
  'retriable-4xx',
  'unavailable',
  'cancelled',
] as const;

/** Istio's meaning: `attempts` are tries after the first. */
const retry = strict({
  attempts: Type.Integer({ minimum: 0, maximum: 10, default: 2 }),
  on: Type.Array(oneOf(retryConditions), {
    default: ['connect-failure', 'refused-stream', 'unavailable', 'cancelled'],
  }),
  perTryTimeout: Type.Optional(needs('per-try-timeout', duration())),
  /** First pause; doubles with jitter. */
  backoff: duration({ default: '25ms' }),
  /** Share of active requests that may be retries; at least `minRetries` at a time. */
  budgetPercent: Type.Integer({ minimum: 0, maximum: 100, default: 20 }),
  minRetries: Type.Integer({ minimum: 0, default: 3 }),
});

const cors = strict({
  /** Exact origins, `https://*.example.com`, or `*` (not together with credentials). */
  origins: Type.Array(Type.String({ minLength: 1 }), { minItems: 1 }),
  methods: Type.Array(Type.String({ pattern: '^[A-Z]+$' }), { default: ['GET', 'HEAD', 'POST'] }),
  headers: Type.Array(headerName(), { default: [] }),
  exposedHeaders: Type.Array(headerName(), { default: [] }),
  maxAge: duration({ default: '1h' }),
  credentials: Type.Boolean({ default: false }),
});

/** One key says what a caller is recognised by. */
const sticky = strict({
  /** A cookie that Weir sets; its name. */
  cookie: Type.Optional(Type.String({ pattern: "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$" })),
  header: Type.Optional(headerName()),
  caller: Type.Optional(
    Type.Boolean({ description: 'The authenticated principal, else the address.' }),
  ),
});

const percentOf = Type.Number({ minimum: 0, maximum: 100 });

const rule = strict({
  name: Type.Optional(name()),
  /** Any of these; absent means every request. */
  matches: Type.Optional(Type.Array(match, { minItems: 1, maxItems: 64 })),
  backends: Type.Optional(Type.Array(backend, { minItems: 1, maxItems: 64 })),
  redirect: Type.Optional(
    needs(
      'redirect',
      strict({
        scheme: Type.Optional(oneOf(['http', 'https'])),
        host: Type.Optional(host()),
        port: Type.Optional(Type.Integer({ minimum: 1, maximum: 65535 })),
        path: Type.Optional(Type.String({ pattern: '^/' })),
        status: Type.Union(
          [301, 302, 303, 307, 308].map((status) => Type.Literal(status)),
          { default: 302 },
        ),
      }),
    ),
  ),
  respond: Type.Optional(
    needs(
      'respond',
      strict({
        status: Type.Integer({ minimum: 200, maximum: 599 }),
        body: Type.Optional(Type.String({ maxLength: 65536 })),
        contentType: headerValue({ default: 'text/plain' }),
      }),
    ),
  ),
  /** Take the matched prefix off the path before forwarding. */
  strip: Type.Boolean({ default: false }),
  rewrite: Type.Optional(
    needs(
      'rewrite',
      strict({
        path: Type.Optional(Type.String({ pattern: '^/' })),
        prefix: Type.Optional(Type.String({ pattern: '^/' })),
        host: Type.Optional(host()),
      }),
    ),
  ),
  headers: Type.Optional(
    needs(
      'headers',
      strict({ request: Type.Optional(headerEdits), response: Type.Optional(headerEdits) }),
    ),
  ),
  /** Wrap JSON responses as `{data, meta: {version, timestamp}}`. */
  envelope: Type.Optional(
    needs(
      'envelope',
      strict({
        version: Type.String({ default: '1.0' }),
        maxBytes: Type.Integer({ minimum: 1, default: 1048576 }),
      }),
    ),
  ),
  cors: Type.Optional(needs('cors', cors)),
  sticky: Type.Optional(needs('split-sticky', sticky)),
  /** The whole exchange, all tries included. 0s turns it off. */
  timeout: needs('timeout', duration({ default: '15s' })),
  retry: Type.Optional(needs('retry', retry)),
  hedge: Type.Optional(needs('hedging', strict({ after: duration() }))),
  mirror: Type.Optional(
    needs(
      'mirror',
      strict({
        service: name(),
        namespace: Type.Optional(name()),
        version: Type.Optional(Type.String()),
        percent: Type.Number({ minimum: 0, maximum: 100, default: 100 }),
      }),
    ),
  ),
  fault: Type.Optional(
    needs(
      'fault',
      strict({
        delay: Type.Optional(strict({ duration: duration(), percent: percentOf })),
        abort: Type.Optional(
          strict({ status: Type.Integer({ minimum: 200, maximum: 599 }), percent: percentOf }),
        ),
      }),
    ),
  ),
});

export const routeSpec = strict({
  /** Gateways it is attached to, and/or the mesh. */
  parentRefs: Type.Array(
    strict({
      kind: oneOf(['Gateway', 'Mesh'], { default: 'Gateway' }),
      name: name(),
      namespace: Type.Optional(name()),
      listener: Type.Optional(name()),
    }),
    { minItems: 1 },
  ),
  /** Absent or empty: every host. */
  hosts: Type.Array(host(), { default: [] }),
  /** How many labels a leading `*.` stands for. */
  hostWildcard: oneOf(['oneLabel', 'manyLabels'], { default: 'manyLabels' }),
  /** `ranked`: most specific first (Gateway API). `listed`: first match wins (Istio). */
  order: oneOf(['ranked', 'listed'], { default: 'ranked' }),
  rules: Type.Array(rule, { minItems: 1, maxItems: 1000 }),
});
