// What the documentation names is there: commands and their options, scripts, files, settings, events.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Operation, operations } from '#engine/model/api.ts';
import { eventTypes } from '#engine/model/event.ts';
import { weir } from '#test/services/cli/world.ts';
import manifest from '../../package.json' with { type: 'json' };
import { blocksOf, codeOf, pages, root } from './pages.ts';

const shells = ['sh', 'console', 'bash'];
const shellLines = pages.flatMap((page) =>
  shells.flatMap((language) => blocksOf(page, language)).flatMap(({ text }) => text.split('\n')),
);
const everything = pages.map(({ text }) => text).join('\n');
const sources = ['services', 'adapters', 'setup', 'bin', 'test']
  .flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((file) =>
      join(root, folder, file),
    ),
  )
  .filter((file) => /\.(ts|mjs)$/.test(file) || file.startsWith(join(root, 'bin')))
  .map((file) => readFileSync(file, 'utf8'))
  .join('\n');

/** `weir rollout start x --to y` → its verbs and options. */
const commands = [
  ...new Set(
    [...shellLines, ...pages.flatMap(codeOf)]
      .flatMap((line) => [...line.matchAll(/(?:^|[\s$(|])(?:bin\/|npx )?weir ([a-z][^|)`]*)/g)])
      .map(([, words = '']) => words.split(/\s#|\s<<|\s\$/)[0]?.trim() ?? '')
      .filter((words) => words !== ''),
  ),
];

const helps = new Map<string, Promise<string>>();
const helpOf = (words: readonly string[]): Promise<string> => {
  const verb = words.join(' ');
  const known = helps.get(verb) ?? weir([...words, '--help']).then(({ out }) => out);
  helps.set(verb, known);
  return known;
};

/** The longest beginning that is a command. */
const verbsOf = async (words: readonly string[]): Promise<string[]> => {
  const verbs: string[] = [];
  for (const word of words) {
    if (!/^[a-z][a-z-]*$/.test(word)) break;
    if (!new RegExp(`^ {2}(\\S+\\|)?${word}(\\|\\S+)?( |$)`, 'm').test(await helpOf(verbs))) break;
    verbs.push(word);
  }
  return verbs;
};

describe('the documentation', () => {
  it('has commands to show', () => {
    expect(commands.length).toBeGreaterThan(15);
  });

  it.each(commands)('weir %s', async (line) => {
    const words = line.replaceAll(/'[^']*'|"[^"]*"/g, 'TEXT').split(/\s+/);
    const verbs = await verbsOf(words);
    expect(verbs.length).toBeGreaterThan(0);
    const help = await helpOf(verbs);
    const next = words[verbs.length];
    if (next !== undefined && /^[a-z]+$/.test(next))
      expect(help.split('\n')[0]).toMatch(/[<[](?!options|command)/);
    for (const option of words.filter((word) => /^--?[a-zA-Z]/.test(word)))
      expect(help).toMatch(new RegExp(`(^|[ ,])${option}[ ,]`, 'm'));
  });

  it('names scripts of package.json only', () => {
    const named = [...everything.matchAll(/npm run ([\w:]+)/g)].map(([, script = '']) => script);
    expect(named.filter((script) => !(script in manifest.scripts))).toEqual([]);
  });

  it('leads to pages that exist', () => {
    const lost = pages.flatMap(({ file, text }) =>
      [...text.matchAll(/\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)/g)]
        .map(([, target = '']) => join(root, dirname(file), target))
        .filter((target) => !target.startsWith(join(root, '.weir')) && !existsSync(target)),
    );
    expect(lost).toEqual([]);
  });

  it('can be found from the README', () => {
    const readme = pages[0]?.text ?? '';
    const guides = pages.map(({ file }) => file).filter((file) => /^docs\/[^/]+\.md$/.test(file));
    expect(guides.length).toBeGreaterThan(10);
    expect(guides.filter((file) => !readme.includes(`(${file})`))).toEqual([]);
  });

  it('names files that exist', () => {
    const named = pages
      .flatMap(codeOf)
      .flatMap((code) => [...code.matchAll(/(?<![\w/.-])[\w./-]+\/[\w.-]+\.(?:ts|yaml|mjs)\b/g)])
      .map(([file]) => file);
    expect(named.filter((file) => !existsSync(join(root, file)))).toEqual([]);
  });

  it('names settings that are read', () => {
    const named = new Set([...everything.matchAll(/WEIR_[A-Z_]+/g)].map(([name]) => name));
    expect([...named].filter((name) => !sources.includes(name))).toEqual([]);
  });

  it('tells of every setting of the processes', () => {
    const read = ['agent', 'edge', 'sidecar', 'control', 'cli'].flatMap((service) =>
      readdirSync(join(root, 'services', service), { recursive: true, encoding: 'utf8' })
        .filter((file) => file.endsWith('.ts'))
        .flatMap((file) => [
          ...readFileSync(join(root, 'services', service, file), 'utf8').matchAll(/WEIR_[A-Z_]+/g),
        ]),
    );
    const settings = pages.find(({ file }) => file === 'docs/running.md')?.text ?? '';
    expect(
      [...new Set(read.map(([name]) => name))].filter((name) => !settings.includes(name)),
    ).toEqual([]);
  });

  it('tells of every operation, and who may call it', () => {
    const rows = (pages.find(({ file }) => file === 'docs/bus.md')?.text ?? '').split('\n');
    const silent = (Object.keys(operations) as Operation[]).filter((operation) => {
      const row = rows.find((one) => one.startsWith('|') && one.includes(`\`${operation}\``));
      const { method, path, role } = operations[operation];
      const address = row?.replace('<verb>', operation.split('.')[1] ?? '');
      return !address?.includes(`\`${method} ${path}\``) || !address.includes(`| ${role} |`);
    });
    expect(silent).toEqual([]);
  });

  it('tells of every metric', () => {
    const told = pages.find(({ file }) => file === 'docs/metrics.md')?.text ?? '';
    const names = [
      ...sources.matchAll(/^ {2}((?:weir|istio|process|nodejs)_[a-z_]+\w*): \{/gm),
    ].map(([, name = '']) => name);
    expect(names.length).toBeGreaterThan(30);
    expect(names.filter((name) => !told.includes(`\`${name}\``))).toEqual([]);
  });

  it('names events that are told', () => {
    const nouns = new Set(eventTypes.map((type) => type.split('.')[0]));
    const named = pages
      .flatMap(codeOf)
      .filter((code) => /^[a-z]+\.[a-zA-Z]+$/.test(code) && nouns.has(code.split('.')[0]));
    const known = new Set<string>([...eventTypes, ...Object.keys(operations)]);
    expect(named.filter((name) => !known.has(name))).toEqual([]);
  });
});
