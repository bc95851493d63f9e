// An upstream says more than it was asked. Nobody else may get to read it.
import type net from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import {
  type Behaviour,
  closeAll,
  get,
  ok,
  type RawUpstream,
  rawCaller,
  rawUpstream,
  startPlane,
  upstream,
  viewOf,
} from './support.ts';

afterEach(closeAll);

const stray = ok('stray');

/** Answers every request with its path. */
const echo = (): Promise<RawUpstream> =>
  rawUpstream((socket, text) => {
    const path = /^[A-Z]+ (\S+) /.exec(text)?.[1];
    if (path === undefined || !text.includes('\r\n\r\n')) return false;
    socket.write(ok(`answer to ${path}`));
    return true;
  });

/** Sends the stray answer while the first answer is being read: it is there before any next request can be written. */
const strayBehindFirst = (server: RawUpstream): Behaviour => {
  let isSent = false;
  return {
    pipeline: {
      respond: () => {
        if (isSent) return;
        isSent = true;
        for (const socket of server.sockets) socket.write(stray);
      },
    },
  };
};

describe('an answer that comes right behind another one', () => {
  it('is not for the next request of the same caller', async () => {
    const server = await echo();
    const { port } = await startPlane(viewOf([upstream([server.port])]), strayBehindFirst(server));
    const caller = await rawCaller(port);
    caller.send(get('/a') + get('/b'));
    expect(await caller.until('answer to /b')).not.toContain('stray');
  });

  it('is not for a request that waits for the connection', async () => {
    const server = await echo();
    const only = upstream([server.port]);
    const { port } = await startPlane(
      viewOf([{ ...only, pool: { ...only.pool, maxConnections: 1 } }]),
      strayBehindFirst(server),
    );
    const callers = await Promise.all([rawCaller(port), rawCaller(port), rawCaller(port)]);
    callers.forEach((caller, i) => caller.send(get(`/${i}`)));
    const answers = await Promise.all(callers.map((caller, i) => caller.until(`answer to /${i}`)));
    expect(answers.join('')).not.toContain('stray');
  });

  it('finds a connection that serves on when nothing came', async () => {
    const server = await echo();
    const only = upstream([server.port]);
    const { port } = await startPlane(
      viewOf([{ ...only, pool: { ...only.pool, maxConnections: 1, maxPendingRequests: 0 } }]),
    );
    const caller = await rawCaller(port);
    caller.send(get('/a') + get('/b') + get('/c'));
    await caller.until('answer to /c');
    expect(server.connections).toBe(1);
  });
});

describe('an answer to nobody', () => {
  const idleConnection = async (server: RawUpstream) => {
    const { port } = await startPlane(viewOf([upstream([server.port])]));
    const [first, second] = [await rawCaller(port), await rawCaller(port)];
    first.send(get('/first'));
    await first.until('answer to /first');
    const [socket] = server.sockets;
    return { first, second, socket: socket as net.Socket };
  };

  it('ends the idle connection that it comes on', async () => {
    const server = await echo();
    const { socket, second } = await idleConnection(server);
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.write(stray);
    await closed;
    second.send(get('/second'));
    expect(await second.until('answer to /second')).not.toContain('stray');
  });

  it('is not taken for the answer to a request that is read in the same moment', async () => {
    const server = await echo();
    const { socket, second } = await idleConnection(server);
    // Both are there when the plane next looks, the request first.
    second.send(get('/second'));
    socket.write(stray);
    expect(await second.until('answer to /second')).not.toContain('stray');
  });

  it('costs the request that may not be sent twice, and nothing else', async () => {
    const server = await echo();
    const { socket, second } = await idleConnection(server);
    second.send('POST /second HTTP/1.1\r\nHost: api.bibby.com\r\nContent-Length: 2\r\n\r\nhi');
    socket.write(stray);
    expect(await second.until('\r\n\r\n')).toMatch(/^HTTP\/1.1 503 /);
    second.text = '';
    second.send(get('/third'));
    expect(await second.until('answer to /third')).not.toContain('stray');
  });
});
