// A WebSocket client and server that others wrote, with the proxy in between.
import { randomBytes } from 'node:crypto';
import http from 'node:http';
import type net from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import {
  closeAll,
  closing,
  listener,
  startPlane,
  upstream,
  viewOf,
} from '#test/adapters/dataplane-node/support.ts';

afterEach(closeAll);

interface Pair {
  readonly client: WebSocket;
  readonly server: WebSocket;
  readonly request: http.IncomingMessage;
}

const pair = async (
  options: {
    readonly deflate?: boolean;
    readonly idleTimeoutMs?: number;
    readonly path?: string;
  } = {},
): Promise<Pair> => {
  const { deflate = false, idleTimeoutMs = 60_000, path = '/chat?x=y' } = options;
  const server = new WebSocketServer({
    port: 0,
    host: '127.0.0.1',
    perMessageDeflate: deflate && { threshold: 0 },
  });
  await new Promise((resolve) => server.once('listening', resolve));
  closing(() => {
    for (const client of server.clients) client.terminate();
    server.close();
  });
  const limits = { ...listener().limits, idleTimeoutMs };
  const { port } = await startPlane(
    viewOf([upstream([(server.address() as net.AddressInfo).port])], [listener({ limits })]),
  );
  const accepted = new Promise<[WebSocket, http.IncomingMessage]>((resolve) =>
    server.once('connection', (socket, request) => resolve([socket, request])),
  );
  const client = new WebSocket(`ws://127.0.0.1:${port}${path}`, 'chat', {
    perMessageDeflate: deflate,
  });
  closing(() => client.terminate());
  await new Promise((resolve, reject) => {
    client.once('open', resolve);
    client.once('error', reject);
  });
  const [socket, request] = await accepted;
  return { client, server: socket, request };
};

const echoes = ({ server }: Pair): void => {
  server.on('message', (data, isBinary) => server.send(data as Buffer, { binary: isBinary }));
};

const next = (socket: WebSocket): Promise<readonly [Buffer, boolean]> =>
  new Promise((resolve) =>
    socket.once('message', (data, isBinary) => resolve([data as Buffer, isBinary])),
  );

const ended = (socket: WebSocket): Promise<readonly [number, string]> =>
  new Promise((resolve) =>
    socket.once('close', (code, reason) => resolve([code, reason.toString()])),
  );

describe('a WebSocket through the proxy', () => {
  it('is opened with path, query and subprotocol', async () => {
    const { client, request } = await pair();
    expect(request.url).toBe('/chat?x=y');
    expect(client.protocol).toBe('chat');
    expect(request.headers['x-forwarded-for']).toBe('127.0.0.1');
  });

  it.each([false, true])('echoes text and bytes of every size (deflate: %s)', async (deflate) => {
    const both = await pair({ deflate });
    echoes(both);
    const { client } = both;
    expect(client.extensions).toBe(deflate ? 'permessage-deflate' : '');
    for (const size of [0, 1, 125, 126, 65_535, 65_536, 1_000_000]) {
      const bytes = randomBytes(size);
      client.send(bytes);
      const [data, isBinary] = await next(client);
      expect([data.equals(bytes), isBinary]).toEqual([true, true]);
      client.send('ü'.repeat(size));
      expect((await next(client))[0].toString()).toBe('ü'.repeat(size));
    }
  });

  it('carries fragments, and pings between them', async () => {
    const both = await pair();
    echoes(both);
    const { client, server } = both;
    const pinged = new Promise<string>((resolve) =>
      server.once('ping', (data) => resolve(data.toString())),
    );
    const ponged = new Promise<string>((resolve) =>
      client.once('pong', (data) => resolve(data.toString())),
    );
    client.send('one ', { fin: false });
    client.ping('are you there');
    client.send('two ', { fin: false });
    client.send('three', { fin: true });
    expect((await next(client))[0].toString()).toBe('one two three');
    expect(await pinged).toBe('are you there');
    expect(await ponged).toBe('are you there');
  });

  it('keeps many messages in order both ways', async () => {
    const both = await pair();
    echoes(both);
    const { client } = both;
    const got: string[] = [];
    const all = new Promise<void>((resolve) => {
      client.on('message', (data) => {
        if (got.push((data as Buffer).toString()) === 2000) resolve();
      });
    });
    for (let i = 0; i < 2000; i++) client.send(`${i}`);
    await all;
    expect(got).toEqual(Array.from({ length: 2000 }, (_, i) => `${i}`));
  });

  it.each([
    [1000, 'bye'],
    [1001, ''],
    [3999, 'a reason of one’s own'],
  ])('hands the close code %i on, from either end', async (code, reason) => {
    const one = await pair();
    const atServer = ended(one.server);
    one.client.close(code, reason);
    expect(await atServer).toEqual([code, reason]);
    const other = await pair();
    const atClient = ended(other.client);
    other.server.close(code, reason);
    expect(await atClient).toEqual([code, reason]);
  });

  it('ends when either end is cut off', async () => {
    const one = await pair();
    const atServer = ended(one.server);
    one.client.terminate();
    expect((await atServer)[0]).toBe(1006);
    const other = await pair();
    const atClient = ended(other.client);
    other.server.terminate();
    expect((await atClient)[0]).toBe(1006);
  });

  it('ends after the idle timeout, but not while somebody pings', async () => {
    const { client, server } = await pair({ idleTimeoutMs: 600 });
    const atServer = ended(server);
    let pings = 0;
    await new Promise<void>((resolve) => {
      const pinging = setInterval(() => {
        client.ping();
        if (++pings < 16) return;
        clearInterval(pinging);
        resolve();
      }, 50);
    });
    expect(client.readyState).toBe(WebSocket.OPEN);
    expect((await atServer)[0]).toBe(1006);
  });

  it('is refused as the upstream refuses it', async () => {
    const server = http.createServer();
    server.on('upgrade', (_request, socket) => {
      socket.end('HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\nno');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    closing(() => {
      server.close();
    });
    const { port } = await startPlane(
      viewOf([upstream([(server.address() as net.AddressInfo).port])]),
    );
    const client = new WebSocket(`ws://127.0.0.1:${port}/`);
    const status = await new Promise((resolve) => {
      client.once('unexpected-response', (request, response) => {
        request.destroy();
        resolve(response.statusCode);
      });
      client.on('error', () => {});
    });
    expect(status).toBe(401);
  });
});
