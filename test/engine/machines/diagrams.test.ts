import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { document, path } from './diagrams.ts';

it('docs/machines.md shows the machines as they are', () => {
  expect(readFileSync(path, 'utf8')).toBe(document);
});
