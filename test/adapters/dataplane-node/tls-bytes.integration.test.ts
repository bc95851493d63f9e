// What goes through TLS comes out whole, whatever its size and however slowly it is read.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import tls from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { testCertificates } from './certificates.ts';
import { closeAll, closing, get, secureListener, startPlane, upstream, viewOf } from './support.ts';

const certificates = testCertificates();
const { pem } = certificates;
beforeAll(() => {
  certificates.authority('ca');
  certificates.issue('web', 'DNS:web.bibby.com', 'ca');
});
afterAll(() => certificates.close());
afterEach(closeAll);

const SIZE = 3_000_000;
const bytes = Buffer.from(Array.from({ length: SIZE }, (_, i) => (i * 31 + (i >> 8)) & 255));

const start = async (server: Server): Promise<number> => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing(() => {
    server.closeAllConnections();
    server.close();
  });
  const secure = secureListener({ certificate: pem('web.crt'), key: pem('web.key') });
  const plan = upstream([(server.address() as AddressInfo).port]);
  const { port } = await startPlane(viewOf([plan], [secure]));
  return port;
};

const connect = (port: number): Promise<tls.TLSSocket> =>
  new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, ca: pem('ca.crt'), servername: 'web.bibby.com' };
    const socket = tls.connect(options, () => resolve(socket));
    socket.on('error', reject);
    closing(() => void socket.destroy());
  });

/** All that comes until the connection ends. */
const whole = async (socket: tls.TLSSocket): Promise<Buffer> => {
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
};

describe('a connection behind TLS', () => {
  it.each([
    ['with a length', { 'content-length': SIZE }],
    ['in chunks', {}],
  ])('carries a large body %s back to its caller, and ends after it', async (_, headers) => {
    const server = createServer((request, response) => {
      response.writeHead(200, headers);
      request.pipe(response);
    });
    const socket = await connect(await start(server));
    socket.write(
      `POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: ${SIZE}\r\n\r\n`,
    );
    socket.write(bytes);
    const answer = await whole(socket);
    const body = answer.subarray(answer.indexOf('\r\n\r\n') + 4);
    if ('content-length' in headers) expect(body.equals(bytes)).toBe(true);
    else {
      expect(body.length).toBeGreaterThan(SIZE);
      expect(body.subarray(-5).toString()).toBe('0\r\n\r\n');
    }
  });

  it('gives all of it to a caller that begins to read late', async () => {
    const server = createServer((_, response) => {
      response.setHeader('content-length', SIZE);
      response.end(bytes);
    });
    const socket = await connect(await start(server));
    socket.pause();
    socket.write(get('/', 'connection: close\r\n'));
    await new Promise((resolve) => socket.once('readable', resolve));
    const answer = await whole(socket);
    expect(answer.subarray(-SIZE).equals(bytes)).toBe(true);
  });

  it('answers what was asked at once in order', async () => {
    const server = createServer((request, response) => response.end(`<${request.url}>`));
    const socket = await connect(await start(server));
    const paths = Array.from({ length: 50 }, (_, i) => `/${i}`);
    socket.write(
      paths.map((path, i) => get(path, i === 49 ? 'connection: close\r\n' : '')).join(''),
    );
    const answers = (await whole(socket)).toString().match(/(?<=<)\/\d+(?=>)/g);
    expect(answers).toEqual(paths);
  });
});
