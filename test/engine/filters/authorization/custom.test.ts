import { describe, expect, it } from 'vitest';
import type { AuthorizationPlan, CallOutPlan } from '#engine/model/snapshot.ts';
import { createPipeline } from '#engine/pipeline/create-pipeline.ts';
import { fakeWeb } from '#test/support/fake-web.ts';
import { pipelineDeps } from '#test/support/pipeline-deps.ts';
import { requestView } from '#test/support/request-view.ts';
import { answered, forwarded, pairs, serve } from '#test/support/serve.ts';
import { planeView, rule, snapshot } from '#test/support/snapshot.ts';

const provider: CallOutPlan = {
  url: 'http://authorizer/check',
  timeoutMs: 1000,
  requestHeaders: ['authorization'],
  responseHeaders: ['x-plan'],
  onFailure: 'closed',
};

const policy = (
  action: AuthorizationPlan['action'],
  facts: Partial<AuthorizationPlan> = {},
): AuthorizationPlan => ({
  origin: { resource: `Authorization/bibby/${action.toLowerCase()}` },
  action,
  mode: 'enforce',
  rules: [{}],
  ...(action === 'CUSTOM' ? { provider } : {}),
  ...facts,
});

const world = (policies: readonly AuthorizationPlan[]) => ({
  rules: [rule({ authorizations: policies.map((_, i) => `p${i}`) })],
  authorizations: Object.fromEntries(policies.map((each, i) => [`p${i}`, each])),
});

const setUp = (answer: unknown, ...policies: readonly AuthorizationPlan[]) => {
  const web = fakeWeb(() => answer);
  return { web, request: serve(world(policies), pipelineDeps({ web })) };
};

const yes = { status: 200, headers: { 'x-plan': 'gold', 'x-else': '1' } };
const underAdmin = { rules: [{ to: [{ paths: ['/admin/*'] }] }] };

describe('a CUSTOM policy', () => {
  it('lets pass what its provider lets pass, with his headers', async () => {
    const { request } = setUp(yes, policy('CUSTOM'));
    expect(pairs(forwarded(await request()).exchange.setHeaders)).toEqual({ 'x-plan': 'gold' });
  });

  it('asks about what its rules match, and nothing else', async () => {
    const { request, web } = setUp(yes, policy('CUSTOM', underAdmin));
    await request({ url: '/catalog' });
    expect(web.asked).toHaveLength(0);
    await request({ url: '/admin/users', method: 'DELETE' });
    expect(web.asked[0]?.headers).toMatchObject({
      'x-forwarded-uri': '/admin/users',
      'x-forwarded-method': 'DELETE',
    });
  });

  it('makes no request wait that it is not about', () => {
    const { plan, deps } = { plan: world([policy('CUSTOM', underAdmin)]), deps: pipelineDeps() };
    const outcome = createPipeline(planeView(snapshot(plan)), deps).handle(requestView(), 'r');
    expect(outcome).not.toBeInstanceOf(Promise);
  });

  it('refuses as its provider says, and says who it was', async () => {
    const answer = { status: 403, body: '{"why":"overdue"}', headers: { 'content-type': 'a/b' } };
    const { request } = setUp(answer, policy('CUSTOM'), policy('ALLOW'));
    const outcome = answered(await request());
    expect(outcome).toMatchObject({ status: 403, body: answer.body, contentType: 'a/b' });
    expect(outcome.exchange?.notes).toEqual({ policy: 'Authorization/bibby/custom', rule: '0' });
  });

  it('sends people where its provider sends them', async () => {
    const answer = { status: 302, headers: { location: '/login' }, setCookies: ['a=1'] };
    const { request } = setUp(answer, policy('CUSTOM'));
    const outcome = answered(await request());
    expect(outcome.status).toBe(302);
    expect(pairs(outcome.headers)).toEqual({ location: '/login', 'set-cookie': 'a=1' });
  });

  it('never opens what DENY shuts or ALLOW leaves out', async () => {
    const denied = setUp(yes, policy('CUSTOM'), policy('DENY'));
    expect(answered(await denied.request()).status).toBe(403);
    const left = setUp(yes, policy('CUSTOM'), policy('ALLOW', { rules: [] }));
    expect(answered(await left.request()).status).toBe(403);
  });

  it('comes before DENY', async () => {
    const { request } = setUp({ status: 401 }, policy('DENY'), policy('CUSTOM'));
    expect(answered(await request()).status).toBe(401);
  });

  it('does not make its target default-deny', async () => {
    const { request } = setUp(yes, policy('CUSTOM', underAdmin));
    forwarded(await request({ url: '/catalog' }));
  });

  it.each([
    ['away', new Error('connect ECONNREFUSED')],
    ['broken', { status: 500 }],
    ['of another opinion', { status: 404 }],
  ])('is closed while its provider is %s, or open where it says so', async (_case, answer) => {
    const closed = setUp(answer, policy('CUSTOM'));
    const outcome = answered(await closed.request());
    expect(outcome.status).toBe(503);
    expect(outcome.exchange?.notes?.['cause']).toContain('http://authorizer/check');
    const open = { ...provider, onFailure: 'open' as const };
    const { request } = setUp(answer, policy('CUSTOM', { provider: open }), policy('ALLOW'));
    expect(forwarded(await request()).exchange.notes?.['authorization']).toContain('unasked');
  });

  it('asks one provider once, and every provider', async () => {
    const other = { ...provider, url: 'http://other/check' };
    const { request, web } = setUp(
      yes,
      policy('CUSTOM'),
      policy('CUSTOM'),
      policy('CUSTOM', { provider: other }),
    );
    forwarded(await request());
    expect(web.asked.map(({ url }) => url)).toEqual([provider.url, other.url]);
  });

  it('only writes down what it would have done in audit mode, and asks nobody when it is off', async () => {
    const audit = setUp({ status: 403 }, policy('CUSTOM', { mode: 'audit' }));
    expect(forwarded(await audit.request()).exchange.notes?.['audit']).toBe(
      'Authorization/bibby/custom rule 0 would refuse',
    );
    const off = setUp({ status: 403 }, policy('CUSTOM', { mode: 'off' }));
    forwarded(await off.request());
    expect(off.web.asked).toHaveLength(0);
  });

  it('shields the headers that its provider sets', () => {
    const pipeline = createPipeline(planeView(snapshot(world([policy('CUSTOM')]))), pipelineDeps());
    expect(pipeline.isProtectedHeader('x-plan')).toBe(true);
    expect(pipeline.isProtectedHeader('x_plan')).toBe(true);
  });
});
