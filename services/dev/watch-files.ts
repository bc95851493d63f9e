// Reads policy documents below a path and tells when any of them was saved.
import { type FSWatcher, readdirSync, readFileSync, statSync, watch } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import type { Document } from './dev.ts';

const isPolicy = (name: string) => /\.(ya?ml|json)$/.test(name);
/** Editors write in several steps. */
const SETTLE_MS = 100;

/** Throws when the path does not exist. */
export const readPolicies = (path: string): Document[] => {
  const files = statSync(path).isDirectory()
    ? readdirSync(path, { recursive: true, encoding: 'utf8' })
        .filter((name) => isPolicy(name) && !name.split('/').some((part) => part.startsWith('.')))
        .toSorted()
        .map((name) => join(path, name))
    : [path];
  return files.map((file) => ({
    file: relative(process.cwd(), file),
    text: readFileSync(file, 'utf8'),
  }));
};

/** The folder is watched even for a single file, because many editors save by renaming. */
export const onSave = (path: string, saved: () => void): { close(): void } => {
  const isFolder = statSync(path).isDirectory();
  let timer: NodeJS.Timeout | undefined;
  const watcher: FSWatcher = watch(
    isFolder ? path : dirname(path),
    { recursive: isFolder },
    (_event, name) => {
      if (name !== null && (isFolder ? !isPolicy(name) : name !== basename(path))) return;
      clearTimeout(timer);
      timer = setTimeout(saved, SETTLE_MS);
    },
  );
  return {
    close: () => {
      clearTimeout(timer);
      watcher.close();
    },
  };
};
