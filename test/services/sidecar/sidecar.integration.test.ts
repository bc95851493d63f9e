// A sidecar on a real nats-server, with an application beside it.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { connectNats } from '#adapters/bus-nats/broker.ts';
import { createFileStore } from '#adapters/store-file/last-good.ts';
import type { SnapshotMessage } from '#engine/model/control-message.ts';
import { localApp } from '#engine/model/snapshot.ts';
import type { Heartbeat } from '#engine/model/telemetry.ts';
import { systemTime } from '#services/agent/time.ts';
import { type Sidecar, startSidecar } from '#services/sidecar/sidecar.ts';
import { snapshotMessage } from '#test/support/control-messages.ts';
import { type EchoServer, startEchoServer } from '#test/support/echo-server.ts';
import { startTestNatsServer, type TestNatsServer } from '#test/support/nats-server.ts';
import { listener, rule, snapshot, upstream } from '#test/support/snapshot.ts';
import { startTestControl, type TestControl } from '#test/support/test-control.ts';

let nats: TestNatsServer;
let control: TestControl;
let app: EchoServer;
let folder: string;
let sidecar: Sidecar;

beforeAll(async () => {
  nats = await startTestNatsServer();
});
afterAll(() => nats.close());
beforeEach(async () => {
  control = await startTestControl(nats.url);
  app = await startEchoServer();
  folder = await mkdtemp(join(tmpdir(), 'weir-sidecar-'));
});
afterEach(async () => {
  await sidecar?.close();
  await app.close();
  await control.close();
  await rm(folder, { recursive: true, force: true });
});

let workloads = 0;
let workload = '';
beforeEach(() => {
  workloads += 1;
  workload = `catalog-${workloads}`;
});
const start = async (inboundPort = 0): Promise<void> => {
  sidecar = await startSidecar(
    {
      agent: workload,
      mesh: 'default',
      admin: { host: '127.0.0.1', port: 0 },
      drainDelayMs: 0,
      accessLog: 'off',
      traces: 'off',
      namespace: 'bibby',
      workload,
      labels: { app: 'catalog-service', version: 'v1.1' },
      app: { host: '127.0.0.1', port: app.port },
      inbound: { host: '127.0.0.1', port: inboundPort },
      advertise: '127.0.0.1',
    },
    {
      connect: (signal) => connectNats({ url: nats.url, name: workload, signal }),
      verifier: control.keys.verifier,
      store: createFileStore(folder),
      time: systemTime,
      log: () => {},
      incarnation: 'i1',
      write: () => {},
    },
  );
};

const policy = (): SnapshotMessage => ({
  ...snapshotMessage(
    1,
    7,
    snapshot({
      listeners: [listener({ name: 'inbound', port: 15_006 })],
      rules: [rule({ id: 'bibby/catalog-service/inbound' })],
      upstreams: {
        'bibby/library-service': upstream('bibby/library-service', { endpoints: [localApp] }),
      },
    }),
  ),
  scope: `sidecar.bibby.${workload}`,
});
const lastBeat = (): Heartbeat | undefined => control.beats.at(-1);
const announced = () => lastBeat()?.workload?.endpoints;
const patiently = { timeout: 5000 };

describe('a sidecar', () => {
  it('announces its workload before there is a policy, without endpoints', async () => {
    await start();
    await vi.waitFor(
      () =>
        expect(lastBeat()).toMatchObject({
          state: 'starting',
          scope: `sidecar.bibby.${workload}`,
          workload: {
            namespace: 'bibby',
            name: workload,
            labels: { app: 'catalog-service', version: 'v1.1' },
            endpoints: [],
          },
        }),
      patiently,
    );
    expect(sidecar.inbound()).toBeUndefined();
  });

  it('takes traffic for the application, and announces where, once policy is in force', async () => {
    await start();
    await control.publish(policy());
    await vi.waitFor(() => expect(announced()).toHaveLength(1), patiently);
    const [endpoint] = announced() ?? [];
    expect(endpoint).toEqual({ address: '127.0.0.1', port: sidecar.inbound()?.port });
    const response = await fetch(`http://127.0.0.1:${endpoint?.port}/books`);
    expect(await response.json()).toMatchObject({ url: '/books' });
    await vi.waitFor(() => expect(control.samples).toHaveLength(1), patiently);
    expect(control.samples[0]).toMatchObject({ reporter: 'destination', agent: workload });
  });

  it('takes the announcement back while the application takes no connections', async () => {
    await start();
    await control.publish(policy());
    await vi.waitFor(() => expect(announced()).toHaveLength(1), patiently);
    await app.close();
    await vi.waitFor(() => expect(announced()).toEqual([]), patiently);
  });

  it('announces nothing any more once it drains', async () => {
    await start();
    await control.publish(policy());
    await vi.waitFor(() => expect(announced()).toHaveLength(1), patiently);
    await sidecar.drain(1000);
    await vi.waitFor(() => expect(lastBeat()?.state).toBe('draining'), patiently);
    expect(lastBeat()?.workload).toBeUndefined();
  });

  it('says at once that its inbound port is taken', async () => {
    await expect(start(app.port)).rejects.toThrow(
      `127.0.0.1:${app.port} (WEIR_INBOUND) is in use already`,
    );
    await start();
  });
});
