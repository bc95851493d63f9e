// Route: which requests go where, and what happens to them on the way.
import Type from 'typebox';
import {
  about,
  duration,
  headerName,
  headerValue,
  host,
  name,
  needs,
  oneOf,
  strict,
} from '../schema.ts';

/** Exactly one key. The kinds stay apart because the dialects keep them apart. */
const pathMatch = strict({
  exact: about('The whole path.', Type.Optional(Type.String({ pattern: '^/' }))),
  prefix: about(
    'Whole segments: `/foo` covers `/foo`, `/foo/` and `/foo/x`, not `/foobar`.',
    Type.Optional(Type.String({ pattern: '^/' })),
  ),
  stringPrefix: about(
    'Any continuation: `/foo` covers `/foobar` too.',
    Type.Optional(Type.String({ pattern: '^/' })),
  ),
  regex: about(
    'Regular expression for the whole path. One that can take more than linear time is refused.',
    Type.Optional(needs('match-regex', Type.String({ maxLength: 1024 }))),
  ),
  regexStart: about(
    'Regular expression for the start of the path. One that can take more than linear time is refused.',
    Type.Optional(needs('match-regex', Type.String({ maxLength: 1024 }))),
  ),
});

/** One of exact, prefix, regex, present; `not: true` turns it round. */
const valueMatch = {
  exact: about('The whole value.', Type.Optional(Type.String())),
  prefix: about('The start of the value.', Type.Optional(Type.String())),
  regex: about(
    'Regular expression for the whole value.',
    Type.Optional(needs('match-regex', Type.String({ maxLength: 1024 }))),
  ),
  present: about(
    'true: it is there, with any value. false: it is not.',
    Type.Optional(Type.Boolean()),
  ),
  not: about('Turns the condition round.', Type.Optional(Type.Boolean())),
};

const match = strict({
  path: about(
    'The path; exactly one of its members. Absent: every path.',
    Type.Optional(pathMatch),
  ),
  methods: about(
    'Any of these methods. Absent: every method.',
    Type.Optional(Type.Array(Type.String({ pattern: '^[A-Z]+$' }), { minItems: 1 })),
  ),
  headers: about(
    'All of these headers. Each has exactly one of exact, prefix, regex and present.',
    Type.Optional(
      Type.Array(strict({ name: about('Name of the header.', headerName()), ...valueMatch })),
    ),
  ),
  query: about(
    'All of these query parameters.',
    Type.Optional(
      needs(
        'match-query',
        Type.Array(
          strict({
            name: about(
              'Name of the parameter, in the case as sent.',
              Type.String({ minLength: 1 }),
            ),
            ...valueMatch,
          }),
        ),
      ),
    ),
  ),
  cookies: about(
    'All of these cookies.',
    Type.Optional(
      needs(
        'match-cookie',
        Type.Array(
          strict({
            name: about('Name of the cookie.', Type.String({ minLength: 1 })),
            ...valueMatch,
          }),
        ),
      ),
    ),
  ),
});

const headerEdits = strict({
  set: about(
    'Replace every value of a header.',
    Type.Optional(Type.Record(headerName(), headerValue())),
  ),
  add: about('Add one more value.', Type.Optional(Type.Record(headerName(), headerValue()))),
  remove: about('Take headers off.', Type.Optional(Type.Array(headerName()))),
});

const backend = strict({
  service: about('Name of the Service.', name()),
  namespace: about("Namespace of the Service. Default: the Route's.", Type.Optional(name())),
  version: about(
    "A version of the Service. Absent: the Service's own split (baseline, rollout) decides.",
    Type.Optional(Type.String()),
  ),
  weight: about(
    'Share of the traffic: weight divided by the sum of all weights.',
    Type.Integer({ minimum: 0, maximum: 1000000, default: 1 }),
  ),
});

const retryConditions = [
  '5xx',
  'gateway-error',
  'connect-failure',
  'reset',
  'refused-stream',
  'retriable-4xx',
  'unavailable',
  'cancelled',
  'deadline-exceeded',
  'internal',
  'resource-exhausted',
] as const;

/** Istio's meaning: `attempts` are tries after the first. */
const retry = strict({
  attempts: about(
    'Tries after the first one.',
    Type.Integer({ minimum: 0, maximum: 10, default: 2 }),
  ),
  on: about(
    'What is tried again.',
    Type.Array(oneOf(retryConditions), {
      default: ['connect-failure', 'refused-stream', 'unavailable', 'cancelled'],
    }),
  ),
  perTryTimeout: about(
    "How long one try may take. Default: what is left of the rule's timeout.",
    Type.Optional(needs('per-try-timeout', duration())),
  ),
  backoff: about('First pause; it doubles, with jitter.', duration({ default: '25ms' })),
  budgetPercent: about(
    'Share of the active requests that may be retries.',
    Type.Integer({ minimum: 0, maximum: 100, default: 20 }),
  ),
  minRetries: about(
    'So many retries at a time are always allowed.',
    Type.Integer({ minimum: 0, default: 3 }),
  ),
});

const cors = strict({
  origins: about(
    'Exact origins, `https://*.example.com`, or `*` (not together with credentials).',
    Type.Array(Type.String({ minLength: 1 }), { minItems: 1 }),
  ),
  methods: about(
    'Methods that pages may use.',
    Type.Array(Type.String({ pattern: '^[A-Z]+$' }), { default: ['GET', 'HEAD', 'POST'] }),
  ),
  headers: about('Request headers that pages may send.', Type.Array(headerName(), { default: [] })),
  exposedHeaders: about(
    'Response headers that pages may read.',
    Type.Array(headerName(), { default: [] }),
  ),
  maxAge: about(
    'How long a browser may remember the answer to a preflight.',
    duration({ default: '1h' }),
  ),
  credentials: about(
    'Whether pages may send cookies and tokens.',
    Type.Boolean({ default: false }),
  ),
});

/** One key says what a caller is recognised by. */
const sticky = strict({
  cookie: about(
    'Name of a cookie that Weir sets.',
    Type.Optional(Type.String({ pattern: "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$" })),
  ),
  header: about('Name of a request header.', Type.Optional(headerName())),
  caller: about('The authenticated principal, else the address.', Type.Optional(Type.Boolean())),
});

const percentOf = Type.Number({ minimum: 0, maximum: 100 });

const rule = strict({
  name: about(
    'Name of the rule, unique in the Route. Default: its number, from 0.',
    Type.Optional(name()),
  ),
  matches: about(
    'Any of these. Absent: every request.',
    Type.Optional(Type.Array(match, { minItems: 1, maxItems: 64 })),
  ),
  backends: about(
    'Where to forward to. A rule has exactly one of backends, redirect and respond.',
    Type.Optional(Type.Array(backend, { minItems: 1, maxItems: 64 })),
  ),
  redirect: about(
    'Answer with a redirect; what is absent stays as it was.',
    Type.Optional(
      needs(
        'redirect',
        strict({
          scheme: about('Scheme of the new address.', Type.Optional(oneOf(['http', 'https']))),
          host: about('Host of the new address.', Type.Optional(host())),
          port: about(
            'Port of the new address.',
            Type.Optional(Type.Integer({ minimum: 1, maximum: 65535 })),
          ),
          path: about('Path of the new address.', Type.Optional(Type.String({ pattern: '^/' }))),
          status: about(
            'Status code.',
            Type.Union(
              [301, 302, 303, 307, 308].map((status) => Type.Literal(status)),
              { default: 302 },
            ),
          ),
        }),
      ),
    ),
  ),
  respond: about(
    'Answer without asking anybody.',
    Type.Optional(
      needs(
        'respond',
        strict({
          status: about('Status code.', Type.Integer({ minimum: 200, maximum: 599 })),
          body: about('Text of the answer.', Type.Optional(Type.String({ maxLength: 65536 }))),
          contentType: about('Content-Type of the answer.', headerValue({ default: 'text/plain' })),
        }),
      ),
    ),
  ),
  strip: about(
    'Take the matched prefix off the path before forwarding.',
    Type.Boolean({ default: false }),
  ),
  rewrite: about(
    'Change what the service sees.',
    Type.Optional(
      needs(
        'rewrite',
        strict({
          path: about('The whole path.', Type.Optional(Type.String({ pattern: '^/' }))),
          prefix: about(
            'In the place of the matched prefix.',
            Type.Optional(Type.String({ pattern: '^/' })),
          ),
          host: about('The Host header.', Type.Optional(host())),
        }),
      ),
    ),
  ),
  headers: about(
    'Change headers on the way.',
    Type.Optional(
      needs(
        'headers',
        strict({
          request: about('On the way to the service.', Type.Optional(headerEdits)),
          response: about('On the way back.', Type.Optional(headerEdits)),
        }),
      ),
    ),
  ),
  envelope: about(
    'Wrap JSON responses as `{data, meta: {version, timestamp}}`.',
    Type.Optional(
      needs(
        'envelope',
        strict({
          version: about('Value of `meta.version`.', Type.String({ default: '1.0' })),
          maxBytes: about(
            'Larger responses pass as they are.',
            Type.Integer({ minimum: 1, default: 1048576 }),
          ),
        }),
      ),
    ),
  ),
  cors: about(
    'Which pages of other origins may call, and how. Preflights are answered here.',
    Type.Optional(needs('cors', cors)),
  ),
  sticky: about(
    'Keep a caller with the version chosen first; exactly one member says what a caller is recognised by.',
    Type.Optional(needs('split-sticky', sticky)),
  ),
  timeout: about(
    'The whole exchange, all tries included. 0s turns it off.',
    needs('timeout', duration({ default: '15s' })),
  ),
  retry: about(
    "Try again when a try fails; Istio's meaning.",
    Type.Optional(needs('retry', retry)),
  ),
  hedge: about(
    'Send a second request beside one that is slow, to another endpoint where there is one. The first good answer wins, the other is cancelled. Only idempotent requests without a body; counts as a retry in the budget.',
    Type.Optional(needs('hedging', strict({ after: about('How slow.', duration()) }))),
  ),
  mirror: about(
    'Send a copy of requests to another Service; its answers are dropped.',
    Type.Optional(
      needs(
        'mirror',
        strict({
          service: about('Name of the Service.', name()),
          namespace: about(
            "Namespace of the Service. Default: the Route's.",
            Type.Optional(name()),
          ),
          version: about('A version of the Service.', Type.Optional(Type.String())),
          percent: about(
            'Share of the requests.',
            Type.Number({ minimum: 0, maximum: 100, default: 100 }),
          ),
        }),
      ),
    ),
  ),
  fault: about(
    'Fail on purpose, to see who copes.',
    Type.Optional(
      needs(
        'fault',
        strict({
          delay: about(
            'Hold requests back.',
            Type.Optional(
              strict({
                duration: about('How long.', duration()),
                percent: about('Share of the requests.', percentOf),
              }),
            ),
          ),
          abort: about(
            'Answer with an error.',
            Type.Optional(
              strict({
                status: about('Status code.', Type.Integer({ minimum: 200, maximum: 599 })),
                percent: about('Share of the requests.', percentOf),
              }),
            ),
          ),
        }),
      ),
    ),
  ),
});

export const routeSpec = strict({
  parentRefs: about(
    'Gateways it is attached to, and/or the mesh.',
    Type.Array(
      strict({
        kind: about(
          'Mesh is not enforced yet.',
          oneOf(['Gateway', 'Mesh'], { default: 'Gateway' }),
        ),
        name: about('Name of the Gateway.', name()),
        namespace: about("Namespace of the Gateway. Default: the Route's.", Type.Optional(name())),
        listener: about('One listener of the Gateway. Absent: all of them.', Type.Optional(name())),
      }),
      { minItems: 1 },
    ),
  ),
  hosts: about(
    'Hosts it is about. Empty: every host. The most specific host decides before anything else.',
    Type.Array(host(), { default: [] }),
  ),
  hostWildcard: about(
    'How many labels a leading `*.` stands for.',
    oneOf(['oneLabel', 'manyLabels'], { default: 'manyLabels' }),
  ),
  order: about(
    'ranked: the most specific rule first (Gateway API). listed: the first rule that matches (Istio).',
    oneOf(['ranked', 'listed'], { default: 'ranked' }),
  ),
  rules: about(
    'What to do with which requests.',
    Type.Array(rule, { minItems: 1, maxItems: 1000 }),
  ),
});
