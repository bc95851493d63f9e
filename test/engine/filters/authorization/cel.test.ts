import { describe, expect, it } from 'vitest';
import type { AuthorizationPlan, AuthorizationRule } from '#engine/model/snapshot.ts';
import { pipelineDeps } from '#test/support/pipeline-deps.ts';
import { answered, forwarded, serve } from '#test/support/serve.ts';
import { rule } from '#test/support/snapshot.ts';
import { issuerPlan, jwtAuthentication, keyPair, sign } from '#test/support/tokens.ts';

const policy = (
  action: AuthorizationPlan['action'],
  rules: readonly AuthorizationRule[],
  mode: AuthorizationPlan['mode'] = 'enforce',
): AuthorizationPlan => ({
  origin: { resource: `Authorization/bibby/${action.toLowerCase()}` },
  action,
  mode,
  rules,
});
const guarded = (plan: AuthorizationPlan) =>
  serve({ rules: [rule({ authorizations: ['p'] })], authorizations: { p: plan } });

describe('a condition in the Common Expression Language', () => {
  it('holds together with the rest of its rule', async () => {
    const cel = 'request.headers["x-tenant"] == "a" || request.query["tenant"] == "a"';
    const request = guarded(policy('ALLOW', [{ to: [{ methods: ['GET'] }], cel }]));
    forwarded(await request({ headers: { 'x-tenant': 'a' } }));
    forwarded(await request({ url: '/?tenant=%61' }));
    answered(await request({ method: 'POST', headers: { 'x-tenant': 'a' } }));
    answered(await request({ headers: { 'x-tenant': 'b' } }));
  });

  it('knows where the connection was made to, and by which name', async () => {
    const cel = 'connection.sni != request.host || destination.address.startsWith("10.")';
    const request = guarded(policy('DENY', [{ cel }]));
    forwarded(await request({ host: 'a.test', serverName: 'a.test', localAddress: '192.0.2.1' }));
    answered(await request({ host: 'a.test', serverName: 'b.test', localAddress: '192.0.2.1' }));
    answered(await request({ host: 'a.test', serverName: 'a.test', localAddress: '10.0.0.1' }));
    answered(await request({ host: 'a.test' }));
  });

  it('never lets anybody in when it has no answer, and says so', async () => {
    const cel = 'request.headers["x-tenant"] == "a"';
    const allowed = answered(await guarded(policy('ALLOW', [{ cel }]))());
    expect(allowed.exchange?.notes).toEqual({
      policy: 'Authorization/bibby/allow',
      reason: 'no rule allows it',
      expression: 'Authorization/bibby/allow rule 0: No such key: x-tenant',
    });
    const denied = answered(await guarded(policy('DENY', [{ cel }]))());
    expect(denied.exchange?.notes).toMatchObject({
      policy: 'Authorization/bibby/deny',
      rule: '0',
      expression: 'Authorization/bibby/deny rule 0: No such key: x-tenant',
    });
    const watched = forwarded(await guarded(policy('DENY', [{ cel }], 'audit'))());
    expect(watched.exchange.notes).toMatchObject({
      audit: 'Authorization/bibby/deny rule 0 would deny',
    });
  });

  it.each(['', 'request.nothing == 1', 'request.method', '('])(
    'never lets anybody in when it is unreadable: %s',
    async (cel) => {
      answered(await guarded(policy('ALLOW', [{ cel }]))());
      answered(await guarded(policy('DENY', [{ cel }]))());
    },
  );

  it('sees every copy of a header and of a parameter', async () => {
    const header = guarded(policy('ALLOW', [{ cel: 'request.headers["x-role"] == "good"' }]));
    answered(await header({ headers: { 'x-role': ['good', 'bad'] } }));
    const parameter = guarded(policy('ALLOW', [{ cel: 'request.query["role"] == "good"' }]));
    answered(await parameter({ url: '/?role=good&role=bad' }));
  });

  it('waits for authentication even where it stands beside addresses', async () => {
    const key = await keyPair();
    const request = serve({
      rules: [rule({ authentications: ['a'], authorizations: ['p'] })],
      authentications: { a: jwtAuthentication([issuerPlan([key.jwk])]) },
      authorizations: {
        p: policy('DENY', [
          {
            from: [{ remoteIpBlocks: ['0.0.0.0/0'] }],
            cel: '!("librarian" in auth.claims.roles)',
          },
        ]),
      },
    });
    const as = async (...roles: readonly string[]) => ({
      headers: { authorization: `Bearer ${await sign(key, { roles })}` },
    });
    forwarded(await request(await as('librarian')));
    expect(answered(await request(await as('reader'))).status).toBe(403);
  });

  it('reads the clock that it is given', async () => {
    const time = { nowMs: Date.parse('2027-01-31T09:30:00Z') };
    const plan = policy('ALLOW', [{ cel: 'request.time.getHours() >= 9' }]);
    const request = serve(
      { rules: [rule({ authorizations: ['p'] })], authorizations: { p: plan } },
      pipelineDeps({ time }),
    );
    forwarded(await request());
    time.nowMs = Date.parse('2027-01-31T08:59:00Z');
    answered(await request());
  });

  it('takes no claim with more members than its cost was reckoned for', async () => {
    const key = await keyPair();
    const request = serve({
      rules: [rule({ authentications: ['a'], authorizations: ['p'] })],
      authentications: { a: jwtAuthentication([issuerPlan([key.jwk])]) },
      authorizations: { p: policy('ALLOW', [{ cel: 'auth.claims.n.exists(x, x == 1)' }]) },
    });
    const holding = async (n: number) => ({
      headers: {
        authorization: `Bearer ${await sign(key, { n: Array.from({ length: n }, () => 1) })}`,
      },
    });
    forwarded(await request(await holding(1000)));
    const refused = answered(await request(await holding(1001)));
    expect(refused.exchange?.notes?.['expression']).toContain('more than 1000 members');
  });
});
