// The files that policies may name. Who writes policy must not be able to read the installation's own secrets that way.
import { readFileSync, realpathSync } from 'node:fs';
import { join, resolve, sep } from 'node:path';

export interface PolicyFilesOptions {
  /** Relative paths start here. */
  readonly home: string;
  /** Further folders; absolute. */
  readonly folders: readonly string[];
}

const real = (path: string): string | undefined => {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
};

/**
 * Text of a file, or undefined. Readable are whatever is in `<home>/files` and in the further folders, and the public key sets
 * (`*.jwks.json`) in `<home>/keys`; a link counts as what it points to.
 */
export const createPolicyFiles =
  ({ home, folders }: PolicyFilesOptions) =>
  (path: string): string | undefined => {
    const file = real(resolve(home, path));
    if (file === undefined) return undefined;
    const isIn = (folder: string): boolean => file.startsWith(`${real(folder) ?? folder}${sep}`);
    const isPublicKeys = isIn(join(home, 'keys')) && file.endsWith('.jwks.json');
    if (!isPublicKeys && ![join(home, 'files'), ...folders].some(isIn)) return undefined;
    try {
      return readFileSync(file, 'utf8');
    } catch {
      return undefined;
    }
  };
