import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { advanceRollout, idleRollout, type RolloutEvent } from '#engine/machines/rollout.ts';
import type { DecisionBody } from '#engine/model/decision.ts';
import type { RolloutPlan } from '#engine/model/rollout-plan.ts';
import type { Rule, Split } from '#engine/model/snapshot.ts';
import { plan, told } from '#test/engine/machines/rollout-fixtures.ts';
import type { RequestFacts } from '#test/support/request-view.ts';
import { forwarded, serve } from '#test/support/serve.ts';
import { forwardTo, rule, split } from '#test/support/snapshot.ts';

const catalog = 'bibby/catalog-service';
const all = { 'v1.0': 10_000, 'v1.1': 0 };
const serving = (facts: Partial<Split>, of: Partial<Rule> = {}) =>
  serve({
    rules: [rule({ ...of, action: forwardTo('', { backends: [{ weight: 1, split: catalog }] }) })],
    splits: { [catalog]: split(catalog, all, facts) },
  });
const decided = (more: Partial<Extract<DecisionBody, { type: 'split' }>>): DecisionBody => ({
  type: 'split',
  target: catalog,
  weights: all,
  ...more,
});
const versionOf = async (request: ReturnType<typeof serve>, facts: RequestFacts) =>
  forwarded(await request(facts)).upstream.version;

describe('a preview', () => {
  it('shows the new version to its host, and to nobody else', async () => {
    const request = serving({ preview: { host: 'preview.bibby.com', version: 'v1.1' } });
    expect(await versionOf(request, { host: 'preview.bibby.com' })).toBe('v1.1');
    expect(await versionOf(request, { host: 'api.bibby.com' })).toBe('v1.0');
  });
});

describe('a cohort', () => {
  const byHeader = { by: 'header', name: 'x-group', value: 'b' } as const;
  const byCookie = { by: 'cookie', name: 'group', value: 'b' } as const;

  it.each([
    ['header', byHeader, { 'x-group': 'b' }, { 'x-group': 'a' }],
    ['cookie', byCookie, { cookie: 'x=1; group=b' }, { cookie: 'group=bb' }],
  ])('known by a %s is served by the new version while that is decided', async (_, of, b, a) => {
    const request = serving({ cohort: of });
    expect(await versionOf(request, { headers: b })).toBe('v1.0');
    request.decide(decided({ cohort: 'v1.1' }));
    expect(await versionOf(request, { headers: b })).toBe('v1.1');
    expect(await versionOf(request, { headers: a })).toBe('v1.0');
    expect(await versionOf(request, {})).toBe('v1.0');
    request.decide(decided({}));
    expect(await versionOf(request, { headers: b })).toBe('v1.0');
  });

  it('is no longer one when a decision after the snapshot says so', async () => {
    const request = serving({ cohort: { ...byHeader, version: 'v1.1' } });
    expect(await versionOf(request, { headers: { 'x-group': 'b' } })).toBe('v1.1');
    request.decide(decided({}));
    expect(await versionOf(request, { headers: { 'x-group': 'b' } })).toBe('v1.0');
  });
});

describe('a mirror that a rollout asks for', () => {
  const copies = async (request: ReturnType<typeof serve>, count = 1000): Promise<number> => {
    let copied = 0;
    for (let at = 0; at < count; at += 1) {
      const { upstream, mirror } = forwarded(await request({}));
      expect(upstream.version).toBe('v1.0');
      if (mirror?.version === 'v1.1') copied += 1;
    }
    return copied / count;
  };

  it('copies the share that is decided, and nothing when it is over', async () => {
    const request = serving({});
    expect(await copies(request, 50)).toBe(0);
    request.decide(decided({ mirror: { version: 'v1.1', percent: 25 } }));
    expect(await copies(request)).toBeCloseTo(0.25, 1);
    request.decide(decided({}));
    expect(await copies(request, 50)).toBe(0);
  });

  it('never copies to the version that answers anyway', async () => {
    const request = serving({});
    const weights = { 'v1.0': 0, 'v1.1': 10_000 };
    request.decide(decided({ weights, mirror: { version: 'v1.1', percent: 100 } }));
    expect(forwarded(await request({})).mirror).toBeUndefined();
  });
});

describe('a sticky user', () => {
  const automatic: RolloutPlan = { ...plan, service: catalog, ramp: 'automatic', minStepMs: 0 };

  /** Every split that a rollout decides on its way up, for this rate and these grants of evidence. */
  const wayUp = (requestRate: number, progress: readonly number[]): DecisionBody[] => {
    let state = idleRollout(automatic);
    const bodies: DecisionBody[] = [];
    const tell = (event: RolloutEvent) => {
      const advanced = advanceRollout(state, automatic, event);
      ({ state } = advanced);
      for (const effect of advanced.effects) if (effect.type === 'split') bodies.push(effect.body);
    };
    tell({ type: 'newRevision', canary: 'v1.1', nowMs: 0 });
    tell({ type: 'weightAcked', weight: 0, nowMs: 1 });
    for (const [at, share] of progress.entries())
      tell(
        told(at + 2, {
          progress: share,
          requestRate,
          outcome: share === 1 ? 'pass' : 'inconclusive',
        }),
      );
    return bodies;
  };

  it('who has seen the new version keeps it while its weight only grows', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(0, 50, 800, 6000),
        fc.array(fc.constantFrom(0.1, 0.5, 0.9, 1), { minLength: 3, maxLength: 14 }),
        fc.uniqueArray(fc.string({ minLength: 1, maxLength: 12 }), { minLength: 1, maxLength: 20 }),
        async (rate, progress, users) => {
          const request = serving({}, { sticky: { by: 'header', name: 'x-user' } });
          const seen = new Set<string>();
          for (const body of wayUp(rate, progress)) {
            request.decide(body);
            for (const user of users) {
              const headers = { 'x-user': user };
              const version = await versionOf(request, { headers });
              if (seen.has(user)) expect(version).toBe('v1.1');
              if (version === 'v1.1') seen.add(user);
            }
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it('is, in the end, any user', async () => {
    const request = serving({}, { sticky: { by: 'header', name: 'x-user' } });
    for (const body of wayUp(50, [1, 1, 1, 1, 1, 1])) request.decide(body);
    expect(await versionOf(request, { headers: { 'x-user': 'anybody' } })).toBe('v1.1');
  });
});
