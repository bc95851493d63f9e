import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { regexObjection } from '#engine/compile/regex/objection.ts';
import { parsePattern } from '#engine/compile/regex/syntax.ts';
import { countSteps } from './backtracking-steps.ts';

describe('patterns', () => {
  it.each([
    '/api/v1/.*',
    '/users/[^/]+/orders/[0-9]+',
    '(foo|bar)+x?',
    '/a/[a-z]*/b/[a-z]*',
    '/v[0-9]+/(books|authors)(/.*)?',
    '(/[^/]+)*',
    '/.*\\.json',
    '(?:a|b)*',
    '/x/(?<id>\\w+)',
    '[\\w-]+\\.[\\w-]+',
    '(ab)*(ac)*',
    '.{0,64}x',
    '[a-z]{1,20}[a-z0-9]',
    '[a-z0-9]{1,63}(\\.[a-z0-9]{1,63}){0,3}',
    'x'.repeat(500),
  ])('%s is let through', (pattern) => {
    expect(regexObjection(pattern)).toBeUndefined();
  });

  it.each([
    ['(a+)+', 'exponential'],
    ['(a*)*b', 'exponential'],
    ['(a|a)*', 'exponential'],
    ['(.*,)*x', 'exponential'],
    ['(\\w+\\s?)+', 'exponential'],
    ['(a|b|ab)*c', 'exponential'],
    ['(x+x+)+y', 'exponential'],
    ['^(([a-z])+.)+[A-Z]([a-z])+$', 'exponential'],
    ['a*a*b', 'quadratic'],
    ['.*.*x', 'quadratic'],
    ['/a/.*/b/.*/c', 'quadratic'],
    ['\\d+\\d+x', 'quadratic'],
    ['(a+){10}b', 'quadratic'],
    ['(a?){30}a{30}', 'thousands of ways'],
    ['((ab)?){30}(ab){30}', 'thousands of ways'],
    ['a{0,100}a{0,100}a{0,100}b', 'thousands of ways'],
    ['a?'.repeat(300), 'too complicated'],
    ['((a{1,30}){1,30}){2}', 'too long'],
    ['(?=a)b', 'looks ahead'],
    ['(a)\\1', 'refers back'],
    ['(?<x>a)\\k<x>', 'refers back'],
    ['[a', 'invalid'],
    ['a'.repeat(1025), 'longer than 1024'],
  ])('%s is refused', (pattern, reason) => {
    expect(regexObjection(pattern)?.reason).toContain(reason);
  });

  const atom = fc.constantFrom('a', 'b', '.', '[ab]', '[^a]', '\\w', 'ab');
  const { pattern } = fc.letrec<{ pattern: string }>((tie) => ({
    pattern: fc.oneof(
      { maxDepth: 4, withCrossShrink: true },
      atom,
      fc.tuple(tie('pattern'), tie('pattern')).map(([a, b]) => `${a}${b}`),
      fc.tuple(tie('pattern'), tie('pattern')).map(([a, b]) => `(?:${a}|${b})`),
      fc
        .tuple(tie('pattern'), fc.constantFrom('*', '+', '?', '{2}', '{0,3}', '{2,}'))
        .map(([a, sign]) => `(?:${a})${sign}`),
    ),
  }));
  const word = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 1, maxLength: 3 });

  it('that are let through take twice the steps for twice the text, not four times', () => {
    fc.assert(
      fc.property(pattern, word, word, (source, start, loop) => {
        fc.pre(regexObjection(source) === undefined);
        const node = parsePattern(source);
        const steps = (times: number) => countSteps(node, `${start}${loop.repeat(times)}!`, 1e6);
        expect(steps(80)).toBeLessThan(3 * steps(40) + 1000);
      }),
      { numRuns: 1000 },
    );
  });
});
