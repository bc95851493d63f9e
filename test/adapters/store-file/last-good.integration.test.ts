import { mkdtemp, readdir, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createFileStore } from '#adapters/store-file/last-good.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
let folder: string;
let problems: string[];
const store = () => createFileStore(join(folder, 'edge-1'));
const load = async () => {
  const states = await store().load((problem) => problems.push(problem));
  return states.map(({ messages }) => messages.map((message) => Buffer.from(message).toString()));
};

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weir-state-'));
  problems = [];
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe('the last good state', () => {
  it('is nothing at first', async () => {
    expect(await load()).toEqual([]);
  });

  it('comes back byte for byte, the newest first, then the one before', async () => {
    for (const state of [['a'], ['b', 'c'], ['d', 'ünïcode']]) await store().save(state.map(bytes));
    expect(await load()).toEqual([
      ['d', 'ünïcode'],
      ['b', 'c'],
    ]);
    expect(problems).toEqual([]);
  });

  it('is for its owner only', async () => {
    await store().save([bytes('a')]);
    const modes = await Promise.all(
      ['edge-1', 'edge-1/current.json'].map(async (name) => (await stat(join(folder, name))).mode),
    );
    expect(modes.map((mode) => mode & 0o777)).toEqual([0o700, 0o600]);
  });

  it.each([
    ['cut short', async (file: string) => await truncate(file, 20)],
    ['empty', async (file: string) => await truncate(file, 0)],
    ['something else', async (file: string) => await writeFile(file, '{"v":2,"sealed":["YQ=="]}')],
  ])('is put aside when the file is %s, and the one before is used', async (_, damage) => {
    await store().save([bytes('a')]);
    await store().save([bytes('b')]);
    await damage(join(folder, 'edge-1', 'current.json'));
    expect(await load()).toEqual([['a']]);
    expect(problems).toEqual([expect.stringContaining('current.json is damaged')]);
    expect(await readdir(join(folder, 'edge-1'))).toEqual([
      'current.json.refused',
      'previous.json',
    ]);
  });

  it('survives a crash between any two steps of saving', async () => {
    await store().save([bytes('a')]);
    const half = join(folder, 'edge-1', 'half.tmp');
    await writeFile(half, '{"v":1,"sea');
    expect(await load()).toEqual([['a']]);
    // It may be a predecessor's that is still at it.
    expect(await readdir(join(folder, 'edge-1'))).toEqual(['current.json', 'half.tmp']);
    await utimes(half, 0, 0);
    expect(await load()).toEqual([['a']]);
    expect(await readdir(join(folder, 'edge-1'))).toEqual(['current.json']);
  });

  it('is not loaded again once it was refused', async () => {
    await store().save([bytes('a')]);
    const [state] = await store().load(() => {});
    if (state) await store().putAside(state);
    expect(await load()).toEqual([]);
  });

  it('reaches the disk', async () => {
    await store().save([bytes('a')]);
    await expect(store().flush()).resolves.toBeUndefined();
  });
});
