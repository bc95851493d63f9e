// Which connections come in, and what of a policy about requests is left where nobody reads any.
import { expect, it } from 'vitest';
import { type ConnectionFacts, connectionTest } from '#engine/filters/authorization/connections.ts';
import type { AuthorizationPlan, AuthorizationRule } from '#engine/model/snapshot.ts';
import { listener } from '#test/adapters/dataplane-node/support.ts';

const library = 'cluster.local/ns/bibby/sa/library-service';
const facts: ConnectionFacts = {
  callerAddress: '10.0.0.7',
  localAddress: '10.0.0.1',
  serverName: 'mq.bibby.com',
  principal: `spiffe://${library}`,
};
type Action = AuthorizationPlan['action'];

const judge = (
  plans: readonly (Partial<AuthorizationPlan> & { rules: readonly AuthorizationRule[] })[],
  changes: Partial<ConnectionFacts> = {},
) => {
  const named = plans.map((plan, index): [string, AuthorizationPlan] => [
    `p${index}`,
    { origin: { resource: `Authorization/p${index}` }, action: 'ALLOW', mode: 'enforce', ...plan },
  ]);
  const at = listener({ protocol: 'TLS', port: 5671, authorizations: named.map(([id]) => id) });
  const test = connectionTest({ authorizations: Object.fromEntries(named) }, at, () => 0);
  return test?.({ ...facts, ...changes });
};
const isLetIn = (action: Action, rule: AuthorizationRule) =>
  judge([{ action, rules: [rule] }])?.isLetIn;

it.each<[string, AuthorizationRule]>([
  ['an identity', { from: [{ principals: [library] }] }],
  ['a namespace', { from: [{ namespaces: ['bibby'] }] }],
  ['an address', { from: [{ ipBlocks: ['10.0.0.0/8'] }] }],
  ['an address behind proxies', { from: [{ remoteIpBlocks: ['10.0.0.0/8'] }] }],
  ['a port', { to: [{ ports: ['5671'] }] }],
  ['a server name', { when: [{ key: 'connection.sni', values: ['*.bibby.com'] }] }],
  ['a destination', { when: [{ key: 'destination.ip', values: ['10.0.0.1'] }] }],
  ['a condition on the peer', { when: [{ key: 'source.serviceAccount', values: ['library*'] }] }],
  ['everything', {}],
])('%s is a fact of connections', (_, rule) => {
  expect(isLetIn('ALLOW', rule)).toBe(true);
  expect(isLetIn('DENY', rule)).toBe(false);
});

it.each<[string, AuthorizationRule]>([
  ['another identity', { from: [{ notPrincipals: [library] }] }],
  ['another address', { from: [{ ipBlocks: ['192.0.2.0/24'] }] }],
  ['another port', { to: [{ ports: ['443'] }] }],
  ['another server name', { when: [{ key: 'connection.sni', values: ['x.bibby.com'] }] }],
  ['nothing', { from: [] }],
])('%s does not match', (_, rule) => {
  expect(isLetIn('ALLOW', rule)).toBe(false);
  expect(isLetIn('DENY', rule)).toBe(true);
});

it.each<[string, AuthorizationRule]>([
  ['methods', { to: [{ methods: ['GET'] }] }],
  ['paths beside another operation', { to: [{ ports: ['5671'] }, { paths: ['/a'] }] }],
  ['no such host', { to: [{ notHosts: ['a.example'] }] }],
  ['request principals', { from: [{ requestPrincipals: ['*'], ipBlocks: ['10.0.0.0/8'] }] }],
  ['a header', { when: [{ key: 'request.headers[x]', notValues: ['a'] }] }],
  ['a claim', { when: [{ key: 'request.auth.claims[a]', values: ['b'] }] }],
  ['an expression', { cel: 'source.address == "10.0.0.7"' }],
])('a rule with %s allows no connection, and denies without it', (_, rule) => {
  expect(isLetIn('ALLOW', rule)).toBe(false);
  expect(isLetIn('DENY', rule)).toBe(false);
});

it('what is left of a denial still has to match', () => {
  const rule = { from: [{ ipBlocks: ['192.0.2.0/24'] }], to: [{ methods: ['GET'] }] };
  expect(isLetIn('DENY', rule)).toBe(true);
});

it('who can only be asked about by request does not come in', () => {
  expect(isLetIn('CUSTOM', { to: [{ ports: ['5671'] }] })).toBe(false);
  expect(isLetIn('CUSTOM', { to: [{ ports: ['443'] }] })).toBe(true);
});

it('a denial knows its policy and rule; rules keep their places', () => {
  const rules = [{ from: [{ ipBlocks: ['192.0.2.0/24'] }] }, { to: [{ methods: ['GET'] }] }];
  expect(judge([{ action: 'DENY', rules }])).toEqual({
    isLetIn: false,
    notes: { policy: 'Authorization/p0', rule: '1' },
  });
  expect(judge([{ rules: [{ cel: 'true' }] }])?.notes).toEqual({
    policy: 'Authorization/p0',
    reason: 'no rule allows it',
  });
});

it('a policy in audit mode says what it would do', () => {
  expect(judge([{ action: 'DENY', mode: 'audit', rules: [{}] }])).toEqual({
    isLetIn: true,
    notes: { audit: 'Authorization/p0 rule 0 would deny' },
  });
  expect(judge([{ mode: 'off', rules: [] }])).toBe(undefined);
});

it('denials come before permissions', () => {
  const plans = [
    { rules: [{}] },
    { action: 'DENY' as const, rules: [{ from: [{ principals: ['*'] }] }] },
  ];
  expect(judge(plans)?.isLetIn).toBe(false);
  expect(judge(plans, { principal: undefined })?.isLetIn).toBe(true);
});
