// The edge on a real nats-server with Weir's own data plane.
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { connectNats } from '#adapters/bus-nats/broker.ts';
import { createFileStore } from '#adapters/store-file/last-good.ts';
import type { SnapshotMessage } from '#engine/model/control-message.ts';
import { systemTime } from '#services/agent/time.ts';
import { type Edge, type EdgeDeps, startEdge } from '#services/edge/edge.ts';
import { controlKeys, decisionMessage, snapshotMessage } from '#test/support/control-messages.ts';
import { type EchoServer, startEchoServer } from '#test/support/echo-server.ts';
import { startTestNatsServer, type TestNatsServer } from '#test/support/nats-server.ts';
import { listener, rule, snapshot, split, upstream } from '#test/support/snapshot.ts';
import { startTestControl, type TestControl } from '#test/support/test-control.ts';

let nats: TestNatsServer;
let control: TestControl;
let app: EchoServer;
let folder: string;
let edge: Edge;
let lines: string[];
let written: string;

beforeAll(async () => {
  nats = await startTestNatsServer();
  app = await startEchoServer();
});
afterAll(async () => {
  await app.close();
  await nats.close();
});
beforeEach(async () => {
  control = await startTestControl(nats.url);
  folder = await mkdtemp(join(tmpdir(), 'weir-edge-'));
  lines = [];
  written = '';
});
afterEach(async () => {
  await edge?.close();
  await control.close();
  await rm(folder, { recursive: true, force: true });
});

let gateways = 0;
let gateway = '';
let position = 0;
const start = async (deps: Partial<EdgeDeps> = {}): Promise<void> => {
  edge = await startEdge(
    {
      agent: 'edge-1',
      mesh: 'default',
      gateway,
      admin: { host: '127.0.0.1', port: 0 },
      listenPorts: new Map([[8080, 0]]),
      drainDelayMs: 0,
      accessLog: 'json',
      traces: 'off',
    },
    {
      connect: (signal) => connectNats({ url: nats.url, name: 'edge-1', signal }),
      verifier: control.keys.verifier,
      store: createFileStore(folder),
      time: systemTime,
      log: (line) => lines.push(line),
      incarnation: 'i1',
      write: (text) => {
        written += text;
      },
      ...deps,
    },
  );
};

const endpoint = () => ({ endpoints: [{ address: '127.0.0.1', port: app.port, weight: 1 }] });
/** Stamps its revision on requests and responses. */
const policy = (revision: number, path = '/'): SnapshotMessage => {
  position += 1;
  const stamp = { set: [['x-policy', String(revision)]] as const, add: [], remove: [] };
  return {
    ...snapshotMessage(
      position,
      revision,
      snapshot({
        listeners: [listener({ address: '127.0.0.1' })],
        rules: [
          rule({
            match: { path: { type: 'segmentPrefix', value: path } },
            requestHeaders: stamp,
            responseHeaders: stamp,
          }),
        ],
        upstreams: {
          'bibby/library-service': upstream('bibby/library-service', endpoint()),
        },
      }),
    ),
    scope: `edge.${gateway}`,
  };
};
beforeEach(() => {
  gateways += 1;
  gateway = `public-${gateways}`;
});

const get = async (path = '/', headers: Record<string, string> = {}) => {
  const port = edge.addresses()[0]?.port ?? 0;
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers });
  const body = (await response.json()) as { headers: Record<string, string> };
  return { response, body };
};

describe('the edge', () => {
  it('serves by the policy that the bus brings, and acks it', async () => {
    await start();
    const message = policy(7);
    await control.publish(message);
    expect(await control.acked(message.position)).toMatchObject({
      agent: 'edge-1',
      outcome: 'applied',
      revision: 7,
    });
    const { response, body } = await get();
    expect(response.headers.get('x-policy')).toBe('7');
    expect(body.headers['x-policy']).toBe('7');
  });

  it('writes one JSON line per request, and hands the trace context on', async () => {
    await start();
    const message = policy(7);
    await control.publish(message);
    await control.acked(message.position);
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const { response, body } = await get('/books?q=1', { traceparent });
    expect(body.headers['traceparent']).toBe(traceparent);
    await vi.waitFor(() => expect(written).not.toBe(''));
    const line = JSON.parse(written);
    expect(line).toMatchObject({
      method: 'GET',
      path: '/books',
      status: 200,
      flags: '-',
      route: 'bibby/route/rule',
      service: 'bibby/library-service',
      upstream: `127.0.0.1:${app.port}`,
      revision: 7,
      traceparent,
    });
    expect(line.requestId).toBe(body.headers['x-request-id']);
    expect(line.durationMs).toBeGreaterThan(0);
    expect(Date.parse(line.time)).toBeGreaterThan(0);
    expect(response.status).toBe(200);
  });

  it('reports what it did as samples and as metrics by Istio’s names', async () => {
    await start();
    const message = policy(7, '/books');
    await control.publish(message);
    await control.acked(message.position);
    await Promise.all([get('/books'), get('/books'), get('/elsewhere')]);
    await vi.waitFor(() => expect(control.samples.length).toBeGreaterThan(0), { timeout: 3000 });
    expect(control.samples[0]).toMatchObject({ agent: 'edge-1', reporter: 'source', revision: 7 });
    const text = await (await fetch(`${edge.adminUrl}/metrics`)).text();
    expect(text).toMatch(/istio_requests_total\{.*destination_service="library-service".*\} 2/);
    expect(text).toMatch(/istio_requests_total\{.*response_code="404",.*response_flags="NR".*\} 1/);
    expect(text).toMatch(/istio_request_duration_milliseconds_count\{.*library-service.*\} 2/);
  });

  it('moves weights by decision, without a new snapshot', async () => {
    await start();
    const first = policy(7);
    const versions = { 'v1.0': 10_000, 'v1.1': 0 };
    const message: SnapshotMessage = {
      ...first,
      snapshot: {
        ...first.snapshot,
        rules: first.snapshot.rules.map((each) => ({
          ...each,
          action: {
            type: 'forward',
            backends: [{ weight: 1, split: 'bibby/catalog' }],
            timeoutMs: 1000,
          },
        })),
        splits: { 'bibby/catalog': split('bibby/catalog', versions) },
        upstreams: {
          'bibby/catalog@v1.0': upstream('bibby/catalog@v1.0', { endpoints: [] }),
          'bibby/catalog@v1.1': upstream('bibby/catalog@v1.1', endpoint()),
        },
      },
    };
    await control.publish(message);
    await control.acked(message.position);
    expect((await get()).response.status).toBe(503);
    position += 1;
    const decided = decisionMessage(position, 7);
    await control.publish({
      ...decided,
      scope: message.scope,
      decision: {
        ...decided.decision,
        body: { type: 'split', target: 'bibby/catalog', weights: { 'v1.0': 0, 'v1.1': 10_000 } },
      },
    });
    expect(await control.acked(position)).toMatchObject({
      outcome: 'applied',
      message: 'decision',
    });
    expect((await get()).response.status).toBe(200);
  });
});

describe('what is wrong on the bus', () => {
  it('is refused, acked, and leaves the policy in force', async () => {
    await start();
    const first = policy(7);
    await control.publish(first);
    await control.acked(first.position);
    const second = policy(8);
    await control.publish(second);
    await control.acked(second.position);

    const strangers = await controlKeys();
    const forged = await strangers.seal(policy(66));
    const altered = (await control.keys.seal(policy(66))).slice();
    altered[altered.length - 100] = altered[altered.length - 100] === 65 ? 66 : 65;
    const scope = first.scope;
    await control.publishBytes(scope, forged);
    await control.publishBytes(scope, altered);
    await control.publishBytes(scope, new Uint8Array([0, 255, 7]));
    await control.publishBytes(scope, await control.keys.seal(first)); // replayed, out of order
    await control.publishBytes(
      scope,
      await control.keys.seal({ ...policy(66), scope: 'edge.other' }),
    );
    await control.publishBytes(scope, await control.keys.seal({ ...policy(66), mesh: 'other' }));
    await vi.waitFor(() => expect(control.acks).toHaveLength(8));
    expect(control.acks.slice(2).map(({ outcome, message }) => `${outcome} ${message}`)).toEqual([
      'rejected unreadable',
      'rejected unreadable',
      'rejected unreadable',
      'stale snapshot',
      'rejected snapshot',
      'rejected snapshot',
    ]);
    for (const ack of control.acks.slice(2)) {
      expect(ack).toMatchObject({ revision: 8, appliedPosition: second.position });
      expect(ack.reason).not.toBe('');
    }
    expect((await get()).response.headers.get('x-policy')).toBe('8');
  });

  it('does not keep a later good policy from coming', async () => {
    await start();
    const scope = `edge.${gateway}` as const;
    await control.publishBytes(scope, new Uint8Array([1]));
    const message = policy(9);
    await control.publish(message);
    expect(await control.acked(message.position)).toMatchObject({ outcome: 'applied' });
  });

  it('does not stop the edge: a policy that cannot be enforced is refused with its reason', async () => {
    await start();
    const first = policy(7);
    await control.publish(first);
    await control.acked(first.position);
    const bad = policy(8);
    const [own] = bad.snapshot.listeners;
    if (own)
      await control.publish({
        ...bad,
        snapshot: {
          ...bad.snapshot,
          listeners: [own, { ...own, name: 'far', address: '192.0.2.1', port: 9 }],
        },
      });
    expect(await control.acked(bad.position)).toMatchObject({
      outcome: 'rejected',
      revision: 7,
      reason: expect.stringContaining('192.0.2.1:9'),
    });
    expect((await get()).response.headers.get('x-policy')).toBe('7');
  });
});

describe('the last good state', () => {
  const loseBus = { connect: (signal: AbortSignal) => untilAborted(signal) };

  it('is served in less than a second when nobody answers on the bus', async () => {
    await start();
    const message = policy(7);
    await control.publish(message);
    await control.acked(message.position);
    await edge.close();
    const startedMs = performance.now();
    await start(loseBus);
    const { response } = await get();
    expect(performance.now() - startedMs).toBeLessThan(1000);
    expect(response.headers.get('x-policy')).toBe('7');
    const ready = await (await fetch(`${edge.adminUrl}/ready`)).json();
    expect(ready).toMatchObject({ ready: true, state: 'static', revision: 7 });
  });

  it('is not believed when somebody changed it on disk', async () => {
    await start();
    for (const revision of [7, 8]) {
      const message = policy(revision);
      await control.publish(message);
      await control.acked(message.position);
    }
    await edge.close();
    const file = join(folder, 'current.json');
    const saved = JSON.parse(await readFile(file, 'utf8')) as { v: 1; sealed: string[] };
    const strangers = await controlKeys();
    saved.sealed = [Buffer.from(await strangers.seal(policy(66))).toString('base64')];
    await writeFile(file, JSON.stringify(saved));
    await start(loseBus);
    expect((await get()).response.headers.get('x-policy')).toBe('7');
    expect(await readdir(folder)).toContain('current.json.refused');
    expect(lines.join()).toContain('is not trusted');
  });
});

const untilAborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) =>
    signal.addEventListener('abort', () => reject(new Error('given up')), { once: true }),
  );
