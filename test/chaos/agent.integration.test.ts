// What happens to the traffic of an edge while its surroundings come and go. Real processes, real nats-server, an
// installation with its own credentials; no request is tried twice.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { SigningKeys } from '#adapters/signer-ed25519/signer.ts';
import type { SnapshotMessage } from '#engine/model/control-message.ts';
import { makePosition } from '#engine/model/position.ts';
import { type Installation, install } from '#services/setup/install.ts';
import { type NatsServer, startNatsServer } from '#services/setup/nats-server.ts';
import { snapshotMessage } from '#test/support/control-messages.ts';
import { type EchoServer, startEchoServer } from '#test/support/echo-server.ts';
import { type Answer, type Load, startLoad } from '#test/support/load.ts';
import { listener, rule, snapshot, upstream } from '#test/support/snapshot.ts';
import { startTestControl, type TestControl } from '#test/support/test-control.ts';
import { startWeirProcess, type WeirProcess } from '#test/support/weir-process.ts';

let home: string;
let installation: Installation;
let nats: NatsServer;
let control: TestControl;
let app: EchoServer;
let edge: WeirProcess;
let load: Load | undefined;
let url: string;
let counter = 0;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'weir-chaos-'));
  installation = await install({ home, agents: [{ name: 'edge', scope: 'edge.public' }] });
  nats = await startNatsServer({ home });
  const read = async (file: string) => JSON.parse(await readFile(file, 'utf8')) as unknown;
  control = await startTestControl(nats.url, {
    keys: {
      privateJwk: await read(installation.signingKey),
      jwks: await read(installation.trustedKeys),
    } as SigningKeys,
    credentials: await readFile(installation.credentials['control'] ?? '', 'utf8'),
  });
  app = await startEchoServer();
  url = `http://127.0.0.1:${await freePort()}`;
});
afterEach(async () => {
  await load?.stop();
  load = undefined;
  await edge?.close();
});
afterAll(async () => {
  await app?.close();
  await control?.close();
  await nats?.stop();
  await rm(home, { recursive: true, force: true });
});

const freePort = async (): Promise<number> => {
  const echo = await startEchoServer();
  await echo.close();
  return echo.port;
};

const startEdgeProcess = (): WeirProcess =>
  startWeirProcess('edge', {
    WEIR_HOME: home,
    WEIR_AGENT: 'edge',
    WEIR_GATEWAY: 'public',
    WEIR_LISTEN_PORTS: `8080=${new URL(url).port}`,
  });

/** The revision stands in a request header and in a response header. */
const policy = (revision: number): SnapshotMessage => {
  counter += 1;
  const stamp = { set: [['x-policy', String(revision)]] as const, add: [], remove: [] };
  return {
    ...snapshotMessage(
      makePosition(1, counter),
      revision,
      snapshot({
        listeners: [listener({ address: '127.0.0.1' })],
        rules: [rule({ requestHeaders: stamp, responseHeaders: stamp })],
        upstreams: {
          'bibby/library-service': upstream('bibby/library-service', {
            endpoints: [{ address: '127.0.0.1', port: app.port, weight: 1 }],
          }),
        },
      }),
    ),
    issuedMs: Date.now(),
  };
};
const apply = async (revision: number): Promise<void> => {
  const message = policy(revision);
  await control.publish(message);
  expect(await control.acked(message.position)).toMatchObject({ outcome: 'applied', revision });
};

/** Both stamps, so both halves of the request's way, must be of one revision. */
const checkRevision = ({ status, headers, body }: Answer): string | undefined => {
  if (status === 503 && body.includes('overloaded')) return SHED;
  if (status !== 200) return `status ${status}: ${body}`;
  const seen = (JSON.parse(body) as { headers: Record<string, string> }).headers['x-policy'];
  const said = String(headers['x-policy']);
  return seen === said ? undefined : `mixed ${seen} and ${said}`;
};
/** The proxy turns work away when its process gets no processor time; on a busy machine that says nothing about policy. */
const SHED = 'turned away';
const expectNoLoss = ({ failures }: Load): void => {
  const isBusy = (loadavg()[0] ?? 0) > availableParallelism();
  expect(failures.filter((failure) => !isBusy || failure !== SHED)).toEqual([]);
};
const startSteadyLoad = (): Load =>
  startLoad(url, { connections: 8, pauseMs: 5, check: checkRevision });
const ask = async (): Promise<string | null> => (await fetch(url)).headers.get('x-policy');
const ready = async (): Promise<unknown> => {
  const [, admin] = await edge.line(/^admin address (\S+)/);
  return await (await fetch(`${admin}/ready`)).json();
};

describe('an edge under load', () => {
  it('activates 200 policies without a failed or a mixed request', { timeout: 60_000 }, async ({
    annotate,
  }) => {
    edge = startEdgeProcess();
    await apply(1);
    load = startSteadyLoad();
    const lags: number[] = [];
    for (let revision = 2; revision <= 201; revision += 1) {
      await apply(revision);
      lags.push(control.acks.at(-1)?.lagMs ?? 0);
    }
    await load.stop();
    expectNoLoss(load);
    expect(load.requests).toBeGreaterThan(1000);
    lags.sort((a, b) => a - b);
    await annotate(
      `${load.requests} requests; published to in force: p50 ${lags[100]} ms, p99 ${lags[198]} ms`,
    );
  });

  it('serves on while nats-server is away, and catches up when it is back', {
    timeout: 60_000,
  }, async () => {
    edge = startEdgeProcess();
    await apply(300);
    load = startSteadyLoad();
    const { port } = nats;
    await nats.stop();
    await edge.line(/the bus is away/);
    expect(await ready()).toMatchObject({ ready: true, state: 'static', revision: 300 });
    nats = await startNatsServer({ home, port });
    await vi.waitFor(async () => expect(await ready()).toMatchObject({ state: 'live' }), 20_000);
    await vi.waitFor(() => apply(301), 10_000);
    expect(await ask()).toBe('301');
    await load.stop();
    expectNoLoss(load);
  });
});

describe('an edge that starts while nats-server is away', () => {
  it('serves the last good policy within a second of its start', {
    timeout: 60_000,
  }, async ({ annotate }) => {
    edge = startEdgeProcess();
    await apply(400);
    edge.signal('SIGKILL');
    await edge.exited;
    const { port } = nats;
    await nats.stop();
    try {
      const tookMs: number[] = [];
      // Of several starts the fastest: this is about the edge, not about what else the machine does.
      for (let start = 0; start < 5 && !tookMs.some((took) => took < 1000); start += 1) {
        await edge.close();
        const startedMs = performance.now();
        edge = startEdgeProcess();
        await vi.waitFor(async () => expect(await ask()).toBe('400'), {
          timeout: 10_000,
          interval: 10,
        });
        tookMs.push(Math.round(performance.now() - startedMs));
      }
      await annotate(`serving after ${tookMs.join(', ')} ms`);
      expect(Math.min(...tookMs)).toBeLessThan(1000);
      expect(await ready()).toMatchObject({ ready: true, state: 'static', revision: 400 });
    } finally {
      nats = await startNatsServer({ home, port });
    }
    await vi.waitFor(() => apply(401), 10_000);
    expect(await ask()).toBe('401');
  });
});

describe('an edge that is told to stop', () => {
  it('answers everything that it has passed on, and exits with 0', async () => {
    edge = startEdgeProcess();
    await apply(500);
    const before = app.requests;
    load = startSteadyLoad();
    await new Promise((resolve) => setTimeout(resolve, 300));
    edge.signal('SIGTERM');
    expect(await edge.exited).toEqual({ code: 0, signal: null });
    await load.stop();
    expect(app.requests - before).toBe(load.requests - load.failures.length);
    expect(load.requests - load.failures.length).toBeGreaterThan(50);
    expect(edge.lines).toContain('SIGTERM: draining');
    expect(edge.lines.at(-1)).toBe('stopped');
  });
});
