// What can be seen without a network: runtime, packages, credentials.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type Finding, ok, skipped, warning, wrong } from './finding.ts';
import { isSafeNode } from './releases.ts';

export const checkNode = (release: string): Finding =>
  isSafeNode(release)
    ? ok('node', release)
    : warning(
        'node',
        `${release} lacks security fixes`,
        'Run `npm install`: it brings a Node of its own, and bin/weir uses it.',
      );

export const checkPackages = (root: string): Finding => {
  const manifest = readJson(join(root, 'package.json'));
  const wanted = { ...manifest?.dependencies };
  const bad = Object.entries(wanted).filter(([name, version]) => {
    const installed = readJson(join(root, 'node_modules', name, 'package.json'));
    return installed?.version !== version;
  });
  if (bad.length === 0) return ok('packages', `${Object.keys(wanted).length} as pinned`);
  const names = bad.map(([name]) => name).join(', ');
  return wrong('packages', `missing or of another version: ${names}`, 'Run `npm install`.');
};

export const checkCredentials = (home: string): Finding[] => {
  if (!existsSync(home))
    return [wrong('installation', `there is no ${home}`, 'Run `npm start` once: it makes it.')];
  const secrets = [
    ...filesIn(home, 'credentials'),
    join('keys', 'control.jwk.json'),
    join('keys', 'dev-issuer.jwk.json'),
    'tokens.json',
  ];
  const missing = secrets.filter((file) => !existsSync(join(home, file)));
  const broken = secrets.filter((file) => !missing.includes(file) && isBroken(join(home, file)));
  const open = secrets.filter((file) => isOpen(join(home, file)));
  const hint = 'Run `npm start`: set-up makes what is missing and keeps what is there.';
  return [
    ok('installation', home),
    missing.length > 0
      ? wrong('credentials', `missing: ${missing.join(', ')}`, hint)
      : ok('credentials', `${secrets.length} files`),
    ...(broken.length > 0
      ? [
          wrong(
            'keys',
            `not to be read: ${broken.join(', ')}`,
            'Bring them back from a backup, or delete them and run `npm start`: it makes new ones.',
          ),
        ]
      : []),
    open.length > 0
      ? wrong(
          'file modes',
          `readable by others: ${open.join(', ')}`,
          `chmod 600 ${open.map((file) => join(home, file)).join(' ')}`,
        )
      : ok('file modes', 'secrets are readable by their owner only'),
  ];
};

const filesIn = (home: string, folder: string): string[] => {
  const path = join(home, folder);
  if (!existsSync(path)) return [folder];
  return readdirSync(path).map((name) => join(folder, name));
};

const isBroken = (path: string): boolean => {
  try {
    const text = readFileSync(path, 'utf8');
    if (path.endsWith('.json')) JSON.parse(text);
    return text.trim() === '';
  } catch {
    return true;
  }
};

const isOpen = (path: string): boolean => {
  if (process.platform === 'win32') return false;
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat?.isFile() === true && (stat.mode & 0o077) !== 0;
};

interface Manifest {
  readonly version?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
}

const readJson = (path: string): Manifest | undefined => {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Manifest;
  } catch {
    return undefined;
  }
};

/** Where the bus is, as the processes find it themselves. */
export const busAddress = (
  home: string,
  env: Readonly<Record<string, string | undefined>>,
): string | undefined => {
  if (env['WEIR_NATS_URL']) return env['WEIR_NATS_URL'];
  try {
    return readFileSync(join(home, 'nats', 'url'), 'utf8').trim();
  } catch {
    return undefined;
  }
};

/** A server that ends takes its address away. */
export const noBus = (home: string): Finding =>
  existsSync(join(home, 'nats', 'server.conf'))
    ? wrong(
        'bus',
        'the nats-server of this installation does not run',
        'Start it with `npm start`, or set WEIR_NATS_URL to a running one.',
      )
    : skipped('bus', 'no server was ever started here');
