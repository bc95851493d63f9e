// Brings the installation up, process by process, in the order in which they need each other.
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { join, relative } from 'node:path';
import { promisify } from 'node:util';
import { type Admin, createAdmin } from './admin.ts';
import { nameOf, nodeProcess, openVolume, type Volume } from './library.ts';
import { whyTaken } from './ports.ts';
import type { Processes } from './processes.ts';
import { waitFor } from './wait.ts';

export interface Site {
  readonly root: string;
  readonly home: string;
  readonly port: number;
  readonly natsUrl: string | undefined;
  readonly processes: Processes;
  readonly say: (line: string) => void;
}

const START_MS = 30_000;
const HOST = 'api.bibby.com';
const LOOPBACK = '127.0.0.1';
const ADMIN_PORT = 7400;

const volumes: readonly Volume[] = [
  { service: 'catalog', version: 'v1.0' },
  { service: 'library', version: 'v1.0' },
  { service: 'circulation', version: 'v1.0' },
];
export const nextVolume: Volume = { service: 'catalog', version: 'v1.1' };

export const bringUp = async (site: Site): Promise<Admin> => {
  const { processes, home, say } = site;
  await setUp(site);
  const admin = createAdmin(home);
  const env = environment(site);
  const address = (await whyTaken(ADMIN_PORT, LOOPBACK))
    ? `${LOOPBACK}:0`
    : `${LOOPBACK}:${ADMIN_PORT}`;
  await processes.start({
    ...nodeProcess(site, 'control'),
    name: 'control',
    env: { ...env, WEIR_CREDENTIALS: credentials(site, 'control'), WEIR_ADMIN_ADDRESS: address },
    ready: /^admin API on http:\/\/(\S+)/,
    pin: ([, at = address]) => ({ WEIR_ADMIN_ADDRESS: at }),
  });
  await waitFor('control', () => admin.fleet(), { timeoutMs: START_MS });
  say('control is up');
  await Promise.all([
    processes.start({
      ...nodeProcess(site, 'edge'),
      name: 'edge',
      env: {
        ...env,
        WEIR_AGENT: 'edge',
        WEIR_GATEWAY: 'public',
        WEIR_LISTEN_PORTS: `8080=${site.port}`,
        WEIR_CREDENTIALS: credentials(site, 'edge'),
      },
      ready: /^admin address/,
    }),
    ...volumes.map((volume) => open(site, volume)),
  ]);
  const { revision } = await applyPolicies(site, admin);
  await waitFor('the library', () => everyServiceAnswers(admin), { timeoutMs: START_MS });
  await waitFor('the edge', () => decides(site.port), { timeoutMs: START_MS });
  say(
    `policies are in force at revision ${revision}; the edge is on http://localhost:${site.port}`,
  );
  return admin;
};

export const open = (site: Site, volume: Volume): Promise<void> =>
  openVolume(
    { ...site, env: environment(site), credentials: (agent) => credentials(site, agent) },
    volume,
  );

/** Credentials and keys are kept from run to run; what the bus holds is not, so that every demo starts afresh. */
const setUp = async (site: Site): Promise<void> => {
  const { processes, home, natsUrl, say } = site;
  const agents = [
    'edge=edge.public',
    ...[...volumes, nextVolume].map((volume) => {
      const name = nameOf(volume);
      return `${name}=sidecar.bibby.${name}@bibby/${name}`;
    }),
  ];
  const wanted = agents.flatMap((agent) => ['--agent', agent]);
  const { command, args } = nodeProcess(site, 'setup', ['install', '--home', home, ...wanted]);
  await promisify(execFile)(command, args).catch((error: Error & { stderr?: string }) => {
    throw new Error(`Set-up failed: ${error.stderr?.trim() || error.message}`);
  });
  if (natsUrl) return say(`using the nats-server at ${natsUrl}`);
  for (const folder of [join('nats', 'data'), 'agents'])
    rmSync(join(home, folder), { recursive: true, force: true });
  const [, url = ''] = await processes.start({
    ...nodeProcess(site, 'setup', ['nats', '--home', home]),
    name: 'nats',
    env: {},
    ready: /^nats-server listens on (\S+)/,
  });
  say(`nats-server is up at ${url}`);
};

export const startTraffic = async (site: Site, onLine: (line: string) => void): Promise<void> => {
  await site.processes.start({
    name: 'traffic',
    command: process.execPath,
    args: [join(site.root, 'services', 'demo', 'traffic.ts')],
    env: { WEIR_HOME: site.home, TRAFFIC_URL: `http://localhost:${site.port}`, TRAFFIC_HOST: HOST },
    ready: /^traffic of/,
    onLine,
  });
};

const environment = ({ home, natsUrl }: Site) => ({
  WEIR_HOME: home,
  WEIR_NATS_URL: natsUrl,
  WEIR_DRAIN_TIMEOUT: '3s',
});

const credentials = ({ home }: Site, user: string): string =>
  join(home, 'credentials', `${user}.nk`);

const applyPolicies = async ({ root }: Site, admin: Admin) => {
  const folder = join(root, 'policies');
  const documents = readdirSync(folder)
    .filter((name) => /\.ya?ml$/.test(name))
    .toSorted()
    .map((name) => ({
      file: relative(root, join(folder, name)),
      text: readFileSync(join(folder, name), 'utf8'),
    }));
  const answer = await admin.apply({
    documents,
    message: 'the policies of the demo',
    wait: { percent: 100, timeoutMs: START_MS },
  });
  const [error] = answer.diagnostics.filter(({ severity }) => severity === 'error');
  if (error)
    throw new Error(
      `A policy was refused: ${error.code} ${error.message}. Correct it in policies/.`,
    );
  return answer;
};

/**
 * Asked of control and not of the edge: requests that nobody can answer yet would be errors of the old version, and the new
 * one would be measured against them.
 */
const everyServiceAnswers = async (admin: Admin): Promise<true | undefined> => {
  for (const path of ['/catalog/books', '/library/shelves', '/circulation/checkouts'])
    if (!(await admin.isServed(`http://${HOST}${path}`))) return undefined;
  const { agents } = await admin.fleet();
  return agents.some(({ agent, state, current }) => agent === 'edge' && state === 'live' && current)
    ? true
    : undefined;
};

/** Whether the edge listens and decides; this path is answered by policy alone. */
const decides = (port: number): Promise<true | undefined> =>
  new Promise((resolve) => {
    const options = { port, host: LOOPBACK, path: '/catalog/whoami', headers: { host: HOST } };
    request(options, (response) => {
      response.resume();
      resolve(response.statusCode === 401 ? true : undefined);
    })
      .once('error', () => resolve(undefined))
      .end();
  });
