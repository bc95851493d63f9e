// A whole installation of real processes: nats-server, control, an edge, and two versions of a service.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { get } from 'node:http';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import {
  type Operation,
  operations,
  type RolloutAnswer,
  type RolloutStatus,
} from '#engine/model/api.ts';
import { startTestInstallation } from '#test/support/installation.ts';
import { startWeirProcess, type WeirProcess } from '#test/support/weir-process.ts';
import type { Faults, Stats } from './app.ts';

export const paths = Array.from({ length: 20 }, (_, at) => `/shelf-${at}`);
export const host = 'api.bibby.com';

export interface Place {
  readonly port: number;
  ask<T>(operation: Operation, body?: object): Promise<T>;
  rollout(): Promise<RolloutStatus>;
  readonly apps: Readonly<Record<'v1.0' | 'v1.1', App>>;
  close(): Promise<void>;
}

export interface App {
  readonly port: number;
  set(faults: Faults): Promise<void>;
  stats(): Promise<Stats>;
  close(): Promise<void>;
}

export const openPlace = async (): Promise<Place> => {
  const opened: { close(): Promise<void> }[] = [];
  const keep = <T extends { close(): Promise<void> }>(thing: T): T => {
    opened.unshift(thing);
    return thing;
  };
  const close = async (): Promise<void> => {
    for (const thing of opened.splice(0)) await thing.close();
  };
  try {
    return { ...(await start(keep)), close };
  } catch (error) {
    await close();
    throw error;
  }
};

type Keep = <T extends { close(): Promise<void> }>(thing: T) => T;

const start = async (keep: Keep): Promise<Omit<Place, 'close'>> => {
  const installation = keep(await startTestInstallation([{ name: 'edge', scope: 'edge.public' }]));
  const { home } = installation;
  const port = await freePort();
  const env = (user: string) => ({
    WEIR_HOME: home,
    WEIR_CREDENTIALS: join(home, 'credentials', `${user}.nk`),
    WEIR_ADMIN_ADDRESS: '127.0.0.1:0',
  });
  const control = keep(startWeirProcess('control', env('control')));
  const [, url = ''] = await control.line(/admin API on (http:\/\/\S+)/);
  const edge: WeirProcess = keep(
    startWeirProcess('edge', {
      ...env('edge'),
      WEIR_AGENT: 'edge',
      WEIR_GATEWAY: 'public',
      WEIR_LISTEN_PORTS: `8080=${port}`,
    }),
  );
  await edge.line(/^admin address/);
  const apps = { 'v1.0': keep(await startApp()), 'v1.1': keep(await startApp()) };
  const { tokens } = JSON.parse(await readFile(join(home, 'tokens.json'), 'utf8')) as {
    tokens: { role: string; token: string }[];
  };
  const token = tokens.find(({ role }) => role === 'admin')?.token ?? '';
  const ask = <T>(operation: Operation, body?: object): Promise<T> =>
    askControl(`${url}${operations[operation].path}`, token, body);
  const documents = [{ file: 'canary.yaml', text: policy(apps) }];
  await ask('policy.apply', { documents, wait: { percent: 100, timeoutMs: 30_000 } });
  // On a busy machine control may not have heard of the edge yet, and waits for nobody then.
  await untilAnswered(port);
  return {
    port,
    apps,
    ask,
    rollout: async () => {
      const { rollouts } = await ask<RolloutAnswer>('rollout.status');
      const [rollout] = rollouts;
      if (!rollout) throw new Error('there is no rollout');
      return rollout;
    },
  };
};

const untilAnswered = async (port: number): Promise<void> => {
  const untilMs = Date.now() + 30_000;
  for (;;) {
    const status = await statusFrom(port).catch(() => 0);
    if (status === 200) return;
    if (Date.now() > untilMs) throw new Error(`the edge does not serve: ${status || 'no answer'}`);
    await sleep(50);
  }
};

/** `fetch` cannot name another host. */
const statusFrom = (port: number): Promise<number> =>
  new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, path: paths[0], headers: { host } }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    }).once('error', reject);
  });

const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' ? (address?.port ?? 0) : 0;
};

const askControl = async <T>(url: string, token: string, body?: object): Promise<T> => {
  const response = await fetch(url, {
    method: body ? 'POST' : 'GET',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${url}: ${response.status} ${text}`);
  return JSON.parse(text) as T;
};

const startApp = async (): Promise<App> => {
  const child = spawn(process.execPath, [fileURLToPath(new URL('./app.ts', import.meta.url))], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  const port = Number(line.split(' ').at(-1));
  const at = `http://127.0.0.1:${port}`;
  return {
    port,
    set: async (faults) => {
      await fetch(`${at}/faults`, { method: 'POST', body: JSON.stringify(faults) });
    },
    stats: async () => (await (await fetch(`${at}/stats`)).json()) as Stats,
    close: async () => {
      if (child.exitCode === null) child.kill('SIGKILL');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    },
  };
};

const policy = (apps: Place['apps']): string => `apiVersion: weir.dev/v1
kind: Gateway
metadata: { name: public, namespace: bibby }
spec:
  listeners: [{ name: http, port: 8080, protocol: HTTP }]
---
apiVersion: weir.dev/v1
kind: Service
metadata: { name: catalog-service, namespace: bibby }
spec:
  port: 9001
  baseline: v1.0
  versions:
    - { name: v1.0, labels: { version: v1.0 } }
    - { name: v1.1, labels: { version: v1.1 } }
  endpoints:
    - { address: 127.0.0.1, port: ${apps['v1.0'].port}, labels: { version: v1.0 } }
    - { address: 127.0.0.1, port: ${apps['v1.1'].port}, labels: { version: v1.1 } }
---
apiVersion: weir.dev/v1
kind: Route
metadata: { name: catalog, namespace: bibby }
spec:
  parentRefs: [{ name: public }]
  hosts: [${host}]
  rules:
${paths.map((path) => `    - { matches: [{ path: { exact: ${path} } }], backends: [{ service: catalog-service }] }`).join('\n')}
---
apiVersion: weir.dev/v1
kind: Rollout
metadata: { name: catalog, namespace: bibby }
spec:
  service: catalog-service
  start: manual
`;
