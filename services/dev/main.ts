// What `weir dev` runs: policies from a folder, in force a moment after they are saved.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { reasonOf } from '#engine/model/errors.ts';
import { type Dev, startDev } from './dev.ts';
import { newsOf } from './news.ts';
import { onSave, readPolicies } from './watch-files.ts';

const POLICY_PORT = 8080;

const parse = () => {
  const { values } = parseArgs({
    options: {
      file: { type: 'string', short: 'f' },
      port: { type: 'string', default: String(POLICY_PORT) },
      'admin-port': { type: 'string', default: '7400' },
    },
  });
  if (values.file === undefined) throw new Error('Say which policies with -f FILE or -f FOLDER.');
  const path = resolve(values.file);
  if (!existsSync(path)) throw new Error(`${values.file} does not exist.`);
  return { path, port: portOf(values.port), adminPort: portOf(values['admin-port']) };
};

const portOf = (text: string): number => {
  const port = Number(text);
  if (Number.isInteger(port) && port >= 0 && port < 65_536) return port;
  throw new Error(`"${text}" is not a port.`);
};

/** Policies name files of the installation, such as the development issuer's keys; set-up makes them. */
const ensureHome = (): string => {
  const home = resolve(process.env['WEIR_HOME'] ?? '.weir');
  if (!existsSync(join(home, 'keys', 'dev-issuer.jwks.json'))) {
    const setup = fileURLToPath(new URL('../setup/main.ts', import.meta.url));
    execFileSync(process.execPath, [setup, 'install', '--home', home]);
  }
  return home;
};

const readFile = (home: string) => (path: string) => {
  try {
    return readFileSync(resolve(home, path), 'utf8');
  } catch {
    return undefined;
  }
};

/** Resolves with the warnings that are known from now on. */
const reload = async (
  dev: Dev,
  path: string,
  warned: ReadonlySet<string>,
): Promise<ReadonlySet<string>> => {
  const startedMs = performance.now();
  try {
    const answer = await dev.apply(readPolicies(path));
    const { lines, known } = newsOf(answer.diagnostics, warned);
    for (const line of lines) console.log(line);
    const changed = answer.changes.filter(({ change }) => change !== 'unchanged');
    for (const { id, change } of changed) console.log(`${change} ${id}`);
    for (const id of answer.quarantined) console.log(`refused ${id}`);
    const ms = Math.round(performance.now() - startedMs);
    console.log(`revision ${answer.revision} is in force after ${ms} ms`);
    return known;
  } catch (error) {
    console.log(reasonOf(error));
    return warned;
  }
};

const run = async (): Promise<void> => {
  const { path, port, adminPort } = parse();
  const dev = await startDev({
    adminPort,
    listenPorts: new Map([[POLICY_PORT, port]]),
    files: readFile(ensureHome()),
    log: () => {},
  });
  const warned = await reload(dev, path, new Set());
  // One reload after the other; saves during one are made up for by one more.
  let running = Promise.resolve(warned);
  const saves = onSave(path, () => {
    running = running.then((known) => reload(dev, path, known));
  });
  console.log(`edge on http://localhost:${port}; save a file to change it, Ctrl-C ends it`);
  console.log('for `weir` in another terminal:');
  console.log(`  export WEIR_URL=${dev.url} WEIR_TOKEN=${dev.token}`);
  const stop = () => {
    saves.close();
    void dev.close().then(() => process.exit(0));
  };
  process.once('SIGTERM', stop).once('SIGINT', stop);
};

try {
  await run();
} catch (error) {
  console.error(`weir dev: ${reasonOf(error)}`);
  process.exit(1);
}
