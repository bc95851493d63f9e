// The PROXY protocol on the wire, in and out, and with HAProxy on the other side where there is one.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { readProxyHeader } from '#adapters/dataplane-node/l4/proxy-protocol.ts';
import type { Listener } from '#engine/model/snapshot.ts';
import { testCertificates } from '../certificates.ts';
import {
  closeAll,
  closing,
  fixedUpstream,
  get,
  listener,
  ok,
  rawCaller,
  rawUpstream,
  startPlane,
  upstream,
  viewOf,
} from '../support.ts';

const certificates = testCertificates();
const { pem } = certificates;
beforeAll(() => {
  certificates.authority('ca');
  certificates.issue('web', 'DNS:web.bibby.com', 'ca');
});
afterAll(() => certificates.close());
afterEach(closeAll);

const V1 = 'PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n';
const V2_LOCAL = '\r\n\r\n\0\r\nQUIT\n\x20\0\0\0';
const behind = (changes: Partial<Listener> = {}): Listener =>
  listener({ proxyProtocol: true, ...changes });
const start = async (changes: Partial<Listener> = {}) => {
  const server = await fixedUpstream(ok('served'));
  const clients: string[] = [];
  const { port } = await startPlane(viewOf([upstream([server.port])], [behind(changes)]), {
    handle: (request, forward) => {
      clients.push(`${request.clientAddress} ${request.peerAddress}`);
      return forward;
    },
  });
  return { port, clients, server };
};

describe('a listener behind a proxy', () => {
  it.each([
    ['in one piece with the request', [V1 + get()]],
    ['in two pieces', [V1.slice(0, 20), V1.slice(20) + get()]],
    ['alone', [V1, get()]],
  ])('takes the caller from the header: %s', async (_, pieces) => {
    const { port, clients, server } = await start();
    const caller = await rawCaller(port);
    for (const piece of pieces) {
      caller.send(piece);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await caller.until('served');
    expect(clients).toEqual(['192.0.2.7 192.0.2.7']);
    expect(server.received.join('')).toContain('x-forwarded-for: 192.0.2.7\r\n');
    caller.send(get());
    await caller.until(/served[^]*served/);
  });

  it('knows the proxy itself when it speaks for itself', async () => {
    const { port, clients } = await start();
    const caller = await rawCaller(port);
    caller.send(V2_LOCAL + get());
    await caller.until('served');
    expect(clients).toEqual(['127.0.0.1 127.0.0.1']);
  });

  it('closes connections without it, with a wrong one, and with one that does not end', async () => {
    const changes = { limits: { ...listener().limits, headerTimeoutMs: 100 } };
    const { port, clients } = await start(changes);
    for (const text of [get(), `PROXY TCP4 nowhere nobody 1 2\r\n${get()}`, V1.slice(0, 30), '']) {
      const caller = await rawCaller(port);
      if (text !== '') caller.send(text);
      expect(await caller.untilClosed()).toBe('');
    }
    expect(clients).toEqual([]);
  });

  it('may speak TLS after it', async () => {
    const { port, clients } = await start({
      protocol: 'HTTPS',
      tls: {
        mode: 'Terminate',
        certificates: [{ certificate: pem('web.crt'), key: pem('web.key') }],
        minVersion: '1.2',
        alpn: ['http/1.1'],
      },
    });
    const plain = net.connect({ host: '127.0.0.1', port });
    plain.write(V1);
    const socket = tls.connect({ socket: plain, ca: pem('ca.crt'), servername: 'web.bibby.com' });
    closing(() => void socket.destroy());
    socket.write(get());
    const chunk = await new Promise<Buffer>((resolve) => socket.once('data', resolve));
    expect(chunk.toString()).toContain('served');
    expect(clients).toEqual(['192.0.2.7 192.0.2.7']);
  });
});

describe('a TCP service', () => {
  it.each(['v1', 'v2'] as const)('is told who calls: %s', async (version) => {
    const server = await rawUpstream(() => false);
    const plan = upstream([server.port], { protocol: 'tcp', proxyProtocol: version });
    const tcp = listener({ protocol: 'TCP', upstream: 'bibby/catalog' });
    const { port } = await startPlane(viewOf([plan], [tcp]));
    const caller = await rawCaller(port);
    caller.send('payload');
    await vi.waitFor(() => expect(server.received[0]).toMatch(/payload$/));
    const reading = readProxyHeader(Buffer.from(server.received[0] ?? '', 'latin1'));
    expect(reading).toMatchObject({
      type: 'done',
      value: {
        source: { address: '127.0.0.1', port: caller.socket.localPort },
        destination: { address: '127.0.0.1', port },
      },
    });
  });

  it('learns of the caller that the proxy in front named', async () => {
    const server = await rawUpstream(() => false);
    const plan = upstream([server.port], { protocol: 'tcp', proxyProtocol: 'v1' });
    const tcp = behind({ protocol: 'TCP', upstream: 'bibby/catalog' });
    const { port } = await startPlane(viewOf([plan], [tcp]));
    const caller = await rawCaller(port);
    caller.send(`${V1}payload`);
    await vi.waitFor(() => expect(server.received[0]).toBe(`${V1}payload`));
  });
});

const HAPROXY = '/usr/sbin/haproxy';

/** Forwards what comes in, in TCP mode; resolves with its port once it listens. */
const haproxy = async (bind: string, server: string): Promise<number> => {
  const folder = mkdtempSync(join(tmpdir(), 'weir-haproxy-'));
  const free = net.createServer().listen(0, '127.0.0.1');
  await once(free, 'listening');
  const { port } = free.address() as net.AddressInfo;
  await new Promise((resolve) => free.close(resolve));
  const file = join(folder, 'haproxy.cfg');
  writeFileSync(
    file,
    `defaults
  mode tcp
  timeout connect 5s
  timeout client 10s
  timeout server 10s
listen l
  bind 127.0.0.1:${port} ${bind}
  server s 127.0.0.1:${server}
`,
  );
  const child = spawn(HAPROXY, ['-db', '-f', file], { stdio: 'ignore' });
  closing(async () => {
    child.kill('SIGKILL');
    await once(child, 'exit');
    rmSync(folder, { recursive: true, force: true });
  });
  await vi.waitFor(async () => (await rawCaller(port)).socket.destroy(), { timeout: 10_000 });
  return port;
};

describe('HAProxy', () => {
  const isThere = existsSync(HAPROXY);
  it('in front: send-proxy and send-proxy-v2', async ({ skip }) => {
    skip(!isThere, 'haproxy is not installed; install it with: apt-get install haproxy');
    const { port, clients } = await start();
    for (const option of ['send-proxy', 'send-proxy-v2']) {
      const front = await haproxy('', `${port} ${option}`);
      clients.length = 0;
      const caller = await rawCaller(front);
      caller.send(get());
      await caller.until('served');
      expect(clients).toEqual(['127.0.0.1 127.0.0.1']);
    }
  });

  it('behind: accept-proxy', async ({ skip }) => {
    skip(!isThere, 'haproxy is not installed; install it with: apt-get install haproxy');
    const server = await rawUpstream(() => false);
    // It says what it was told on to the next.
    const back = await haproxy('accept-proxy', `${server.port} send-proxy`);
    for (const version of ['v1', 'v2'] as const) {
      const plan = upstream([back], { protocol: 'tcp', proxyProtocol: version });
      const tcp = behind({ protocol: 'TCP', upstream: 'bibby/catalog' });
      const { port } = await startPlane(viewOf([plan], [tcp]));
      const caller = await rawCaller(port);
      caller.send(`${V1}payload`);
      const expected = 'PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\npayload';
      await vi.waitFor(() => expect(server.received.at(-1)).toBe(expected));
    }
  });
});
