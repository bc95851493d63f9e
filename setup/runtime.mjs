// The Node that everything but set-up runs on. Older lines lack security fixes and cannot run TypeScript as it is.
import { join } from 'node:path';
import { root, run, SetupError } from './process.mjs';

const OLDEST = [26, 10, 0];

const isNewEnough = (version) => {
  const found = version.replace(/^v/, '').split('.').map(Number);
  for (const [index, part] of OLDEST.entries())
    if (found[index] !== part) return found[index] > part;
  return true;
};

export const findPinnedNode = async () => {
  const pinned = join(root, 'node_modules', '.bin', 'node');
  const { code, output } = await run(pinned, ['--version']);
  if (code === 0 && isNewEnough(output.trim())) return pinned;
  if (isNewEnough(process.version)) return process.execPath;
  throw new SetupError(
    `Weir runs on Node ${OLDEST.join('.')} or newer. npm has no such Node that runs on this machine (${process.platform} ${process.arch}): install one from https://nodejs.org and try again.`,
  );
};
