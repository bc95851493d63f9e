// Control and edges in one process on the in-memory bus: what `weir dev` runs, and what tests can start in milliseconds.
import { randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { createMemoryHub, type Hub } from '#adapters/bus-memory/broker.ts';
import { createKeys } from '#adapters/keys-http/keys.ts';
import {
  createSigner,
  createVerifier,
  generateSigningKeys,
} from '#adapters/signer-ed25519/signer.ts';
import { createWeb } from '#adapters/web-http/web.ts';
import type { ApplyAnswer, GetAnswer, Operation } from '#engine/model/api.ts';
import { operations } from '#engine/model/api.ts';
import type { LastGoodStore } from '#engine/ports/last-good.ts';
import type { Verifier } from '#engine/ports/signer.ts';
import { systemTime as agentTime } from '../agent/time.ts';
import { createAccess } from '../control/access.ts';
import { type Control, startControl } from '../control/control.ts';
import { systemTime as controlTime } from '../control/time.ts';
import { type Edge, startEdge } from '../edge/edge.ts';

export interface DevOptions {
  readonly adminPort: number;
  /** Where a policy's port is really listened on. */
  readonly listenPorts: ReadonlyMap<number, number>;
  /** Text of a file that a policy names. */
  readonly files: (path: string) => string | undefined;
  readonly log: (line: string) => void;
}

export interface Document {
  readonly file: string;
  readonly text: string;
}

export interface Dev {
  /** Of the admin API. */
  readonly url: string;
  readonly token: string;
  /** These documents and nothing else become the policy, and are in force on the edges when it resolves. */
  apply(documents: readonly Document[]): Promise<ApplyAnswer>;
  close(): Promise<void>;
}

export const startDev = async (options: DevOptions): Promise<Dev> => {
  const hub = createMemoryHub();
  const keys = await generateSigningKeys();
  const verifier = createVerifier(keys.jwks);
  const token = randomBytes(24).toString('base64url');
  const web = createWeb();
  const issuers = createKeys({ web, clock: controlTime });
  const control = await startControl(
    {
      mesh: 'default',
      instance: 'dev',
      admin: { host: '127.0.0.1', port: options.adminPort },
      version: 'dev',
    },
    {
      broker: hub.connect('control'),
      signer: createSigner(keys.privateJwk),
      verifier,
      access: createAccess({
        tokens: () => [{ name: 'dev', role: 'admin', token }],
        users: () => [],
      }),
      time: controlTime,
      files: options.files,
      keys: issuers,
      web,
      log: options.log,
    },
  );
  const edges = new Map<string, Edge>();
  const ask = askVia(control, token);
  return {
    url: control.url,
    token,
    async apply(documents) {
      const first = await ask<ApplyAnswer>('policy.apply', { documents });
      const gone = await vanished(first, ask);
      if (gone.length > 0) await ask('policy.delete', { ids: gone });
      await serveGateways(edges, options, { hub, verifier }, await ask('policy.get'));
      const again = () => ask<ApplyAnswer>('policy.apply', { documents, wait: { percent: 100 } });
      let last = await again();
      for (let tries = 0; tries < KEYS_TRIES && lacksKeys(last); tries++) {
        await sleep(KEYS_PAUSE_MS);
        last = await again();
      }
      const deleted = gone.map((id) => ({ id, change: 'deleted' as const }));
      // By now edges have reported and keys have been fetched, so fewer things are worth a warning.
      return { ...last, changes: [...first.changes, ...deleted] };
    },
    async close() {
      await Promise.all([...edges.values()].map((edge) => edge.close()));
      await control.close();
      issuers.close();
      await web.close();
    },
  };
};

/** An issuer nearby has answered by then; of one that has not, it is told. */
const KEYS_TRIES = 20;
const KEYS_PAUSE_MS = 50;
const lacksKeys = ({ diagnostics }: ApplyAnswer): boolean =>
  diagnostics.some(({ code }) => code === 'WARN_POLICY_KEYS_ABSENT');

type Ask = <T>(operation: Operation, body?: object) => Promise<T>;

const askVia =
  (control: Control, token: string): Ask =>
  async <T>(operation: Operation, body: object = {}) => {
    while (!control.isLeading) await sleep(10);
    const { method, path } = operations[operation];
    const response = await control.http.inject({
      method,
      url: path,
      headers: { authorization: `Bearer ${token}` },
      ...(method === 'POST' ? { payload: body } : {}),
    });
    const answer: unknown = response.json();
    if (response.statusCode < 400) return answer as T;
    const { error } = answer as { error: { code: string; message: string } };
    throw new Error(`${operation}: ${error.code} ${error.message}`);
  };

/** What is in force but in no document any more. While a document cannot be read at all nobody knows what it held. */
const vanished = async (answer: ApplyAnswer, ask: Ask): Promise<string[]> => {
  const isUnsure = answer.diagnostics.some(
    ({ severity, resource }) => severity === 'error' && resource === undefined,
  );
  if (isUnsure) return [];
  const { resources } = await ask<GetAnswer>('policy.get');
  const kept = new Set([...answer.changes.map(({ id }) => id), ...answer.quarantined]);
  return resources.map(({ id }) => id).filter((id) => !kept.has(id));
};

/** One edge per Gateway. One whose Gateway has gone serves an empty snapshot. */
const serveGateways = async (
  edges: Map<string, Edge>,
  options: DevOptions,
  { hub, verifier }: { readonly hub: Hub; readonly verifier: Verifier },
  { resources }: GetAnswer,
): Promise<void> => {
  for (const { id } of resources) {
    const [kind, , gateway = ''] = id.split('/');
    if (kind !== 'Gateway' || edges.has(gateway)) continue;
    const agent = `edge-${gateway}`;
    const edge = await startEdge(
      {
        agent,
        mesh: 'default',
        gateway,
        admin: { host: '127.0.0.1', port: 0 },
        listenPorts: options.listenPorts,
        accessLog: 'off',
        drainDelayMs: 0,
      },
      {
        connect: async () => hub.connect(agent),
        verifier,
        store: noStore,
        time: agentTime,
        log: () => {},
        incarnation: randomUUID(),
        files: options.files,
        write: () => {},
      },
    );
    edges.set(gateway, edge);
  }
};

/** A process of minutes has no last good state to come back to. */
const noStore: LastGoodStore = {
  load: async () => [],
  save: async () => {},
  flush: async () => {},
  putAside: async () => {},
};
