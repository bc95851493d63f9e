// The last good state in a folder of its own: `current.json` and, in case that one turns out to be bad (never written out
// because the machine went down, forged, refused by the data plane), `previous.json`.
import { randomUUID } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { LastGoodStore, SavedState } from '#engine/ports/last-good.ts';

const CURRENT = 'current.json';
const PREVIOUS = 'previous.json';
const PUT_ASIDE = '.refused';

/** Only one process writes to the folder at a time; its successor may read meanwhile. */
export const createFileStore = (folder: string): LastGoodStore => {
  const path = (name: string): string => join(folder, name);
  const putAside = (name: string): Promise<void> =>
    ignoreMissing(rename(path(name), path(name + PUT_ASIDE)));

  return {
    load: async (problem) => {
      await removeLeftovers(folder);
      const states: SavedState[] = [];
      for (const name of [CURRENT, PREVIOUS]) {
        const text = await readIfThere(path(name));
        if (text === undefined) continue;
        const messages = decode(text);
        if (messages) states.push({ name: path(name), messages });
        else {
          await putAside(name);
          problem(`${path(name)} is damaged; it is now ${name + PUT_ASIDE} and not used`);
        }
      }
      return states;
    },
    save: async (messages) => {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const draft = path(`${randomUUID()}.tmp`);
      await writeFile(draft, encode(messages), { mode: 0o600, flag: 'wx' });
      await ignoreMissing(rename(path(CURRENT), path(PREVIOUS)));
      await rename(draft, path(CURRENT));
    },
    flush: async () => {
      for (const name of [path(CURRENT), folder]) await ignoreMissing(sync(name));
    },
    putAside: ({ name }) => ignoreMissing(rename(name, name + PUT_ASIDE)),
  };
};

const encode = (messages: readonly Uint8Array[]): string =>
  JSON.stringify({ v: 1, sealed: messages.map((bytes) => Buffer.from(bytes).toString('base64')) });

const decode = (text: string): readonly Uint8Array[] | undefined => {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null) return undefined;
    const { v, sealed } = value as { v?: unknown; sealed?: unknown };
    if (v !== 1 || !Array.isArray(sealed) || sealed.length === 0) return undefined;
    if (!sealed.every((item) => typeof item === 'string')) return undefined;
    return sealed.map((item) => Buffer.from(item, 'base64'));
  } catch {
    return undefined;
  }
};

/** A file's content, or the names in a folder. */
const sync = async (name: string): Promise<void> => {
  const handle = await open(name, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
};

const removeLeftovers = async (folder: string): Promise<void> => {
  const names = await readdir(folder).catch(() => []);
  for (const name of names)
    if (name.endsWith('.tmp') && (await isOld(join(folder, name))))
      await rm(join(folder, name), { force: true });
};

/** A younger one may be a predecessor's that is still at it. */
const LEFT_OVER_MS = 60_000;

const isOld = async (file: string): Promise<boolean> => {
  const facts = await stat(file).catch(() => undefined);
  return facts !== undefined && Date.now() - facts.mtimeMs > LEFT_OVER_MS;
};

const isMissing = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'ENOENT';

const readIfThere = async (file: string): Promise<string | undefined> => {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
};

const ignoreMissing = async (work: Promise<void>): Promise<void> => {
  try {
    await work;
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
};
