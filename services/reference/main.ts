// `npm run docs`: writes docs/reference and docs/schema anew.
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pages } from './pages.ts';

const docs = join(import.meta.dirname, '..', '..', 'docs');
for (const [file, text] of pages()) {
  const path = join(docs, file);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}
console.log(`${pages().size} files written to ${docs}`);
