import fc from 'fast-check';
import { expect, it } from 'vitest';
import { unifiedDiff } from '#services/control/api/text-diff.ts';

const diff = (before: string, after: string): string =>
  unifiedDiff({ name: 'old', text: before }, { name: 'new', text: after });

/** What `patch` does with a diff of this shape. */
const patch = (before: readonly string[], text: string): string[] => {
  const result: string[] = [];
  let at = 0;
  for (const line of text.split('\n').slice(2, -1)) {
    const hunk = /^@@ -(\d+),(\d+)/.exec(line);
    if (hunk) {
      const start = Number(hunk[2]) === 0 ? Number(hunk[1]) : Number(hunk[1]) - 1;
      result.push(...before.slice(at, start));
      at = start;
      continue;
    }
    if (line[0] !== '+') {
      expect(before[at]).toBe(line.slice(1));
      at += 1;
    }
    if (line[0] !== '-') result.push(line.slice(1));
  }
  return [...result, ...before.slice(at)];
};

it('shows three lines of context around a change', () => {
  const before = 'a\nb\nc\nd\ne\nf\ng\nh\n';
  expect(diff(before, before.replace('e', 'E'))).toBe(
    '--- old\n+++ new\n@@ -2,7 +2,7 @@\n b\n c\n d\n-e\n+E\n f\n g\n h\n',
  );
});

it('is empty for equal texts', () => {
  expect(diff('a\nb\n', 'a\nb')).toBe('');
});

it('turns one text into the other when it is applied', () => {
  const lines = fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { maxLength: 40 });
  fc.assert(
    fc.property(lines, lines, (before, after) => {
      const text = diff(
        before.map((line) => `${line}\n`).join(''),
        after.map((line) => `${line}\n`).join(''),
      );
      expect(text === '' ? before : patch(before, text)).toEqual(after);
    }),
  );
});

it('takes texts that have nothing in common', () => {
  const many = (letter: string) => Array.from({ length: 5000 }, (_, at) => `${letter}${at}`);
  const text = diff(many('a').join('\n'), many('b').join('\n'));
  expect(patch(many('a'), text)).toEqual(many('b'));
});
