// An edge that serves from its last good state, without bus or control, and callers that count every failure.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SigningKeys } from '#adapters/signer-ed25519/signer.ts';
import { createFileStore } from '#adapters/store-file/last-good.ts';
import { makePosition } from '#engine/model/position.ts';
import { install } from '#services/setup/install.ts';
import { controlKeys, snapshotMessage } from '#test/support/control-messages.ts';
import { startEchoServer } from '#test/support/echo-server.ts';
import { listener, rule, snapshot, upstream } from '#test/support/snapshot.ts';
import { startWeirProcess, type WeirProcess } from '#test/support/weir-process.ts';

export interface RestartWorld {
  readonly url: string;
  /** Serves the same policy under each of these names. */
  start(env?: Readonly<Record<string, string>>): WeirProcess;
  /** Half of the callers keep their connection, half take a new one for every request. */
  load(rate: number): SteadyCallers;
  close(): Promise<void>;
}

export interface SteadyCallers {
  readonly requests: number;
  readonly failures: readonly string[];
  stop(): Promise<void>;
}

const PORT = 8080;

export const createRestartWorld = async (agents: readonly string[]): Promise<RestartWorld> => {
  const home = await mkdtemp(join(tmpdir(), 'weir-restarts-'));
  const app = await startEchoServer();
  const probe = await startEchoServer();
  const { port } = probe;
  await probe.close();
  const installed = await install({
    home,
    agents: agents.map((name) => ({ name, scope: 'edge.public' })),
  });
  const read = async (file: string) => JSON.parse(await readFile(file, 'utf8')) as unknown;
  const keys = await controlKeys({
    privateJwk: await read(installed.signingKey),
    jwks: await read(installed.trustedKeys),
  } as SigningKeys);
  const endpoints = [{ address: '127.0.0.1', port: app.port, weight: 1 }];
  const message = snapshotMessage(
    makePosition(1, 1),
    7,
    snapshot({
      listeners: [listener({ address: '127.0.0.1', port: PORT })],
      rules: [rule()],
      upstreams: {
        'bibby/library-service': upstream('bibby/library-service', { endpoints }),
      },
    }),
  );
  const sealed = await keys.seal({ ...message, issuedMs: Date.now() });
  for (const agent of agents) await createFileStore(join(home, 'agents', agent)).save([sealed]);
  const started: WeirProcess[] = [];
  const url = `http://127.0.0.1:${port}/`;
  return {
    url,
    start: (env = {}) => {
      const one = startWeirProcess('edge', {
        WEIR_HOME: home,
        WEIR_AGENT: agents[0] ?? '',
        WEIR_GATEWAY: 'public',
        WEIR_LISTEN_PORTS: `${PORT}=${port}`,
        ...env,
      });
      started.push(one);
      return one;
    },
    load: (rate) => steadyCallers(url, rate),
    close: async () => {
      for (const one of started) await one.close();
      await app.close();
      await rm(home, { recursive: true, force: true });
    },
  };
};

const CALLERS = 16;

const steadyCallers = (url: string, rate: number): SteadyCallers => {
  const keeping = new Agent({ keepAlive: true, maxSockets: CALLERS });
  const failures: string[] = [];
  let requests = 0;
  let isStopping = false;
  const caller = async (index: number): Promise<void> => {
    const agent = index % 2 === 0 ? keeping : false;
    // By the clock, not after the answer: a slow answer is not excused from the next request.
    let dueAt = performance.now() + (index * 1000) / rate;
    while (!isStopping) {
      requests++;
      const wrong = await ask(url, agent);
      if (wrong !== undefined) failures.push(wrong);
      dueAt += (CALLERS * 1000) / rate;
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, dueAt - performance.now())));
    }
  };
  const callers = Array.from({ length: CALLERS }, (_, index) => caller(index));
  return {
    get requests() {
      return requests;
    },
    failures,
    stop: async () => {
      isStopping = true;
      await Promise.all(callers);
      keeping.destroy();
    },
  };
};

/** What went wrong, if anything. No request is tried twice. */
const ask = (url: string, agent: Agent | false): Promise<string | undefined> =>
  new Promise((resolve) => {
    const sent = request(url, { agent }, (response) => {
      let body = '';
      response.on('data', (chunk: Buffer) => (body += chunk.toString('latin1')));
      response.on('end', () =>
        resolve(
          response.statusCode === 200 ? undefined : `${response.statusCode} ${reasonIn(body)}`,
        ),
      );
      response.on('error', (error) => resolve(`inside the answer: ${error.message}`));
    });
    sent.on('error', (error) => resolve(error.message));
    sent.setTimeout(ANSWER_MS, () => sent.destroy(new Error(`no answer in ${ANSWER_MS} ms`)));
    sent.end();
  });

const ANSWER_MS = 5000;

const reasonIn = (body: string): string => /"reason":"([^"]*)"/.exec(body)?.[1] ?? body;
