import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { AuthorizationPlan, Listener, Snapshot } from '#engine/model/snapshot.ts';
import type { RequestFacts } from '#test/support/request-view.ts';
import { answerHeaders, serve } from '#test/support/serve.ts';
import { listener, rule } from '#test/support/snapshot.ts';

const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex');
const deny: AuthorizationPlan = {
  origin: { resource: 'Authorization/bibby/no-admin' },
  action: 'DENY',
  mode: 'enforce',
  rules: [{ to: [{ methods: ['PUT'] }] }, { to: [{ paths: ['/admin*'] }] }],
};
const facts: Partial<Snapshot> = {
  rules: [rule({ authentications: ['keys'], authorizations: ['deny'] })],
  authentications: {
    keys: {
      origin: { resource: 'Authentication/bibby/keys' },
      mode: 'optional',
      methods: [{ type: 'apiKey', header: 'x-api-key', forwardKey: false }],
    },
  },
  authorizations: { deny },
  consumers: ['operators', 'readers'].map((group) => ({
    name: group,
    groups: [group],
    apiKeys: [{ id: group, salt: '', hash: hashOf(group), expiresMs: 0 }],
    certificates: [],
  })),
};

const decision = async (who: Listener['decisionHeader'], request: RequestFacts) => {
  const served = serve({ ...facts, listeners: [listener(who && { decisionHeader: who })] });
  return answerHeaders(await served({ url: '/admin/x', ...request }))['x-policy-decision'];
};

describe('x-policy-decision', () => {
  const told = 'policy="Authorization/bibby/no-admin", rule=1, revision=1';
  const inside = { clientAddress: '10.1.2.3' };
  const operators = { ipBlocks: [], groups: ['operators'] };
  const network = { ipBlocks: ['10.0.0.0/8'], groups: [] };
  const key = (name: string) => ({ headers: { 'x-api-key': name } });

  it.each([
    ['nobody unless somebody is named', undefined, inside, undefined],
    ['nobody with empty lists', { ipBlocks: [], groups: [] }, inside, undefined],
    ['callers at the addresses', network, inside, told],
    ['no caller elsewhere', network, { clientAddress: '192.0.2.1' }, undefined],
    ['no caller whose proxy is there', network, { peerAddress: '10.1.2.3' }, undefined],
    ['members of the groups', operators, key('operators'), told],
    ['no members of others', operators, key('readers'), undefined],
    ['no stranger who names the group', operators, { headers: { groups: 'operators' } }, undefined],
  ])('is told to %s', async (_, who, request, expected) => {
    expect(await decision(who, request)).toBe(expected);
  });

  it('names the policy that refused the credentials', async () => {
    expect(await decision(network, { ...inside, ...key('wrong') })).toBe(
      'policy="Authentication/bibby/keys", revision=1',
    );
  });

  it('is not on answers that no policy refused', async () => {
    expect(await decision(network, { ...inside, url: '/books' })).toBeUndefined();
  });
});
