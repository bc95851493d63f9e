// How many callers may be connected at a time, and what those in wait for while others come in.
import { afterEach, describe, expect, it } from 'vitest';
import type { Rush } from '#adapters/dataplane-node/rush.ts';
import {
  closeAll,
  fixedUpstream,
  get,
  listener,
  ok,
  rawCaller,
  startPlane,
  upstream,
  viewOf,
} from './support.ts';

afterEach(closeAll);

const limited = (maxConnections: number, port: number) =>
  listener({
    name: `of-${port}`,
    port,
    limits: { ...listener().limits, maxConnections },
  });

/** Whether it is served, or closed without a word. */
const isServed = async (port: number): Promise<boolean> => {
  const caller = await rawCaller(port);
  caller.send(get());
  return caller.until('done').then(
    () => true,
    () => false,
  );
};

describe('connections', () => {
  it('are bounded per listener; who goes makes room', async () => {
    const server = await fixedUpstream(ok('done'));
    const { plane, port } = await startPlane(viewOf([upstream([server.port])], [limited(2, 8080)]));
    const first = await rawCaller(port);
    expect([await isServed(port), await isServed(port)]).toEqual([true, false]);
    first.socket.destroy();
    await expect.poll(() => plane.stats().connections).toBe(1);
    expect(await isServed(port)).toBe(true);
  });

  it('are bounded for all listeners together', async () => {
    const server = await fixedUpstream(ok('done'));
    const listeners = [limited(100, 8080), limited(100, 8081)];
    const { plane } = await startPlane(
      viewOf([upstream([server.port])], listeners),
      {},
      { maxConnections: 3 },
    );
    const [one = 0, two = 0] = plane.addresses().map(({ port }) => port);
    const served: boolean[] = [];
    for (const port of [one, two, one, two, one]) served.push(await isServed(port));
    expect(served).toEqual([true, true, true, false, false]);
    expect(plane.stats().connections).toBe(3);
  });
});

describe('callers who reset their connection before they are let in', () => {
  it('are not served: nobody knows who they were', async () => {
    const server = await fixedUpstream(ok('done'));
    const addresses: string[] = [];
    const { port } = await startPlane(
      viewOf([upstream([server.port])]),
      {},
      { onAccess: ({ clientAddress }) => addresses.push(clientAddress) },
    );
    for (let i = 0; i < 5; i++) {
      const { socket } = await rawCaller(port);
      socket.write(get());
      socket.resetAndDestroy();
    }
    expect(await isServed(port)).toBe(true);
    expect(addresses.filter((address) => address !== '127.0.0.1')).toEqual([]);
  });
});

describe('callers who are in', () => {
  it('are read from again after a rush, and lose nothing', async () => {
    const server = await fixedUpstream(ok('done'));
    const { plane, port } = await startPlane(viewOf([upstream([server.port])]));
    const { rush } = (plane as unknown as { context: { rush: Rush } }).context;
    const [whole, half] = [await rawCaller(port), await rawCaller(port)];
    for (const caller of [whole, half]) {
      caller.send(get());
      await caller.until('done');
    }
    let held = 0;
    const hold = rush.hold.bind(rush);
    rush.hold = (connection) => {
      held++;
      hold(connection);
    };
    rush.begin(server, 0);
    // Nobody would send it again for the caller.
    whole.send('POST /again HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n');
    half.send('GET /half HTTP/1.1\r\nHo');
    await expect.poll(() => held).toBe(2);
    expect(server.received.join('')).not.toMatch(/again/);
    setImmediate(() => rush.end(server, 0));
    await expect.poll(() => whole.text.match(/done/g)?.length).toBe(2);
    half.send('st: a\r\n\r\n');
    await expect.poll(() => half.text.match(/done/g)?.length).toBe(2);
  });
});
