import { beforeAll, describe, expect, it } from 'vitest';
import { createPipeline } from '#engine/pipeline/create-pipeline.ts';
import { explain } from '#engine/pipeline/explain.ts';
import { pipelineDeps } from '#test/support/pipeline-deps.ts';
import { type RequestFacts, requestView } from '#test/support/request-view.ts';
import { forwardTo, planeView, rule, snapshot, split } from '#test/support/snapshot.ts';
import {
  issuerPlan,
  jwtAuthentication,
  type KeyPair,
  keyPair,
  sign,
} from '#test/support/tokens.ts';

let es: KeyPair;
beforeAll(async () => {
  es = await keyPair();
});

const catalog = 'bibby/catalog-service';
const view = () =>
  planeView(
    snapshot({
      rules: [
        rule({
          id: 'exact',
          match: { path: { type: 'exact', value: '/catalog/books' }, methods: ['PUT'] },
        }),
        rule({
          id: 'catalog',
          match: { path: { type: 'segmentPrefix', value: '/catalog' } },
          action: forwardTo('', {
            backends: [{ weight: 1, split: catalog }],
            rewrite: { stripPrefix: '/catalog' },
          }),
          authentications: ['a'],
          authorizations: ['z', 'y'],
          quotas: ['q'],
        }),
        rule({ id: 'all' }),
        rule({ id: 'other', match: { path: { type: 'segmentPrefix', value: '/other' } } }),
      ],
      splits: {
        [catalog]: split(
          catalog,
          { 'v1.0': 9000, 'v1.1': 1000 },
          {
            override: { header: 'x-canary', value: 'true', version: 'v1.1' },
          },
        ),
      },
      authentications: { a: jwtAuthentication([issuerPlan([es.jwk])]) },
      authorizations: {
        z: {
          origin: { resource: 'Authorization/bibby/readers' },
          action: 'ALLOW',
          mode: 'enforce',
          rules: [{ to: [{ methods: ['POST'] }] }, { to: [{ methods: ['GET'] }] }],
        },
        y: {
          origin: { resource: 'Authorization/bibby/never' },
          action: 'DENY',
          mode: 'audit',
          rules: [{ to: [{ paths: ['/admin*'] }] }],
        },
      },
      quotas: {
        q: {
          id: 'bibby/per-user',
          origin: { resource: 'Quota/bibby/per-user' },
          mode: 'enforce',
          by: 'caller',
          limits: [{ requests: 1, windowMs: 60_000 }],
          scope: 'local',
          algorithm: 'sliding',
          headers: true,
          status: 429,
        },
      },
    }),
  );
const ask = (facts: RequestFacts, deps = pipelineDeps()) =>
  explain(view(), deps, requestView(facts));
const asAlice = async () => ({ authorization: `Bearer ${await sign(es)}` });

describe('explain', () => {
  it('says which route won and why its rivals lost', async () => {
    const { rule: winner, rivals, host } = await ask({ url: '/catalog/books' });
    expect(host?.type).toBe('any');
    expect(winner).toMatchObject({ id: 'catalog', place: 2 });
    expect(rivals.map(({ id, lost }) => [id, lost])).toEqual([
      ['exact', 'method GET is not one of PUT'],
      ['all', 'place 2 comes first'],
      ['other', 'path /catalog/books is not covered by segmentPrefix /other'],
    ]);
  });

  it('says who is calling, what the policies think and which version answers', async () => {
    const headers = { ...(await asAlice()), 'x-canary': 'true' };
    const told = await ask({ url: '/catalog/books?page=2', headers });
    expect(told.outcome).toMatchObject({
      type: 'forward',
      service: catalog,
      version: 'v1.1',
      target: '/books?page=2',
    });
    expect(told.caller).toEqual({ principal: 'https://id.bibby.com/alice', groups: [] });
    expect(told.filters).toEqual([
      {
        filter: 'authentication',
        reached: true,
        remarks: [
          {
            policy: 'Authentication/bibby/readers',
            mode: 'required',
            says: 'the caller is https://id.bibby.com/alice',
          },
        ],
      },
      {
        filter: 'authorization',
        reached: true,
        remarks: [
          {
            policy: 'Authorization/bibby/readers',
            mode: 'enforce',
            says: 'ALLOW: rule 1 matches',
            rule: 1,
          },
          { policy: 'Authorization/bibby/never', mode: 'audit', says: 'DENY: no rule matches' },
        ],
      },
      {
        filter: 'caller-quota',
        reached: true,
        remarks: [
          {
            policy: 'Quota/bibby/per-user',
            mode: 'enforce',
            says: '1 per 60 s for each caller; here https://id.bibby.com/alice',
          },
        ],
      },
    ]);
    expect(told.splits).toEqual([
      {
        service: catalog,
        choices: [
          { version: 'v1.0', weight: 9000, endpoints: 1 },
          { version: 'v1.1', weight: 1000, endpoints: 1 },
        ],
        override: { header: 'x-canary', value: 'true', version: 'v1.1' },
        chosenBy: 'header',
      },
    ]);
  });

  it('shows how far a refused request came', async () => {
    const told = await ask({ url: '/catalog/books' });
    expect(told.outcome).toMatchObject({ type: 'respond', status: 401 });
    expect(told.filters.map(({ filter, reached }) => [filter, reached])).toEqual([
      ['authentication', true],
      ['authorization', false],
      ['caller-quota', false],
    ]);
  });

  it('says so where nothing matches', async () => {
    const nothing = planeView(snapshot({ hosts: [] }));
    const told = await explain(nothing, pipelineDeps(), requestView());
    expect(told).toMatchObject({
      outcome: { status: 404 },
      rule: undefined,
      host: undefined,
      rivals: [],
    });
  });

  it('counts nothing', async () => {
    const deps = pipelineDeps();
    const pipeline = createPipeline(view(), deps);
    const facts = { url: '/catalog/books', headers: await asAlice() };
    for (let i = 0; i < 3; i += 1) expect((await ask(facts, deps)).outcome.type).toBe('forward');
    expect((await pipeline.handle(requestView(facts), 'r')).type).toBe('forward');
    expect((await pipeline.handle(requestView(facts), 'r')).type).toBe('respond');
  });
});
