// TCP listeners: bytes both ways, whatever they are.
import net from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { AccessEntry } from '#adapters/dataplane-node/access.ts';
import type { Listener, Snapshot, Upstream } from '#engine/model/snapshot.ts';
import type { PlaneView, SampleFacts } from '#engine/ports/data-plane.ts';
import {
  closeAll,
  closing,
  listener,
  rawCaller,
  rawUpstream,
  startPlane,
  upstream,
  viewOf,
} from '../support.ts';

afterEach(closeAll);

const tcp = (changes: Partial<Listener> = {}): Listener =>
  listener({ name: 'queue', protocol: 'TCP', upstream: 'bibby/catalog', ...changes });
const service = (ports: readonly number[], changes: Partial<Upstream> = {}): Upstream =>
  upstream(ports, { protocol: 'tcp', ...changes });
const echo = (name = '') =>
  rawUpstream((socket, text) => {
    socket.write(`${name}${text}`, 'latin1');
    return true;
  });
const withSplit = (
  view: PlaneView,
  weights: Readonly<Record<string, number>>,
  overlay: PlaneView['overlay'] = new Map(),
): PlaneView => {
  const choices = Object.entries(weights).map(([version, weight]) => ({
    version,
    weight,
    upstream: `bibby/catalog@${version}`,
  }));
  const splits: Snapshot['splits'] = { 'bibby/catalog': { service: 'bibby/catalog', choices } };
  return { ...view, overlay, snapshot: { ...view.snapshot, splits } };
};
/** A port that nobody listens on. */
const deadPort = async (): Promise<number> => {
  const server = net.createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
};

describe('a TCP listener', () => {
  it('carries bytes both ways, and half-closes', async () => {
    const server = await rawUpstream(() => false);
    const { port } = await startPlane(viewOf([service([server.port])], [tcp()]));
    const caller = await rawCaller(port);
    caller.send('\0\xff question');
    await vi.waitFor(() => expect(server.received).toEqual(['\0\xff question']));
    caller.socket.end();
    const [socket] = server.sockets;
    socket?.removeAllListeners('end');
    await caller.until(''); // still open towards us
    socket?.end('answer');
    expect(await caller.untilClosed()).toMatch(/answer$/);
  });

  it('carries what is much larger than all buffers, at the pace of the slower side', async () => {
    const size = 8 * 2 ** 20;
    const server = net.createServer((socket) => socket.pipe(socket)).listen(0, '127.0.0.1');
    closing(() => void server.close());
    await new Promise((resolve) => server.once('listening', resolve));
    const target = (server.address() as net.AddressInfo).port;
    const { port } = await startPlane(viewOf([service([target])], [tcp()]));
    const socket = net.connect({ host: '127.0.0.1', port });
    closing(() => void socket.destroy());
    socket.end(Buffer.alloc(size, 'x'));
    // Nothing is read for a while: everything has to wait, and nothing may be lost.
    await new Promise((resolve) => setTimeout(resolve, 50));
    let received = 0;
    for await (const chunk of socket) received += (chunk as Buffer).length;
    expect(received).toBe(size);
  });

  it('goes to another endpoint when one cannot be reached', async () => {
    const server = await echo();
    const lines: AccessEntry[] = [];
    const { plane, port } = await startPlane(
      viewOf([service([await deadPort(), server.port])], [tcp()]),
      {},
      { onAccess: (line) => lines.push(line) },
    );
    for (let i = 0; i < 6; i++) {
      const caller = await rawCaller(port);
      caller.send('hello');
      await caller.until('hello');
      caller.socket.end();
      await caller.untilClosed();
    }
    await vi.waitFor(() => expect(lines).toHaveLength(6));
    expect(lines[0]).toMatchObject({
      method: 'TCP',
      listener: 'queue',
      status: 200,
      flag: '-',
      service: 'bibby/catalog',
      endpoint: `127.0.0.1:${server.port}`,
      requestBytes: 5,
      responseBytes: 5,
    });
    expect(lines.some(({ tries }) => tries === 2)).toBe(true);
    expect(plane.stats().upstreamConnections).toBe(0);
  });

  it.each([
    ['UF', async () => service([await deadPort()])],
    ['UH', async () => service([])],
    [
      'UO',
      async () => {
        const plan = service([(await echo()).port]);
        return { ...plan, pool: { ...plan.pool, maxConnections: 0 } };
      },
    ],
  ])('says why it came to nothing: %s', async (flag, planOf) => {
    const lines: AccessEntry[] = [];
    const { plane, port } = await startPlane(
      viewOf([await planOf()], [tcp()]),
      {},
      { onAccess: (line) => lines.push(line) },
    );
    await (await rawCaller(port)).untilClosed();
    await vi.waitFor(() => expect(lines).toHaveLength(1));
    expect(lines[0]).toMatchObject({ status: 503, flag });
    expect(await seriesOf(plane)).toMatchObject([
      {
        rule: 'listener/queue',
        requests: 1,
        errors: 1,
        statuses: { 503: 1 },
        flags: { [`503 ${flag}`]: 1 },
      },
    ]);
  });

  it('shares connections among versions by weight, and obeys decisions', async () => {
    const [old, fresh] = [await echo('old:'), await echo('new:')];
    const of = (version: string, port: number) =>
      service([port], { id: `bibby/catalog@${version}`, version });
    const plain = viewOf([of('v1', old.port), of('v2', fresh.port)], [tcp()]);
    const random = vi.fn(() => 0);
    const { plane, port } = await startPlane(
      withSplit(plain, { v1: 9000, v2: 1000 }),
      {},
      { random },
    );
    const ask = async (point: number): Promise<string> => {
      random.mockReturnValue(point);
      const caller = await rawCaller(port);
      caller.send('?');
      return await caller.until('?');
    };
    expect(await ask(0.89)).toBe('old:?');
    expect(await ask(0.91)).toBe('new:?');
    const weights = { v1: 10_000, v2: 0 };
    const decision = { type: 'split' as const, target: 'bibby/catalog', weights };
    await plane.activate({
      ...withSplit(plain, { v1: 9000, v2: 1000 }, new Map([['split:bibby/catalog', decision]])),
      position: 2,
    });
    expect(await ask(0.91)).toBe('old:?');
    expect(await seriesOf(plane)).toMatchObject([
      { version: 'v1', requests: 2, errors: 0, statuses: { 200: 2 } },
      { version: 'v2', requests: 1 },
    ]);
  });

  it('closes what has been idle for too long', async () => {
    const server = await echo();
    const limits = { ...tcp().limits, idleTimeoutMs: 60 };
    const { port } = await startPlane(viewOf([service([server.port])], [tcp({ limits })]));
    const caller = await rawCaller(port);
    caller.send('hello');
    await caller.until('hello');
    await caller.untilClosed();
  });

  it('tells the caller of a broken connection by breaking its own', async () => {
    const server = await rawUpstream((socket) => {
      socket.write('half');
      setTimeout(() => socket.resetAndDestroy(), 20);
      return true;
    });
    const { port } = await startPlane(viewOf([service([server.port])], [tcp()]));
    const caller = await rawCaller(port);
    const failure = new Promise<NodeJS.ErrnoException>((resolve) =>
      caller.socket.once('error', resolve),
    );
    caller.send('hello');
    expect((await failure).code).toBe('ECONNRESET');
  });

  it('lives on when policy changes, and is cut at the end of a drain', async () => {
    const server = await echo();
    const { plane, port } = await startPlane(viewOf([service([server.port])], [tcp()]));
    const caller = await rawCaller(port);
    caller.send('one');
    await caller.until('one');
    await plane.activate(viewOf([service([1])], [tcp()], 2));
    caller.send('two');
    await caller.until('two');
    const drained = plane.drain(100);
    caller.send('three');
    await caller.until('three');
    await drained;
    await caller.untilClosed();
    expect(plane.stats()).toMatchObject({ connections: 0 });
  });
});

/** Everything counted since the start. Ends the plane. */
const seriesOf = async (plane: {
  samples(): AsyncIterable<SampleFacts>;
  close(): Promise<void>;
}): Promise<readonly SampleFacts['series'][number][]> => {
  await plane.close();
  const found: SampleFacts['series'][number][] = [];
  for await (const { series } of plane.samples()) found.push(...series);
  return found.toSorted((a, b) => a.version.localeCompare(b.version));
};
