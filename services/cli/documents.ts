// Finds the policy documents that `-f` names: files, folders and standard input.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { CliError, exitCodes } from './exit.ts';
import type { Surroundings } from './surroundings.ts';

export interface Document {
  /** As diagnostics name it: relative to where the command runs. */
  readonly file: string;
  readonly text: string;
}

export const readDocuments = async (
  paths: readonly string[],
  world: Pick<Surroundings, 'cwd' | 'stdin'>,
): Promise<Document[]> => {
  const documents: Document[] = [];
  for (const path of paths)
    if (path === '-') documents.push({ file: '<stdin>', text: await readInput(world) });
    else documents.push(...readPath(path, world.cwd));
  return documents;
};

/** Nothing at all is a slip (a pipe that broke), not a wish. */
const readInput = async ({ stdin }: Pick<Surroundings, 'stdin'>): Promise<string> => {
  const text = await stdin();
  if (text.trim() !== '') return text;
  throw new CliError(exitCodes.usage, 'The standard input has no documents.', {
    hint: 'Pipe YAML or JSON into it, or name a file or folder.',
  });
};

const readPath = (path: string, cwd: string): Document[] => {
  const absolute = resolve(cwd, path);
  try {
    const files = statSync(absolute).isDirectory() ? policyFiles(absolute) : [absolute];
    if (files.length === 0)
      throw new CliError(exitCodes.usage, `${path} has no .yaml, .yml or .json files.`);
    return files.map((file) => ({
      file: relative(cwd, file).replaceAll('\\', '/') || file,
      text: readFileSync(file, 'utf8'),
    }));
  } catch (error) {
    if (error instanceof CliError) throw error;
    const why =
      (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'does not exist' : String(error);
    throw new CliError(exitCodes.usage, `${path} ${why}.`);
  }
};

/** All policy files below, in a steady order; hidden folders are left out. */
const policyFiles = (folder: string): string[] =>
  readdirSync(folder, { withFileTypes: true })
    .filter((entry) => !entry.name.startsWith('.'))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return policyFiles(path);
      return /\.(ya?ml|json)$/.test(entry.name) ? [path] : [];
    });
