// A golden file is an input, a line of dashes, and what came out of it. `UPDATE_GOLDEN=1` writes the outputs anew.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';

const SEPARATOR = '\n----------\n';

export const isUpdating = process.env['UPDATE_GOLDEN'] === '1';

export interface GoldenFile {
  readonly name: string;
  readonly input: string;
  readonly output: string;
}

export const readGoldenFiles = (folder: string): readonly GoldenFile[] =>
  readdirSync(folder)
    .filter((file) => file.endsWith('.golden'))
    .toSorted()
    .map((file) => {
      const [input = '', output = ''] = readFileSync(join(folder, file), 'utf8').split(SEPARATOR);
      return { name: basename(file, '.golden'), input, output };
    });

export const writeGoldenFile = (folder: string, { name, input, output }: GoldenFile): void =>
  writeFileSync(
    join(folder, `${name}.golden`),
    `${input.trimEnd()}${SEPARATOR}${output.trimEnd()}\n`,
  );
