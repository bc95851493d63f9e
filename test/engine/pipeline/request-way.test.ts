// The order of the filters is a contract: docs/request-way.md tells it to people, this holds the pipeline to it.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { standardFilters } from '#engine/filters/standard.ts';
import type { AuthorizationPlan, QuotaPlan, Rule } from '#engine/model/snapshot.ts';
import { pipelineDeps } from '#test/support/pipeline-deps.ts';
import type { RequestFacts } from '#test/support/request-view.ts';
import { answerHeaders, serve } from '#test/support/serve.ts';
import { rule } from '#test/support/snapshot.ts';

const used = (by: QuotaPlan['by']): QuotaPlan => ({
  id: `bibby/${by}`,
  origin: { resource: `Quota/bibby/${by}` },
  mode: 'enforce',
  by,
  limits: [{ requests: 1, windowMs: 3_600_000 }],
  scope: 'local',
  algorithm: 'fixed',
  headers: true,
  status: 429,
});
const policy = (
  action: AuthorizationPlan['action'],
  rules: AuthorizationPlan['rules'],
): AuthorizationPlan => ({ origin: { resource: action }, action, mode: 'enforce', rules });

/** Everything that can stand in a request's way, from the last obstacle to the first. */
const obstacles: readonly (readonly [string, Partial<Rule>, string])[] = [
  ['nothing', {}, 'forward'],
  ['fault', { fault: { delayMs: 0, delayPercent: 0, abortStatus: 418, abortPercent: 100 } }, '418'],
  ['caller quota', { quotas: ['all'] }, '429 all'],
  ['authorization', { authorizations: ['nobody'] }, '403'],
  ['authentication', { authentications: ['key'] }, '401'],
  ['address quota', { quotas: ['address', 'all'] }, '429 address'],
  ['address rules', { authorizations: ['here', 'nobody'] }, '403 early'],
];

const world = (facts: Partial<Rule>) =>
  serve(
    {
      rules: [
        rule({
          ...facts,
          match: { path: { type: 'exact', value: '/' } },
          cors: {
            origins: ['https://bibby.com'],
            methods: ['GET'],
            headers: [],
            exposedHeaders: [],
            maxAgeSeconds: 1,
            credentials: false,
          },
          responseHeaders: { set: [['X-Edited', 'yes']], add: [], remove: [] },
        }),
        // Uses the quotas up.
        rule({ match: { path: { type: 'exact', value: '/use/all' } }, quotas: ['all'] }),
        rule({ match: { path: { type: 'exact', value: '/use/address' } }, quotas: ['address'] }),
      ],
      authentications: {
        key: {
          origin: { resource: 'key' },
          mode: 'required',
          methods: [{ type: 'apiKey', header: 'x-api-key', forwardKey: false }],
        },
      },
      authorizations: {
        nobody: policy('ALLOW', []),
        here: policy('DENY', [{ from: [{ remoteIpBlocks: ['0.0.0.0/0'] }] }]),
      },
      quotas: { all: used('all'), address: used('address') },
    },
    pipelineDeps(),
  );

const ask = async (facts: Partial<Rule>, request: RequestFacts = {}) => {
  const served = world(facts);
  await served({ url: '/use/all' });
  await served({ url: '/use/address' });
  return served({ ...request, headers: { origin: 'https://bibby.com', ...request.headers } });
};

describe('the way of a request', () => {
  it('is told in the order in which it is gone', () => {
    const text = readFileSync(new URL('../../../docs/request-way.md', import.meta.url), 'utf8');
    const told = [...text.matchAll(/^\| \d+ \| `([a-z-]+)` \|/gm)].map(([, name]) => name);
    expect(told).toEqual(standardFilters.map(({ name }) => name));
  });

  it.each(obstacles.map((obstacle, i) => [obstacle[0], i] as const))(
    'meets %s before all that comes later',
    async (_name, index) => {
      const inTheWay = Object.assign(
        {},
        ...obstacles.slice(0, index + 1).map(([, facts]) => facts),
      );
      const outcome = await ask(inTheWay as Partial<Rule>);
      const [, , expected = ''] = obstacles[index] ?? [];
      if (outcome.type === 'forward') expect('forward').toBe(expected);
      else {
        expect(String(outcome.status)).toBe(expected.split(' ')[0]);
        if (outcome.status === 429)
          expect(answerHeaders(outcome)['ratelimit']).toContain(`"${expected.split(' ')[1]}";r=0`);
      }
    },
  );

  it.each(obstacles.map(([name], i) => [name, i] as const))(
    'gives a preflight its answer whatever else is in the way: %s',
    async (_name, index) => {
      const inTheWay = Object.assign(
        {},
        ...obstacles.slice(0, index + 1).map(([, facts]) => facts),
      );
      const headers = { 'access-control-request-method': 'GET' };
      const outcome = await ask(inTheWay as Partial<Rule>, { method: 'OPTIONS', headers });
      expect(outcome).toMatchObject({ type: 'respond', status: 204 });
    },
  );

  it.each(obstacles.slice(1).map(([name], i) => [name, i + 1] as const))(
    'goes back only past the filters that it came past: %s',
    async (_name, index) => {
      const inTheWay = Object.assign(
        {},
        ...obstacles.slice(0, index + 1).map(([, facts]) => facts),
      );
      const headers = answerHeaders(await ask(inTheWay as Partial<Rule>));
      expect(headers['access-control-allow-origin']).toBe('https://bibby.com');
      expect(headers['x-edited']).toBeUndefined();
    },
  );
});
