// npm packages: there, and those of package-lock.json.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { lastLines, npm, root, SetupError, showProgress } from './process.mjs';

const lockFile = join(root, 'package-lock.json');
const installedFile = join(root, 'node_modules', '.package-lock.json');
const marker = join(root, 'node_modules', '.weir-lock');

// Takes the locked versions and leaves the lock file alone. Not `npm ci`: it insists on lock entries for every platform
// that an optional package mentions, and a registry need not have those.
const INSTALL = [
  'install',
  '--no-save',
  '--ignore-scripts',
  '--no-audit',
  '--no-fund',
  '--loglevel=error',
];

const lockHash = () => createHash('sha256').update(readFileSync(lockFile)).digest('hex');

const packagesOf = (file) => JSON.parse(readFileSync(file, 'utf8')).packages ?? {};

/** For packages that somebody installed by hand: every one is there in the locked version. */
const isInstalledAsLocked = () => {
  if (!existsSync(installedFile)) return false;
  const installed = packagesOf(installedFile);
  return Object.entries(packagesOf(lockFile)).every(
    ([path, { version, optional, devOptional }]) => {
      if (path === '') return true;
      const found = installed[path];
      if (!found) return Boolean(optional || devOptional);
      return found.version === version && existsSync(join(root, path));
    },
  );
};

export const ensurePackages = async () => {
  const hash = lockHash();
  if (existsSync(marker) && readFileSync(marker, 'utf8') === hash) return;
  if (!isInstalledAsLocked()) {
    const finish = showProgress('Installing npm packages');
    const { code, output } = await npm(INSTALL);
    finish();
    if (code !== 0)
      throw new SetupError(`npm could not install the packages:\n${lastLines(output)}`);
  }
  writeFileSync(marker, hash);
};
