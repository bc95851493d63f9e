// Ports that lead callers on by the server name in their ClientHello: passed through, or to TLS rules of their own.
import type net from 'node:net';
import tls from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Listener, ListenerTls, Upstream } from '#engine/model/snapshot.ts';
import { testCertificates } from '../certificates.ts';
import {
  closeAll,
  closing,
  fixedUpstream,
  get,
  listener,
  ok,
  rawCaller,
  startPlane,
  upstream,
  viewOf,
} from '../support.ts';
import { realHello } from './hello.ts';

const certificates = testCertificates();
const { pem } = certificates;
beforeAll(() => {
  certificates.authority('ca');
  for (const name of ['one', 'two', 'other', 'web'])
    certificates.issue(name, `DNS:${name}.bibby.com`, 'ca');
  certificates.issue('reader', 'URI:spiffe://bibby/ns/default/sa/reader', 'ca');
});
afterAll(() => certificates.close());
afterEach(closeAll);

/** A TLS server that says its name to everybody. */
const tlsServer = async (name: string): Promise<number> => {
  const server = tls.createServer(
    { cert: pem(`${name}.crt`), key: pem(`${name}.key`) },
    (socket) => {
      socket.on('error', () => {});
      socket.end(`${name} got `);
    },
  );
  server.listen(0, '127.0.0.1');
  closing(() => void server.close());
  await new Promise((resolve) => server.once('listening', resolve));
  return (server.address() as net.AddressInfo).port;
};
const service = (name: string, port: number): Upstream =>
  upstream([port], { id: `bibby/${name}`, service: `bibby/${name}`, protocol: 'tcp' });
const through = (name: string, hostname?: string): Listener =>
  listener({
    name,
    protocol: 'TLS',
    upstream: `bibby/${name}`,
    ...(hostname !== undefined && { hostname }),
  });

interface Met {
  /** Of the certificate shown. */
  readonly name: string;
  readonly text: string;
}

/** Everything that the other side says; `write` goes out first. */
const meet = (
  port: number,
  options: tls.ConnectionOptions & { readonly write?: string } = {},
): Promise<Met> =>
  new Promise((resolve, reject) => {
    const socket = tls.connect({ host: '127.0.0.1', port, ca: pem('ca.crt'), ...options });
    let text = '';
    let name = '';
    socket.on('secureConnect', () => {
      name = String(socket.getPeerCertificate().subject.CN);
      if (options.write !== undefined) socket.write(options.write);
    });
    socket.on('data', (chunk) => (text += chunk));
    socket.on('end', () => (name === '' ? reject(new Error('closed')) : resolve({ name, text })));
    socket.on('error', reject);
    closing(() => void socket.destroy());
  });
const named = (name: string) => ({ servername: `${name}.bibby.com` });

describe('TLS that is passed through', () => {
  const start = async (listeners: readonly Listener[]) => {
    const services = await Promise.all(
      ['one', 'two', 'other'].map(async (name) => service(name, await tlsServer(name))),
    );
    return await startPlane(viewOf(services, listeners));
  };

  it('goes by exact name, then by wildcard, then to the listener without a hostname', async () => {
    const { port } = await start([
      through('other'),
      through('two', '*.bibby.com'),
      through('one', 'one.bibby.com'),
    ]);
    expect(await meet(port, named('one'))).toEqual({ name: 'one', text: 'one got ' });
    expect(await meet(port, named('two'))).toEqual({ name: 'two', text: 'two got ' });
    const anybody = { rejectUnauthorized: false };
    expect(await meet(port, { ...anybody, servername: 'elsewhere.org' })).toMatchObject({
      name: 'other',
    });
    expect(await meet(port, { ...anybody, servername: '' })).toMatchObject({ name: 'other' });
  });

  it('is refused without a name, or with an unknown one, where everybody has a hostname', async () => {
    const { plane, port } = await start([through('one', 'one.bibby.com')]);
    await expect(meet(port, named('two'))).rejects.toThrow();
    await expect(meet(port, { servername: '' })).rejects.toThrow();
    expect(plane.stats().connections).toBe(0);
    expect(await meet(port, named('one'))).toMatchObject({ name: 'one' });
  });

  it('may come byte by byte, but not for ever', async () => {
    const slow = through('one', 'one.bibby.com');
    const { port } = await start([{ ...slow, limits: { ...slow.limits, headerTimeoutMs: 300 } }]);
    const hello = await realHello(named('one'));
    const caller = await rawCaller(port);
    for (let at = 0; at < hello.length; at += 97) {
      caller.socket.write(hello.subarray(at, at + 97));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await caller.until('\x16\x03\x03'); // the ServerHello
    const lazy = await rawCaller(port);
    lazy.socket.write(hello.subarray(0, 100));
    expect(await lazy.untilClosed()).toBe('');
  });

  it('is no place for anything but TLS', async () => {
    const { port } = await start([through('one')]);
    const caller = await rawCaller(port);
    caller.send(get());
    expect(await caller.untilClosed()).toBe('');
  });
});

describe('entrances of one port', () => {
  const https = (name: string, changes: Partial<ListenerTls> = {}): Listener =>
    listener({
      name,
      protocol: 'HTTPS',
      hostname: `${name}.bibby.com`,
      tls: {
        mode: 'Terminate',
        certificates: [{ certificate: pem(`${name}.crt`), key: pem(`${name}.key`) }],
        minVersion: '1.2',
        alpn: ['http/1.1'],
        ...changes,
      },
    });
  const reader = () => ({ cert: pem('reader.crt'), key: pem('reader.key') });
  const ask = (host: string) => `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
  const start = async () => {
    const server = await fixedUpstream(ok('served'));
    const required = { mode: 'required' as const, ca: pem('ca.crt') };
    return await startPlane(
      viewOf(
        [upstream([server.port]), service('one', await tlsServer('one'))],
        [
          https('web'),
          https('two', { clientCertificate: required }),
          through('one', 'one.bibby.com'),
        ],
      ),
    );
  };

  it('ask for a client certificate by server name, and pass through by server name', async () => {
    const { port } = await start();
    const web = await meet(port, { ...named('web'), write: ask('web.bibby.com') });
    expect(web).toMatchObject({ name: 'web', text: expect.stringContaining('served') });
    await expect(meet(port, { ...named('two'), write: ask('two.bibby.com') })).rejects.toThrow();
    expect(
      await meet(port, { ...named('two'), ...reader(), write: ask('two.bibby.com') }),
    ).toMatchObject({ name: 'two', text: expect.stringContaining('served') });
    expect(await meet(port, named('one'))).toMatchObject({ name: 'one', text: 'one got ' });
  });

  it.each(['two.bibby.com', 'one.bibby.com'])(
    'keep to their hosts: %s is not to be had through another',
    async (host) => {
      const { port } = await start();
      const { text } = await meet(port, { ...named('web'), write: ask(host) });
      expect(text).toMatch(/^HTTP\/1\.1 421 /);
    },
  );

  it('do not let in by a session of another', async () => {
    const { port } = await start();
    const session = await new Promise<Buffer>((resolve) => {
      const socket = tls.connect({ host: '127.0.0.1', port, ca: pem('ca.crt'), ...named('web') });
      socket.once('session', resolve);
      closing(() => void socket.destroy());
    });
    await expect(
      meet(port, { ...named('two'), session, write: ask('two.bibby.com') }),
    ).rejects.toThrow();
  });
});

describe('a TLS listener that decrypts', () => {
  it('forwards what is inside', async () => {
    const server = await fixedUpstream(ok('inside'));
    const plan = service('plain', server.port);
    const decrypted = {
      ...through('plain'),
      tls: {
        mode: 'Terminate' as const,
        certificates: [{ certificate: pem('web.crt'), key: pem('web.key') }],
        minVersion: '1.2' as const,
        alpn: [],
      },
    };
    const { port } = await startPlane(viewOf([plan], [decrypted]));
    const socket = tls.connect({ host: '127.0.0.1', port, ca: pem('ca.crt'), ...named('web') });
    closing(() => void socket.destroy());
    socket.write(get());
    const chunk = await new Promise<Buffer>((resolve) => socket.once('data', resolve));
    expect(chunk.toString()).toContain('inside');
    expect(server.received.join('')).toBe(get());
  });
});
