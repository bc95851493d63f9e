import { createHash, scryptSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { parsePasswordHash } from '#engine/model/password-hash.ts';
import { isSafeNode } from '#services/cli/check/releases.ts';
import { parseKind, parseMs, parseName } from '#services/cli/names.ts';
import { formatAge, formatDiagnostics, formatEvidence, table } from '#services/cli/output.ts';
import { colorsFor } from '#services/cli/surroundings.ts';
import { weir } from './world.ts';

/** Calls back for each command with its help; resolves with their number. */
const eachVerb = async (
  words: readonly string[],
  look: (words: readonly string[], help: string) => Promise<void>,
): Promise<number> => {
  const { out } = await weir([...words, '--help']);
  await look(words, out);
  const list = /^Commands:\n((?: {2}.*\n)+)/m.exec(out)?.[1] ?? '';
  const verbs = [...list.matchAll(/^ {2}([a-z][a-z-]*)/gm)].map(([, verb = '']) => verb);
  let count = 1;
  for (const verb of verbs.filter((one) => one !== 'help'))
    count += await eachVerb([...words, verb], look);
  return count;
};

describe('the command line', () => {
  it.each([
    [['aply'], 'Did you mean apply?'],
    [['apply'], "required option '-f, --file <path>' not specified"],
    [['get', 'nonsense'], 'There is no kind "nonsense"'],
    [['get', 'route', 'a/b/c'], 'is not NAME or NAMESPACE/NAME'],
    [['rollback', 'x'], 'is not a number'],
    [['rollback', '0'], 'would delete everything'],
    [['events', '--type', 'nonsense'], 'There are no events of type "nonsense"'],
    [['explain', 'G ET', 'http://a/'], '"G ET" is not a method'],
    [['explain', 'GET', 'ftp://a/'], '"ftp://a/" is not an http address'],
    [['explain', 'GET', 'http://a/', '--client', 'nonsense'], 'is not an IP address'],
    [['apply', '-f', '-'], 'standard input has no documents'],
    [['status', '-o', 'xml'], 'Allowed choices are table, json, yaml'],
    [['status', '--url', 'ftp://x'], 'is not an http address'],
    [['explain', 'GET', 'http://a/', '-H', 'nonsense'], 'is not a header'],
    [['apply', '-f', 'missing.yaml'], 'missing.yaml does not exist'],
    [['completion', 'tcsh'], 'Allowed choices are bash, zsh, fish'],
  ])('%j is wrong usage', async (args, message) => {
    const { code, error } = await weir(args);
    expect(error).toContain(message);
    expect(code).toBe(2);
  });

  it('says everything about exit codes and shows examples in its help', async () => {
    const { code, out } = await weir(['--help']);
    expect(code).toBe(0);
    expect(out).toContain('Exit codes:');
  });

  it('has help with examples for every verb, however deep', async () => {
    const silent: string[] = [];
    const verbs = await eachVerb([], async (words, help) => {
      if (!help.includes('Examples:') || !help.includes('--output')) silent.push(words.join(' '));
    });
    expect(verbs).toBeGreaterThan(35);
    expect(silent).toEqual([]);
  });

  it('makes an API key whose salted hash is what policy keeps', async () => {
    const { code, out } = await weir(['consumer', 'key', 'shop', '--id', 'k1', '-o', 'json']);
    expect(code).toBe(0);
    const { key, stored } = JSON.parse(out) as {
      key: string;
      stored: { id: string; salt: string; hash: string };
    };
    expect(key).toMatch(/^k1\.[\w-]{43}$/);
    expect(stored.hash).toBe(
      createHash('sha256')
        .update(stored.salt + key)
        .digest('hex'),
    );
  });

  it('makes a password whose hash policy takes, or hashes a given one', async () => {
    type Made = { password?: string; stored: { username: string; hash: string } };
    const made = async (args: readonly string[], stdinText = ''): Promise<Made> => {
      const { code, out } = await weir(['consumer', 'password', 'shop', ...args, '-o', 'json'], {
        stdinText,
      });
      expect(code).toBe(0);
      return JSON.parse(out) as Made;
    };
    const isOf = ({ stored: { hash } }: Made, password: string) => {
      const { cost, salt, key } = parsePasswordHash(hash) ?? {};
      if (!cost || !salt || !key) throw new Error(`${hash} is no hash`);
      return (
        scryptSync(password, Buffer.from(salt, 'base64url'), 32, cost).toString('base64url') === key
      );
    };
    const fresh = await made([]);
    expect(fresh.stored.username).toBe('shop');
    expect(fresh.password).toMatch(/^[\w-]{32}$/);
    expect(isOf(fresh, fresh.password ?? '')).toBe(true);
    const own = await made(['--stdin', '--username', 'desk'], 'open sesame\n');
    expect(own).toMatchObject({ stored: { username: 'desk' } });
    expect(own.password).toBe(undefined);
    expect(isOf(own, 'open sesame')).toBe(true);
    expect((await weir(['consumer', 'password', 'shop', '--stdin'])).code).toBe(2);
  });

  it('says which release it is', async () => {
    const { code, out } = await weir(['--version']);
    expect(code).toBe(0);
    expect(out).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  it('uses colours on a terminal only, and never with NO_COLOR', () => {
    const red = (isTerminal: boolean, env = {}) => colorsFor({ isTerminal, env }).red('x');
    expect(red(true)).toContain('\x1b[');
    expect(red(false)).toBe('x');
    expect(red(true, { NO_COLOR: '1' })).toBe('x');
  });
});

describe('names on the command line', () => {
  it.each(['route', 'Route', 'routes', 'ROUTES'])('%s is a Route', (text) => {
    expect(parseKind(text)).toBe('Route');
  });

  it('lets the name say its namespace', () => {
    expect(parseName('bibby/catalog', 'other')).toEqual({ namespace: 'bibby', name: 'catalog' });
    expect(parseName('catalog', 'other')).toEqual({ namespace: 'other', name: 'catalog' });
  });

  it.each([
    ['30s', 30_000],
    ['500ms', 500],
    ['5m', 300_000],
    ['2', 2000],
  ])('%s lasts %i ms', (text, ms) => expect(parseMs(text)).toBe(ms));
});

describe('what is printed', () => {
  it('lines columns up with spaces only', () => {
    expect(table(['A', 'LONG'], [['value', 'x']])).toBe('A      LONG\nvalue  x\n');
  });

  it.each([
    [12, '12ms'],
    [3000, '3s'],
    [600_000, '10m'],
    [36_000_000, '10h'],
    [864_000_000, '10d'],
  ])('%i ms is %s', (ms, text) => expect(formatAge(ms)).toBe(text));

  it.each([
    [0.123, '0.12'],
    [42.4, '42'],
    [1_234_567, '1.2e+6'],
    [Infinity, 'inf'],
  ])('evidence of %f is %s', (value, text) => expect(formatEvidence(value)).toBe(text));

  it('puts the place, code and hint of a diagnostic where editors find them', () => {
    const text = formatDiagnostics(
      [
        {
          code: 'ERR_FIELD_UNKNOWN',
          severity: 'error',
          message: 'no field "tiemout"',
          hint: 'Did you mean timeout?',
          location: { file: 'a.yaml', line: 3, column: 5 },
        },
      ],
      colorsFor({ isTerminal: false, env: {} }),
    );
    expect(text).toBe(
      'a.yaml:3:5 ERR_FIELD_UNKNOWN no field "tiemout"\n    Did you mean timeout?\n',
    );
  });
});

describe('completion', () => {
  it.each([
    [['ap'], 'apply'],
    [['rollout', 'pro'], 'promote'],
    [['get', 'ro'], 'rollout\nroute'],
    [['-o', 'json', 'hist'], 'history'],
    [['apply', '--dry'], '--dry-run'],
    [['status', '--na'], '--namespace'],
    [['completion', 'z'], 'zsh'],
  ])('of %j is %s', async (words, found) => {
    const { out } = await weir(['__complete', '--', ...words]);
    expect(out.trim()).toBe(found);
  });

  it.each(['bash', 'zsh', 'fish'])('has a script for %s', async (shell) => {
    const { out } = await weir(['completion', shell]);
    expect(out).toContain('weir __complete');
  });

  it('hides the verb that shells call', async () => {
    const { out } = await weir(['__complete', '--', '']);
    expect(out).not.toContain('__complete');
  });
});

describe('the Node that runs it', () => {
  it.each([
    ['20.19.0', false],
    ['24.18.0', false],
    ['24.18.1', true],
    ['25.9.0', false],
    ['26.9.9', false],
    ['26.10.0', true],
    ['27.0.0', true],
  ])('%s is safe: %s', (release, safe) => expect(isSafeNode(release)).toBe(safe));
});
