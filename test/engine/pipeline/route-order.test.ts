import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { HostEntry, Match } from '#engine/model/snapshot.ts';
import { createPipeline } from '#engine/pipeline/create-pipeline.ts';
import { coversHost } from '#engine/pipeline/host-index.ts';
import { compileMatch } from '#engine/pipeline/match.ts';
import { pipelineDeps } from '#test/support/pipeline-deps.ts';
import { requestView } from '#test/support/request-view.ts';
import { match, planeView, rule, snapshot } from '#test/support/snapshot.ts';

const pathType = fc.constantFrom(
  'exact',
  'segmentPrefix',
  'stringPrefix',
  'regexStart',
  'regexFull',
) satisfies fc.Arbitrary<Match['path']['type']>;
const segment = fc.constantFrom('', 'a', 'ab', 'abc', 'b', '__proto__', 'constructor');
const path = fc.array(segment, { maxLength: 4 }).map((segments) => `/${segments.join('/')}`);
const method = fc.constantFrom('GET', 'POST', 'BREW');
const named = fc.record({
  name: fc.constantFrom('x-a', '__proto__'),
  match: fc.oneof(
    fc.constant({ type: 'present' as const }),
    fc.record({
      type: fc.constantFrom('exact' as const, 'prefix' as const, 'regex' as const),
      value: fc.constantFrom('1', '12'),
    }),
  ),
  not: fc.boolean(),
});
const arbitraryMatch: fc.Arbitrary<Match> = fc.record({
  path: fc.record({ type: pathType, value: path }),
  methods: fc.uniqueArray(method, { maxLength: 2 }),
  headers: fc.array(named, { maxLength: 1 }),
  query: fc.array(named, { maxLength: 1 }),
  cookies: fc.constant([]),
});
const host = fc.constantFrom('bibby.com', 'api.bibby.com', 'a.api.bibby.com', 'com', 'x.org');
const entry = (rules: number): fc.Arbitrary<HostEntry> =>
  fc.record({
    type: fc.constantFrom('exact', 'oneLabel', 'manyLabels', 'any'),
    host,
    listeners: fc.constantFrom([], ['http'], ['https']),
    rules: fc.uniqueArray(fc.nat(Math.max(0, rules - 1)), { maxLength: rules }),
  });

describe('route matching', () => {
  it('gives the same answer as walking the lists', () => {
    const world = fc
      .array(arbitraryMatch, { minLength: 1, maxLength: 12 })
      .chain((matches) =>
        fc.tuple(fc.constant(matches), fc.array(entry(matches.length), { maxLength: 6 })),
      );
    const request = fc.record({
      method,
      host,
      url: fc.tuple(path, fc.constantFrom('', '?x-a=1', '?x-a=12&x-a=1')).map((p) => p.join('')),
      headers: fc.constantFrom({}, { 'x-a': '1' }, { 'x-a': '12' }, { 'x-a': ['1', '2'] }),
    });
    fc.assert(
      fc.property(world, fc.array(request, { maxLength: 8 }), ([matches, hosts], requests) => {
        const rules = matches.map((each, index) => rule({ id: `r${index}`, match: each }));
        const pipeline = createPipeline(planeView(snapshot({ rules, hosts })), pipelineDeps());
        for (const facts of requests) {
          const view = requestView(facts);
          const belongs = hosts.find(
            (each) =>
              coversHost(each, view.host) &&
              (each.listeners.length === 0 || each.listeners.includes(view.listener)),
          );
          const winner = belongs?.rules.find(
            (number) =>
              compileMatch(rules[number]?.match ?? match()).failure(view, view.method) ===
              undefined,
          );
          expect(pipeline.match(view)?.rule.id).toBe(
            winner === undefined ? undefined : `r${winner}`,
          );
        }
      }),
      { numRuns: 500 },
    );
  });
});
