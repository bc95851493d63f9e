import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Rule, Snapshot } from '#engine/model/snapshot.ts';
import { choose, pointOf, weightedChoice } from '#engine/pipeline/weighted-choice.ts';
import { answered, answerHeaders, forwarded, serve } from '#test/support/serve.ts';
import { forwardTo, rule, split, upstream } from '#test/support/snapshot.ts';

const catalog = 'bibby/catalog-service';
const splitRule = (facts: Partial<Rule> = {}) =>
  rule({ ...facts, action: forwardTo('', { backends: [{ weight: 1, split: catalog }] }) });
const world = (
  weights: Readonly<Record<string, number>>,
  facts: Partial<Rule> = {},
  more: Partial<Snapshot> = {},
): Partial<Snapshot> => ({
  rules: [splitRule(facts)],
  splits: {
    [catalog]: split(catalog, weights, {
      override: { header: 'x-canary', value: 'true', version: 'v1.1' },
    }),
  },
  ...more,
});
const gone = (version: string) => ({
  [`${catalog}@${version}`]: upstream(`${catalog}@${version}`, { endpoints: [] }),
});
const decision = (weights: Readonly<Record<string, number>>) =>
  ({ type: 'split', target: catalog, weights }) as const;

const share = async (request: ReturnType<typeof serve>, version: string, count = 2000) => {
  let hits = 0;
  for (let i = 0; i < count; i += 1)
    if (forwarded(await request()).upstream.version === version) hits += 1;
  return hits / count;
};

describe('a split', () => {
  it('follows the weights', async () => {
    const request = serve(world({ 'v1.0': 9000, 'v1.1': 1000 }));
    expect(await share(request, 'v1.1')).toBeCloseTo(0.1, 1);
  });

  it('sends nothing to a version without weight', async () => {
    const request = serve(world({ 'v1.0': 10_000, 'v1.1': 0 }));
    expect(await share(request, 'v1.1', 500)).toBe(0);
  });

  it('follows a decision, and the snapshot again when the decision goes', async () => {
    const request = serve(world({ 'v1.0': 10_000, 'v1.1': 0 }));
    request.decide(decision({ 'v1.0': 0, 'v1.1': 10_000 }));
    expect(await share(request, 'v1.1', 100)).toBe(1);
    request.decide();
    expect(await share(request, 'v1.1', 100)).toBe(0);
  });

  it.each([
    ['names no version', { v9: 10_000 }],
    ['gives nobody weight', { 'v1.0': 0, 'v1.1': 0 }],
    ['speaks of prototypes', JSON.parse('{"__proto__": 10000}') as Record<string, number>],
  ])('does not follow a decision that %s', async (_name, weights) => {
    const request = serve(world({ 'v1.0': 10_000, 'v1.1': 0 }));
    request.decide(decision(weights));
    expect(await share(request, 'v1.0', 20)).toBe(1);
  });

  it('sends the request to the version its header asks for, weight or not', async () => {
    const request = serve(world({ 'v1.0': 10_000, 'v1.1': 0 }));
    const outcome = await request({ headers: { 'x-canary': 'true' } });
    expect(forwarded(outcome).upstream.version).toBe('v1.1');
    const other = await request({ headers: { 'x-canary': 'yes' } });
    expect(forwarded(other).upstream.version).toBe('v1.0');
  });

  it('leaves out a version without endpoints', async () => {
    const request = serve(world({ 'v1.0': 5000, 'v1.1': 5000 }, {}, { upstreams: gone('v1.1') }));
    expect(await share(request, 'v1.0', 100)).toBe(1);
    const asked = await request({ headers: { 'x-canary': 'true' } });
    expect(forwarded(asked).upstream.version).toBe('v1.0');
  });

  it('answers 503 when no version has endpoints', async () => {
    const upstreams = { ...gone('v1.0'), ...gone('v1.1') };
    const request = serve(world({ 'v1.0': 5000, 'v1.1': 5000 }, {}, { upstreams }));
    expect(answered(await request())).toMatchObject({ status: 503, flag: 'UH' });
  });

  it('of the route comes before the split of the service', async () => {
    const backends = [
      { weight: 3, split: catalog },
      { weight: 1, upstream: 'bibby/old-catalog' },
      { weight: 0, upstream: 'bibby/never' },
    ];
    const request = serve({
      ...world({ 'v1.0': 5000, 'v1.1': 5000 }),
      rules: [rule({ action: forwardTo('', { backends }) })],
    });
    const seen = new Map<string, number>();
    for (let i = 0; i < 4000; i += 1) {
      const { id } = forwarded(await request()).upstream;
      seen.set(id, (seen.get(id) ?? 0) + 1 / 4000);
    }
    expect(seen.get('bibby/old-catalog')).toBeCloseTo(0.25, 1);
    expect(seen.get(`${catalog}@v1.0`)).toBeCloseTo(0.375, 1);
    expect(seen.has('bibby/never')).toBe(false);
  });
});

describe('a sticky split', () => {
  const even = { 'v1.0': 5000, 'v1.1': 5000 };

  it('tells where the caller stands, and nothing of callers whom chance sends', async () => {
    const request = serve(world(even, { sticky: { by: 'header', name: 'x-session' } }));
    const one = forwarded(await request({ headers: { 'x-session': 'one' } }));
    expect(one.exchange.stickyPoint).toBe(pointOf('one', catalog));
    expect(forwarded(await request()).exchange.stickyPoint).toBeUndefined();
  });

  it('recognises a header', async () => {
    const request = serve(world(even, { sticky: { by: 'header', name: 'x-session' } }));
    const versions = new Set<string>();
    for (let i = 0; i < 50; i += 1)
      versions.add(forwarded(await request({ headers: { 'x-session': 's1' } })).upstream.version);
    expect(versions.size).toBe(1);
  });

  it('recognises a caller by his address while nobody is authenticated', async () => {
    const request = serve(world(even, { sticky: { by: 'caller', name: '' } }));
    const versionOf = async (clientAddress: string) =>
      forwarded(await request({ clientAddress })).upstream.version;
    const addresses = Array.from({ length: 40 }, (_, i) => `203.0.113.${i}`);
    const first = await Promise.all(addresses.map(versionOf));
    expect(await Promise.all(addresses.map(versionOf))).toEqual(first);
    expect(new Set(first).size).toBe(2);
  });

  it('sets its cookie once and then keeps to it', async () => {
    const request = serve(world(even, { sticky: { by: 'cookie', name: 'weir-id' } }));
    for (let user = 0; user < 20; user += 1) {
      const first = forwarded(await request({ scheme: 'https' }));
      const cookie = answerHeaders(first)['set-cookie'] ?? '';
      expect(cookie).toMatch(
        /^weir-id=[a-z0-9]{22}; Path=\/; Max-Age=\d+; HttpOnly; SameSite=Lax; Secure$/,
      );
      const headers = { cookie: `a=b; ${cookie.split(';', 1)[0]}` };
      const second = forwarded(await request({ headers }));
      expect(second.upstream).toBe(first.upstream);
      expect(answerHeaders(second)).toEqual({});
    }
  });

  it('sets no cookie while there is nothing to choose', async () => {
    const request = serve(
      world({ 'v1.0': 10_000, 'v1.1': 0 }, { sticky: { by: 'cookie', name: 'weir-id' } }),
    );
    expect(answerHeaders(await request())).toEqual({});
  });

  it('keeps everybody on a version whose weight only grows', () => {
    const weights = fc.array(fc.nat(10_000), { minLength: 2, maxLength: 8 });
    fc.assert(
      fc.property(weights, fc.array(fc.string()), fc.boolean(), (list, users, isLast) => {
        const growing = [...list].sort((a, b) => a - b);
        let onCanary = new Set<string>();
        for (const weight of growing) {
          const versions = [
            { name: 'canary', weight },
            { name: 'baseline', weight: 10_000 - weight },
          ];
          const choice = weightedChoice(isLast ? versions.reverse() : versions, (v) => v.weight);
          const now = new Set(
            users.filter((user) => choose(choice, pointOf(user, 'catalog'))?.name === 'canary'),
          );
          expect(now.isSupersetOf(onCanary)).toBe(true);
          onCanary = now;
        }
      }),
    );
  });

  it('spreads users evenly and differently for different splits', () => {
    const users = Array.from({ length: 10_000 }, (_, i) => `user-${i}`);
    const low = (salt: string) => users.filter((user) => pointOf(user, salt) < 0.1);
    const [here, there] = [low('catalog'), low('library')];
    expect(here.length).toBeGreaterThan(900);
    expect(here.length).toBeLessThan(1100);
    const both = here.filter((user) => there.includes(user)).length;
    expect(both).toBeGreaterThan(50);
    expect(both).toBeLessThan(160);
  });
});
