// The pages that people read, and what stands in them.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export const root = join(import.meta.dirname, '..', '..');

export interface Page {
  /** Relative to the root. */
  readonly file: string;
  readonly text: string;
}

export interface Snippet {
  readonly file: string;
  readonly line: number;
  readonly text: string;
}

const written = readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.md'))
  .map((file) => `docs/${file}`);

export const pages: readonly Page[] = [
  'README.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  ...written.toSorted(),
].map((file) => ({ file, text: readFileSync(join(root, file), 'utf8') }));

/** Fenced blocks of one language. */
export const blocksOf = ({ file, text }: Page, language: string): readonly Snippet[] =>
  [...text.matchAll(new RegExp(`^( *)\`\`\`${language}\\n(.*?)^ *\`\`\``, 'gms'))].map((found) => ({
    file,
    line: text.slice(0, found.index).split('\n').length + 1,
    text: (found[2] ?? '').replaceAll(new RegExp(`^${found[1] ?? ''}`, 'gm'), ''),
  }));

/** Text in backticks outside of blocks. */
export const codeOf = ({ text }: Page): readonly string[] =>
  [...text.replaceAll(/^ *```.*?^ *```/gms, '').matchAll(/`([^`]+)`/g)].map(
    ([, code = '']) => code,
  );
