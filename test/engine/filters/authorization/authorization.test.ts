import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compilePolicy, RuleSet, walk } from '#engine/filters/authorization/policy-set.ts';
import type { FilterExchange } from '#engine/filters/filter.ts';
import type {
  AuthorizationOperation,
  AuthorizationPlan,
  AuthorizationRule,
  AuthorizationSource,
} from '#engine/model/snapshot.ts';
import { exchange } from '#test/support/exchange.ts';
import type { RequestFacts } from '#test/support/request-view.ts';
import { answered, forwarded, serve } from '#test/support/serve.ts';
import { rule } from '#test/support/snapshot.ts';

type Facts = RequestFacts &
  Partial<Pick<FilterExchange, 'principal' | 'claims' | 'groups' | 'consumer'>>;

const policy = (
  action: AuthorizationPlan['action'],
  rules: readonly AuthorizationRule[],
  facts: Partial<AuthorizationPlan> = {},
): AuthorizationPlan => ({
  origin: { resource: `Authorization/bibby/${action.toLowerCase()}` },
  action,
  mode: 'enforce',
  rules,
  ...facts,
});
const guarded = (...plans: readonly AuthorizationPlan[]) =>
  serve({
    rules: [rule({ authorizations: plans.map((_, i) => `p${i}`) })],
    authorizations: Object.fromEntries(plans.map((plan, i) => [`p${i}`, plan])),
  });
const toGet: AuthorizationRule = { to: [{ methods: ['GET'] }] };
const toAdmin: AuthorizationRule = { to: [{ paths: ['/admin*'] }] };

describe('policies together', () => {
  const get = { method: 'GET', url: '/books' };
  const post = { method: 'POST', url: '/books' };
  const admin = { method: 'GET', url: '/admin' };

  it.each([
    ['none: everything', [], { get: 200, post: 200, admin: 200 }],
    ['ALLOW: only what it says', [policy('ALLOW', [toGet])], { get: 200, post: 403, admin: 200 }],
    ['ALLOW without rules: nothing', [policy('ALLOW', [])], { get: 403, post: 403, admin: 403 }],
    [
      'ALLOW with an empty rule: everything',
      [policy('ALLOW', [{}])],
      { get: 200, post: 200, admin: 200 },
    ],
    [
      'DENY: all but what it says',
      [policy('DENY', [toAdmin])],
      { get: 200, post: 200, admin: 403 },
    ],
    ['DENY without rules: everything', [policy('DENY', [])], { get: 200, post: 200, admin: 200 }],
    [
      'DENY with an empty rule: nothing',
      [policy('DENY', [{}])],
      { get: 403, post: 403, admin: 403 },
    ],
    [
      'DENY before ALLOW',
      [policy('ALLOW', [toGet]), policy('DENY', [toAdmin])],
      { get: 200, post: 403, admin: 403 },
    ],
    [
      'two ALLOW: either',
      [policy('ALLOW', [toGet]), policy('ALLOW', [{ to: [{ methods: ['POST'] }] }])],
      { get: 200, post: 200, admin: 200 },
    ],
    ['AUDIT decides nothing', [policy('AUDIT', [{}])], { get: 200, post: 200, admin: 200 }],
    [
      'audit mode decides nothing',
      [policy('DENY', [{}], { mode: 'audit' })],
      { get: 200, post: 200, admin: 200 },
    ],
    [
      'ALLOW in audit mode makes nothing default-deny',
      [policy('ALLOW', [], { mode: 'audit' })],
      { get: 200, post: 200, admin: 200 },
    ],
    [
      'off is off',
      [policy('DENY', [{}], { mode: 'off' }), policy('ALLOW', [], { mode: 'off' })],
      { get: 200, post: 200, admin: 200 },
    ],
  ] as const)('%s', async (_name, plans, expected) => {
    const request = guarded(...plans);
    const statusOf = async (facts: RequestFacts) => {
      const outcome = await request(facts);
      return outcome.type === 'respond' ? outcome.status : 200;
    };
    expect({
      get: await statusOf(get),
      post: await statusOf(post),
      admin: await statusOf(admin),
    }).toEqual(expected);
  });

  it('say which policy and rule denied', async () => {
    const request = guarded(policy('DENY', [toGet, toAdmin]), policy('ALLOW', [toGet]));
    const denied = answered(await request({ method: 'POST', url: '/admin/x' }));
    expect(denied).toMatchObject({
      status: 403,
      error: 'Forbidden',
      reason: 'RBAC: access denied',
    });
    expect(denied.exchange?.notes).toEqual({ policy: 'Authorization/bibby/deny', rule: '1' });
    const unmatched = answered(await request({ method: 'POST' }));
    expect(unmatched.exchange?.notes).toEqual({
      policy: 'Authorization/bibby/allow',
      reason: 'no rule allows it',
    });
  });

  it('write down what audit would have done', async () => {
    const request = guarded(
      policy('DENY', [toGet], { mode: 'audit' }),
      policy('AUDIT', [{}]),
      policy('ALLOW', [toAdmin], { mode: 'audit' }),
    );
    const { exchange: get1 } = forwarded(await request());
    expect(get1.notes?.['audit']).toBe(
      'Authorization/bibby/audit rule 0 matches; Authorization/bibby/deny rule 0 would deny',
    );
    const { exchange: post1 } = forwarded(await request({ method: 'POST' }));
    expect(post1.notes?.['audit']).toBe(
      'Authorization/bibby/audit rule 0 matches; Authorization/bibby/allow would deny: no rule allows it',
    );
  });
});

it('what several kinds of policies would have refused is all written down', async () => {
  const request = serve({
    rules: [rule({ authentications: ['a'], authorizations: ['b'], quotas: ['c'] })],
    authentications: {
      a: {
        origin: { resource: 'Authentication/bibby/a' },
        mode: 'audit',
        methods: [{ type: 'apiKey', header: 'x-api-key', forwardKey: false }],
      },
    },
    authorizations: { b: policy('DENY', [{}], { mode: 'audit' }) },
    quotas: {
      c: {
        id: 'c',
        origin: { resource: 'Quota/bibby/c' },
        mode: 'audit',
        by: 'all',
        limits: [{ requests: 1, windowMs: 60_000 }],
        scope: 'local',
        algorithm: 'fixed',
        headers: false,
        status: 429,
      },
    },
  });
  forwarded(await request());
  const { exchange: second } = forwarded(await request());
  expect(second.notes?.['audit']?.split('; ')).toEqual([
    'Authentication/bibby/a would refuse: no credentials were given',
    'Authorization/bibby/deny rule 0 would deny',
    'Quota/bibby/c would refuse: limit reached',
  ]);
});

const peer = (principal: string): Facts => ({ peerPrincipal: `spiffe://${principal}` });
const library = 'cluster.local/ns/bibby/sa/library-service';
const user: Facts = {
  principal: 'https://id.bibby.com/alice',
  claims: JSON.parse(
    '{"sub":"alice","aud":["bibby","x"],"azp":"app","roles":["reader","librarian"],"scope":"read write","permission":"a b","level":3,"nested":{"a":"b","list":["c"]},"__proto__":{"p":"q"}}',
  ) as Record<string, unknown>,
  groups: ['staff'],
  consumer: 'mobile',
};

const matches = (source: AuthorizationRule, facts: Facts, action: AuthorizationPlan['action']) => {
  const { principal, claims, groups = [], consumer, ...request } = facts;
  const compiled = compilePolicy(policy(action, [source]), () => 0);
  const view = exchange(request, { principal, claims, groups, consumer });
  const found = new RuleSet([compiled]).find(view) !== undefined;
  expect(found).toBe(walk(compiled, view) === 0);
  return found;
};

describe('a source', () => {
  const cases: readonly [AuthorizationSource, Facts, boolean][] = [
    [{}, {}, true],
    [{ principals: [library] }, peer(library), true],
    [{ principals: [`spiffe://${library}`] }, peer(library), true],
    [{ principals: [library] }, peer(`${library}2`), false],
    [{ principals: [library] }, {}, false],
    [{ principals: [] }, peer(library), false],
    [{ principals: ['*'] }, peer(library), true],
    [{ principals: ['*'] }, {}, false],
    [{ principals: ['cluster.local/ns/bibby/*'] }, peer(library), true],
    [{ principals: ['*/sa/library-service'] }, peer(library), true],
    [{ principals: ['*/ns/*'] }, peer(library), false],
    [{ notPrincipals: [library] }, peer(library), false],
    [{ notPrincipals: [library] }, {}, true],
    [{ notPrincipals: ['*'] }, {}, true],
    [{ notPrincipals: ['*'] }, peer(library), false],
    [{ notPrincipals: [] }, peer(library), true],
    [{ principals: ['*'], notPrincipals: [library] }, peer(library), false],
    [{ namespaces: ['bibby'] }, peer(library), true],
    [{ namespaces: ['b*y'] }, peer(library), true],
    [{ namespaces: ['b.*y'] }, peer(library), false],
    [{ namespaces: ['bib'] }, peer(library), false],
    [{ namespaces: ['bibby'] }, {}, false],
    [{ notNamespaces: ['other'] }, peer(library), true],
    [{ notNamespaces: ['bibby'] }, peer(library), false],
    [{ requestPrincipals: ['https://id.bibby.com/alice'] }, user, true],
    [{ requestPrincipals: ['https://id.bibby.com/*'] }, user, true],
    [{ requestPrincipals: ['*'] }, user, true],
    [{ requestPrincipals: ['*'] }, {}, false],
    [{ requestPrincipals: ['https://id.bibby.com/bob'] }, user, false],
    [{ notRequestPrincipals: ['*'] }, {}, true],
    [{ notRequestPrincipals: ['*'] }, user, false],
    [{ ipBlocks: ['203.0.113.0/24'] }, { peerAddress: '203.0.113.7' }, true],
    [{ ipBlocks: ['203.0.113.7'] }, { peerAddress: '203.0.113.7' }, true],
    [{ ipBlocks: ['203.0.113.0/24'] }, { peerAddress: '203.0.114.7' }, false],
    [{ ipBlocks: ['0.0.0.0/0'] }, { peerAddress: '203.0.114.7' }, true],
    [{ ipBlocks: ['0.0.0.0/0'] }, { peerAddress: '2001:db8::1' }, false],
    [{ ipBlocks: ['203.0.113.0/24'] }, { peerAddress: '::ffff:203.0.113.7' }, true],
    [{ ipBlocks: ['203.0.113.0/24'] }, { peerAddress: '::ffff:cb00:7107' }, true],
    [{ ipBlocks: ['::ffff:203.0.113.0/120'] }, { peerAddress: '203.0.113.7' }, true],
    [{ ipBlocks: ['2001:db8::/32'] }, { peerAddress: '2001:db8:ffff::1' }, true],
    [{ ipBlocks: ['2001:db8::/32'] }, { peerAddress: '2001:DB9::1' }, false],
    [{ ipBlocks: ['2001:db8::/32'] }, { peerAddress: '2001:db8::1%eth0' }, true],
    [{ notIpBlocks: ['10.0.0.0/8'] }, { peerAddress: '203.0.113.7' }, true],
    [{ notIpBlocks: ['10.0.0.0/8'] }, { peerAddress: '10.1.2.3' }, false],
    [{ ipBlocks: ['10.0.0.0/8'] }, { peerAddress: '010.1.2.3' }, false],
    [{ ipBlocks: ['10.0.0.0/8'] }, { peerAddress: 'unix' }, false],
    [
      { remoteIpBlocks: ['10.0.0.0/8'] },
      { peerAddress: '10.0.0.1', clientAddress: '192.0.2.1' },
      false,
    ],
    [
      { remoteIpBlocks: ['192.0.2.0/24'] },
      { peerAddress: '10.0.0.1', clientAddress: '192.0.2.1' },
      true,
    ],
    [{ notRemoteIpBlocks: ['192.0.2.0/24'] }, { clientAddress: '192.0.2.1' }, false],
  ];
  it.each(cases)('%j of %j: %s', (source, facts, expected) => {
    expect(matches({ from: [{ requestPrincipals: [] }, source] }, facts, 'ALLOW')).toBe(expected);
    expect(matches({ from: [source] }, facts, 'DENY')).toBe(expected);
  });

  it('is nobody in an empty list and anybody in an absent one', () => {
    expect(matches({ from: [] }, user, 'ALLOW')).toBe(false);
    expect(matches({}, {}, 'ALLOW')).toBe(true);
  });

  it.each(['999.1.1.1', '10.0.0.0/33', '10.0.0.0/x', 'host', '1::2::3', ''])(
    'with the unreadable block %s never lets anybody in',
    (block) => {
      expect(matches({ from: [{ ipBlocks: [block, '0.0.0.0/0'] }] }, {}, 'ALLOW')).toBe(false);
      expect(matches({ from: [{ notIpBlocks: [block] }] }, {}, 'ALLOW')).toBe(false);
      expect(matches({ from: [{ ipBlocks: [block] }] }, {}, 'DENY')).toBe(true);
      expect(matches({ from: [{ notIpBlocks: [block] }] }, {}, 'DENY')).toBe(true);
    },
  );
});

describe('an operation', () => {
  const cases: readonly [AuthorizationOperation, Facts, boolean][] = [
    [{ methods: ['GET', 'HEAD'] }, { method: 'GET' }, true],
    [{ methods: ['GET'] }, { method: 'get' }, false],
    [{ methods: ['*'] }, { method: 'BREW' }, true],
    [{ notMethods: ['GET'] }, { method: 'POST' }, true],
    [{ methods: [] }, { method: 'GET' }, false],
    [{ paths: ['/books'] }, { url: '/books' }, true],
    [{ paths: ['/books'] }, { url: '/books?x=/admin' }, true],
    [{ paths: ['/books'] }, { url: '/books/' }, false],
    [{ paths: ['/books'] }, { url: '/Books' }, false],
    [{ paths: ['/books*'] }, { url: '/bookshop' }, true],
    [{ paths: ['/api/v1/books/*'] }, { url: '/api/v1/books/7/copies' }, true],
    [{ paths: ['/api/v1/books/*'] }, { url: '/api/v1/books/' }, true],
    [{ paths: ['/api/v1/books/*'] }, { url: '/api/v1/books' }, false],
    [{ paths: ['*.json'] }, { url: '/a/b.json' }, true],
    [{ paths: ['*'] }, { url: '/' }, true],
    [{ paths: ['*b*'] }, { url: '/abc' }, false],
    [{ paths: ['*b*'] }, { url: '/ab*' }, true],
    [{ paths: ['/a/*/c'] }, { url: '/a/b/c' }, false],
    [{ paths: ['/books/{*}'] }, { url: '/books/7' }, true],
    [{ paths: ['/books/{*}'] }, { url: '/books/' }, false],
    [{ paths: ['/books/{*}'] }, { url: '/books/7/8' }, false],
    [{ paths: ['/books/{*}/copies'] }, { url: '/books/7/copies' }, true],
    [{ paths: ['/a/{**}'] }, { url: '/a/' }, true],
    [{ paths: ['/a/{**}'] }, { url: '/a' }, false],
    [{ paths: ['/a/{**}'] }, { url: '/a/b/c' }, true],
    [{ paths: ['/a/{*}/{**}'] }, { url: '/a/b/c/d' }, true],
    [{ paths: ['/a.b/{*}'] }, { url: '/axb/c' }, false],
    [{ notPaths: ['/admin*'] }, { url: '/books' }, true],
    [{ notPaths: ['/admin*'] }, { url: '/admin/x' }, false],
    [{ paths: ['/a*'], notPaths: ['/ab*'] }, { url: '/abc' }, false],
    [{ hosts: ['API.bibby.com'] }, { host: 'api.bibby.com' }, true],
    [
      { hosts: ['api.bibby.com'] },
      { host: 'api.bibby.com', authority: 'api.bibby.com:8443' },
      true,
    ],
    [
      { hosts: ['api.bibby.com:8443'] },
      { host: 'api.bibby.com', authority: 'API.bibby.com:8443' },
      true,
    ],
    [{ hosts: ['api.bibby.com:8443'] }, { host: 'api.bibby.com' }, false],
    [{ hosts: ['*.bibby.com'] }, { host: 'evil-bibby.com' }, false],
    [
      { notHosts: ['api.bibby.com'] },
      { host: 'api.bibby.com', authority: 'api.bibby.com:80' },
      false,
    ],
    [{ ports: ['8080'] }, { localPort: 8080 }, true],
    [{ ports: ['808'] }, { localPort: 8080 }, false],
    [{ notPorts: ['8080'] }, { localPort: 8080 }, false],
    [{ methods: ['GET'], paths: ['/books'] }, { method: 'POST', url: '/books' }, false],
  ];
  it.each(cases)('%j of %j: %s', (operation, facts, expected) => {
    expect(matches({ to: [{ methods: [] }, operation] }, facts, 'ALLOW')).toBe(expected);
    expect(matches({ to: [operation] }, facts, 'DENY')).toBe(expected);
  });

  it('is none in an empty list', () => {
    expect(matches({ to: [] }, {}, 'ALLOW')).toBe(false);
  });
});

describe('a condition', () => {
  const cases: readonly [
    string,
    Partial<Record<'values' | 'notValues', string[]>>,
    Facts,
    boolean,
  ][] = [
    ['request.headers[X-Tenant]', { values: ['a'] }, { headers: { 'x-tenant': 'a' } }, true],
    ['request.headers[x-tenant]', { values: ['a*'] }, { headers: { 'x-tenant': 'abc' } }, true],
    ['request.headers[x-tenant]', { values: ['a'] }, {}, false],
    ['request.headers[x-tenant]', { values: ['*'] }, {}, false],
    ['request.headers[x-tenant]', { notValues: ['a'] }, {}, true],
    ['request.headers[x-tenant]', { notValues: ['a'] }, { headers: { 'x-tenant': 'a' } }, false],
    ['request.headers[__proto__]', { values: ['*'] }, {}, false],
    ['source.ip', { values: ['203.0.113.0/24'] }, { peerAddress: '203.0.113.1' }, true],
    ['source.ip', { notValues: ['203.0.113.0/24'] }, { peerAddress: '203.0.113.1' }, false],
    ['remote.ip', { values: ['203.0.113.0/24'] }, { clientAddress: '192.0.2.1' }, false],
    ['source.principal', { values: [library] }, peer(library), true],
    ['source.principal', { values: [`spiffe://${library}`] }, peer(library), true],
    ['source.principal', { values: ['*'] }, {}, false],
    ['source.principal', { notValues: [library] }, peer(library), false],
    ['source.principal', { notValues: [library] }, {}, true],
    ['source.namespace', { values: ['bibby'] }, peer(library), true],
    ['source.namespace', { values: ['b*y'] }, peer(library), true],
    ['source.namespace', { values: ['b*x'] }, peer(library), false],
    ['source.namespace', { notValues: ['b*y'] }, peer(library), false],
    ['source.serviceAccount', { notValues: ['library-service'] }, peer(library), false],
    ['source.trustDomain', { notValues: ['cluster.local'] }, peer(library), false],
    ['source.ip', { values: ['203.0.113.1', '10.0.0.0/8'] }, { peerAddress: '10.9.9.9' }, true],
    ['remote.ip', { values: ['203.0.113.0/24'] }, { clientAddress: '203.0.113.7' }, true],
    ['remote.ip', { notValues: ['203.0.113.0/24'] }, { clientAddress: '203.0.113.7' }, false],
    ['remote.ip', { notValues: ['203.0.113.0/24'] }, { clientAddress: '192.0.2.1' }, true],
    ['destination.port', { notValues: ['8080'] }, {}, false],
    ['destination.port', { notValues: ['9090'] }, {}, true],
    ['destination.ip', { values: ['10.0.0.0/8'] }, { localAddress: '10.1.2.3' }, true],
    ['destination.ip', { values: ['10.0.0.0/8'] }, { localAddress: '192.0.2.1' }, false],
    ['destination.ip', { values: ['0.0.0.0/0'] }, {}, false],
    ['destination.ip', { notValues: ['10.0.0.0/8'] }, { localAddress: '10.1.2.3' }, false],
    ['connection.sni', { values: ['Desk.Bibby.com'] }, { serverName: 'desk.bibby.com' }, true],
    ['connection.sni', { values: ['*.bibby.com'] }, { serverName: 'desk.bibby.com' }, true],
    ['connection.sni', { values: ['*'] }, {}, false],
    ['connection.sni', { notValues: ['desk.bibby.com'] }, {}, true],
    ['connection.sni', { notValues: ['desk.bibby.com'] }, { serverName: 'desk.bibby.com' }, false],
    ['request.auth.principal', { notValues: ['*'] }, {}, true],
    ['request.auth.principal', { notValues: ['https://id.bibby.com/*'] }, user, false],
    ['request.auth.audiences', { notValues: ['x'] }, user, false],
    ['request.auth.audiences', { notValues: ['y'] }, user, true],
    ['request.auth.presenter', { notValues: ['app'] }, user, false],
    ['request.auth.claims[permission]', { values: ['b'] }, user, true],
    ['request.auth.claims[level]', { values: ['3'] }, user, false],
    ['request.auth.claims[level]', { notValues: ['3'] }, user, true],
    ['request.auth.claims[nested][a]', { values: ['b'] }, user, true],
    ['request.auth.claims[nested][a]', { notValues: ['b'] }, user, false],
    ['request.auth.claims[nested][list]', { values: ['c'] }, user, true],
    ['request.auth.claims[nested]', { values: ['*'] }, user, false],
    ['request.auth.claims[roles]', { values: ['lib*'], notValues: ['*er'] }, user, false],
    ['request.auth.claims[sub]', { values: ['*ice'] }, user, true],
    ['source.serviceAccount', { values: ['library-service'] }, peer(library), true],
    ['source.trustDomain', { values: ['cluster.local'] }, peer(library), true],
    ['request.auth.principal', { values: ['*'] }, user, true],
    ['request.auth.principal', { values: ['*'] }, {}, false],
    ['request.auth.audiences', { values: ['bibby'] }, user, true],
    ['request.auth.presenter', { values: ['app'] }, user, true],
    ['request.auth.consumer', { values: ['mobile'] }, user, true],
    ['request.auth.groups', { values: ['staff'] }, user, true],
    ['request.auth.claims[sub]', { values: ['alice'] }, user, true],
    ['request.auth.claims[roles]', { values: ['librarian'] }, user, true],
    ['request.auth.claims[roles]', { values: ['admin'] }, user, false],
    ['request.auth.claims[roles]', { notValues: ['librarian'] }, user, false],
    ['request.auth.claims[roles]', { notValues: ['admin'] }, user, true],
    ['request.auth.claims[scope]', { values: ['write'] }, user, true],
    ['request.auth.claims[scope]', { values: ['read write'] }, user, true],
    ['request.auth.claims[scope]', { values: ['rea'] }, user, false],
    ['request.auth.claims[permission]', { values: ['b'] }, user, true],
    ['request.auth.claims[level]', { values: ['3'] }, user, false],
    ['request.auth.claims[nested][a]', { values: ['b'] }, user, true],
    ['request.auth.claims[nested][list]', { values: ['c'] }, user, true],
    ['request.auth.claims[nested]', { values: ['b'] }, user, false],
    ['request.auth.claims[constructor][name]', { values: ['*'] }, user, false],
    ['request.auth.claims[toString]', { values: ['*'] }, {}, false],
    ['request.auth.claims[sub]', { values: ['*'] }, {}, false],
    ['request.method', { values: ['GET'] }, {}, true],
    ['request.path', { values: ['/books*'] }, { url: '/books/1' }, true],
    ['request.host', { values: ['api.bibby.com'] }, {}, true],
    ['destination.port', { values: ['8080'] }, {}, true],
    ['request.method', { values: [] }, {}, false],
    ['request.method', { notValues: [] }, {}, true],
  ];
  it.each(cases)('%s %j of %j: %s', (key, lists, facts, expected) => {
    const when = [{ key, ...lists }];
    expect(matches({ when }, facts, 'ALLOW')).toBe(expected);
    expect(matches({ when }, facts, 'DENY')).toBe(expected);
  });

  it('that nobody knows never lets anybody in', () => {
    const when = [{ key: 'request.weather', values: ['fine'] }];
    expect(matches({ when }, {}, 'ALLOW')).toBe(false);
    expect(matches({ when }, {}, 'DENY')).toBe(true);
  });

  it.each([
    [['good', 'bad'], { values: ['good'] }, false, true],
    [['good', 'good'], { values: ['good'] }, true, true],
    [['bad', 'worse'], { values: ['good'] }, false, false],
    [['good', 'bad'], { notValues: ['bad'] }, false, true],
    [['good', 'fine'], { notValues: ['bad'] }, true, true],
    [['bad', 'bad'], { notValues: ['bad'] }, false, false],
    [['a', 'b'], { values: ['a,b'] }, false, true],
  ])('sees every line of %j for %j', (lines, lists, allow, deny) => {
    const when = [{ key: 'request.headers[x-role]', ...lists }];
    const facts = { headers: { 'x-role': lines } };
    expect(matches({ when }, facts, 'ALLOW')).toBe(allow);
    expect(matches({ when }, facts, 'DENY')).toBe(deny);
  });
});

describe('the index of rules', () => {
  const pick = <T>(...values: readonly T[]) => fc.constantFrom(...values);
  const some = (arbitrary: fc.Arbitrary<string>) => fc.array(arbitrary, { maxLength: 2 });
  const paths = some(
    pick('/a', '/a*', '*b', '*', '/a/{*}', '/a/{**}', '/{*}/b', '/a/b', '__proto__'),
  );
  const who = some(pick('i/alice', 'i/*', '*', 'i/bob', '__proto__', '', 'spiffe://d/ns/n/sa/x'));
  const peers = some(pick('d/ns/n/sa/x', 'spiffe://d/ns/n/sa/y', '*', 'd/*'));
  const partly = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }) =>
    fc.record(model, { requiredKeys: [] });
  const ruleOf: fc.Arbitrary<AuthorizationRule> = partly({
    from: fc.array(
      partly({ requestPrincipals: who, notRequestPrincipals: who, principals: peers }),
      { maxLength: 2 },
    ),
    when: fc.array(
      partly({
        key: pick(
          'request.auth.claims[role]',
          'request.method',
          'request.headers[x]',
          'source.namespace',
          'source.principal',
          'no.such',
        ),
        values: some(
          pick('r', 's', 'GET', '*', 'n', 'n*', '*n', '__proto__', 'spiffe://d/ns/n/sa/x'),
        ),
        notValues: some(pick('r')),
      }).map(({ key = 'source.ip', ...lists }) => ({ key, ...lists })),
      { maxLength: 2 },
    ),
    to: fc.array(partly({ paths, notPaths: paths, methods: some(pick('GET', 'POST', '*')) }), {
      maxLength: 2,
    }),
  });

  it('finds a rule exactly where walking all rules finds one', () => {
    const policies = fc.array(fc.array(ruleOf, { maxLength: 6 }), { maxLength: 4 });
    const request = fc.record({
      url: pick('/a', '/a/', '/a/b', '/b', '/a/b/c', '/', '/__proto__'),
      method: pick('GET', 'POST'),
      principal: pick(undefined, 'i/alice', 'i/carol', '__proto__', 'spiffe://d/ns/n/sa/x'),
      role: pick<unknown>(undefined, 'r', ['s', 'r'], [], 3),
      peerPrincipal: pick(undefined, 'spiffe://d/ns/n/sa/x', 'spiffe://d/ns/n/sa/y'),
    });
    fc.assert(
      fc.property(policies, fc.array(request, { maxLength: 6 }), (lists, requests) => {
        const compiled = lists.map((rules) => compilePolicy(policy('ALLOW', rules), () => 0));
        const set = new RuleSet(compiled);
        for (const { principal, role, ...facts } of requests) {
          const view = exchange(facts, { principal, claims: { role } });
          const found = set.find(view);
          expect(found !== undefined).toBe(compiled.some((each) => walk(each, view) !== -1));
          if (found) {
            const { plan } = found.policy;
            const rules = plan.rules.slice(found.rule, found.rule + 1);
            const alone = compilePolicy({ ...plan, rules }, () => 0);
            expect(walk(alone, view)).toBe(0);
          }
        }
      }),
      { numRuns: 1000 },
    );
  });
});

describe('address rules', () => {
  it('are asked before anybody is authenticated', async () => {
    const request = serve({
      rules: [rule({ authentications: ['a'], authorizations: ['deny', 'allow'] })],
      authentications: {
        a: {
          origin: { resource: 'a' },
          mode: 'required',
          methods: [{ type: 'basic', realm: 'x' }],
        },
      },
      authorizations: {
        deny: policy('DENY', [{ from: [{ remoteIpBlocks: ['192.0.2.0/24'] }] }]),
        allow: policy('ALLOW', [{}]),
      },
    });
    expect(answered(await request({ clientAddress: '192.0.2.1' })).status).toBe(403);
    expect(answered(await request()).status).toBe(401);
  });
});
