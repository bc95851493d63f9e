// Imports go one way. The rules are read from the file that `npm run fence` uses; planted violations prove that they bite.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { cruise, type ICruiseResult, type IFlattenedRuleSet } from 'dependency-cruiser';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '..');
const { options, ...ruleSet } = createRequire(import.meta.url)('../.dependency-cruiser.cjs') as {
  options: Record<string, unknown>;
} & IFlattenedRuleSet;

const rooms = ['engine', 'adapters', 'services', 'test'];

const inspect = async (baseDir: string, folders: readonly string[]): Promise<ICruiseResult> => {
  const { output } = await cruise(
    [...folders],
    { ...options, baseDir, ruleSet, validate: true },
    options['enhancedResolveOptions'] as object,
  );
  return output as ICruiseResult;
};

const words = ({ summary }: ICruiseResult) =>
  summary.violations.map(({ rule, from, to }) => `${rule.name}: ${from} -> ${to}`);

describe('the house', () => {
  it('keeps its import rules', { timeout: 60_000 }, async () => {
    const result = await inspect(root, rooms);
    expect(result.summary.totalCruised).toBeGreaterThan(100);
    expect(words(result)).toEqual([]);
  });
});

describe('the fence', () => {
  const planted: Readonly<Record<string, string>> = {
    'engine/model/noun.ts': 'export const noun = 1;',
    'engine/ports/verb.ts': "export { noun } from '../model/noun.ts';",
    'engine/agent/fold.ts': "export { noun } from '../model/noun.ts';",
    'adapters/bus-a/bus.ts': "export { noun } from '../../engine/ports/verb.ts';",
    'services/control/loop.ts': "export { noun } from '../../adapters/bus-a/bus.ts';",
    'engine/model/leak.ts': "export { noun } from '../ports/verb.ts';",
    'engine/compile/gossip.ts': "export { noun } from '../agent/fold.ts';",
    'engine/analysis/impure.ts': "export { readFileSync } from 'node:fs';",
    'engine/machines/typed.ts':
      "import type { noun } from '../agent/fold.ts';\nexport type N = typeof noun;",
    'adapters/bus-b/bus.ts': "export { noun } from '../bus-a/bus.ts';",
    'services/demo/call.ts': "export { noun } from '../control/loop.ts';",
    'engine/pipeline/ring.ts': "export { b } from './round.ts';\nexport const a = 1;",
    'engine/pipeline/round.ts': "export { a } from './ring.ts';\nexport const b = 1;",
    'services/cli/tested.ts': "export { fake } from '../../test/support/fake.ts';",
    'test/support/fake.ts': 'export const fake = 1;',
    'engine/filters/x/lost.ts': "export { nothing } from './nowhere.ts';",
  };
  let house = '';
  let found: readonly string[] = [];

  beforeAll(async () => {
    house = mkdtempSync(join(tmpdir(), 'fence-'));
    for (const [file, text] of Object.entries(planted)) {
      mkdirSync(dirname(join(house, file)), { recursive: true });
      writeFileSync(join(house, file), text);
    }
    writeFileSync(join(house, 'package.json'), '{"type":"module"}');
    writeFileSync(
      join(house, 'tsconfig.json'),
      '{"compilerOptions":{"allowImportingTsExtensions":true}}',
    );
    found = words(await inspect(house, rooms));
  }, 60_000);
  afterAll(() => rmSync(house, { recursive: true, force: true }));

  it.each([
    'model-is-a-leaf: engine/model/leak.ts -> engine/ports/verb.ts',
    'stages-are-strangers: engine/compile/gossip.ts -> engine/agent/fold.ts',
    'stages-are-strangers: engine/machines/typed.ts -> engine/agent/fold.ts',
    'engine-is-pure: engine/analysis/impure.ts -> fs',
    'adapters-are-strangers: adapters/bus-b/bus.ts -> adapters/bus-a/bus.ts',
    'services-are-strangers: services/demo/call.ts -> services/control/loop.ts',
    'no-cycles: engine/pipeline/ring.ts -> engine/pipeline/round.ts',
    'nothing-imports-tests: services/cli/tested.ts -> test/support/fake.ts',
    'resolvable: engine/filters/x/lost.ts -> ./nowhere.ts',
  ])('catches %s', (violation) => {
    expect(found).toContain(violation);
  });

  it('lets through what goes the right way', () => {
    expect(
      found.filter((text) => /fold\.ts ->|verb\.ts ->|bus-a\/bus\.ts ->|loop\.ts ->/.test(text)),
    ).toEqual([]);
  });
});
