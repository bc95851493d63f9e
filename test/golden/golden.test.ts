import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { capabilities } from '#adapters/dataplane-node/capabilities.ts';
import { describeOutcome } from './describe-outcome.ts';
import { isUpdating, readGoldenFiles, writeGoldenFile } from './golden-file.ts';
import { partsOf } from './parts-of.ts';
import { compileFiles, libraryFleet, modestFeatures } from './surroundings.ts';

const alone = { workloads: [], capabilities: modestFeatures };
const folder = (name: string) => join(import.meta.dirname, name);

describe('documents', () => {
  for (const { name, input, output } of readGoldenFiles(folder('documents')))
    it(`${name} compiles as written down`, () => {
      const found = describeOutcome(compileFiles([{ file: `${name}.yaml`, text: input }], alone));
      if (isUpdating) writeGoldenFile(folder('documents'), { name, input, output: found });
      else expect(found).toBe(output.trimEnd());
    });
});

describe('policies of the demo', () => {
  const home = join(import.meta.dirname, '..', '..', 'policies');
  const files = readdirSync(home)
    .toSorted()
    .map((file) => ({ file: `policies/${file}`, text: readFileSync(join(home, file), 'utf8') }));
  const outcome = compileFiles(files, { workloads: libraryFleet, capabilities });
  const known = new Map(readGoldenFiles(folder('policies')).map((golden) => [golden.name, golden]));

  it('compile without a word', () => {
    expect(outcome.diagnostics).toEqual([]);
    expect(outcome.compiled.diagnostics).toEqual([]);
  });

  it('have one golden file each, and none is left over', () => {
    if (!isUpdating)
      expect([...known.keys()]).toEqual(files.map(({ file }) => basename(file, '.yaml')));
  });

  for (const { file, text } of files)
    it(`${file} compiles as written down`, () => {
      const name = basename(file, '.yaml');
      const output = stringify(partsOf(file, outcome), {
        lineWidth: 120,
        aliasDuplicateObjects: false,
      }).trimEnd();
      if (isUpdating) writeGoldenFile(folder('policies'), { name, input: text, output });
      else {
        expect(known.get(name)?.input.trimEnd()).toBe(text.trimEnd());
        expect(known.get(name)?.output.trimEnd()).toBe(output);
      }
    });
});
