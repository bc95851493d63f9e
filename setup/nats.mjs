// nats-server: on this machine already, or from its package manager.
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { lastLines, run, SetupError, showProgress } from './process.mjs';

/** Where package managers put servers although they are not on everybody's PATH. */
const USUAL_PLACES = ['/usr/sbin', '/usr/local/sbin', '/usr/local/bin', '/opt/homebrew/bin'];

const find = (name) =>
  [...(process.env.PATH ?? '').split(delimiter), ...USUAL_PLACES]
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, name))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });

const isRoot = () => process.getuid?.() === 0;

/** The commands to try, one after the other; none where nothing can be installed without asking somebody. */
const installers = async () => {
  if (find('apt-get')) {
    const mayInstall = isRoot() || (find('sudo') && (await run('sudo', ['-n', 'true'])).code === 0);
    if (!mayInstall) return [];
    const rights = isRoot() ? [] : ['sudo', '-n'];
    const apt = (...args) => [
      ...rights,
      'env',
      'DEBIAN_FRONTEND=noninteractive',
      'apt-get',
      ...args,
    ];
    const install = apt('install', '-y', '--no-install-recommends', 'nats-server');
    return [install, apt('update'), install];
  }
  return find('brew') ? [['brew', 'install', 'nats-server']] : [];
};

const THREE_WAYS =
  'Weir needs a nats-server. Three ways to get one: (1) install the package "nats-server" (apt-get install nats-server, brew install nats-server); (2) put the program from https://github.com/nats-io/nats-server/releases on the PATH; (3) set WEIR_NATS_URL to a running nats-server with JetStream.';

export const ensureNatsServer = async () => {
  if (find('nats-server')) return;
  const commands = await installers();
  if (commands.length === 0) throw new SetupError(THREE_WAYS);
  const finish = showProgress(
    `Installing nats-server with ${find('apt-get') ? 'apt-get' : 'brew'}`,
  );
  let last = '';
  for (const [command, ...args] of commands) {
    last = (await run(command, args)).output;
    if (find('nats-server')) break;
  }
  finish();
  if (!find('nats-server'))
    throw new SetupError(`${THREE_WAYS}\nThe package manager said:\n${lastLines(last, 5)}`);
};
