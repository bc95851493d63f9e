// Callers who came in, or nearly so, by rules that do not hold any more.
import net from 'node:net';
import tls from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Rush } from '#adapters/dataplane-node/rush.ts';
import type { ListenerTls } from '#engine/model/snapshot.ts';
import { testCertificates } from './certificates.ts';
import {
  closeAll,
  closing,
  fixedUpstream,
  get,
  ok,
  rawCaller,
  secureListener,
  startPlane,
  upstream,
  viewOf,
} from './support.ts';

const certificates = testCertificates();
const { pem } = certificates;
beforeAll(() => {
  certificates.authority('ca');
  certificates.issue('web', 'DNS:web.bibby.com', 'ca');
});
afterAll(() => certificates.close());
afterEach(closeAll);

const secure = (changes: Partial<ListenerTls> = {}) =>
  secureListener({ certificate: pem('web.crt'), key: pem('web.key') }, changes);

describe('when the rules of an entrance change', () => {
  it('the rest of a head comes too late, and what was held in a rush does not', async () => {
    const server = await fixedUpstream(ok('done'));
    const upstreams = [upstream([server.port])];
    const { plane, port } = await startPlane(viewOf(upstreams));
    const { rush } = (plane as unknown as { context: { rush: Rush } }).context;
    const [late, held] = [await rawCaller(port), await rawCaller(port)];
    for (const caller of [late, held]) {
      caller.send(get());
      await caller.until('done');
    }
    late.send('GET /late HTTP/1.1\r\n');
    const hold = rush.hold.bind(rush);
    const isHeld = new Promise<void>((resolve) => {
      rush.hold = (connection) => {
        hold(connection);
        resolve();
      };
    });
    await new Promise((resolve) => setTimeout(resolve, 50));
    rush.begin(server, 0);
    held.send(get('/held'));
    await isHeld;
    await plane.activate(viewOf(upstreams, [secure()], 2));
    rush.end(server, 0);
    late.send('Host: a\r\n\r\n');
    await late.untilClosed();
    await expect.poll(() => held.text.match(/done/g)?.length).toBe(2);
    expect(server.received.join('')).not.toMatch('/late');
  });

  it('handshakes that began before are of no use', async () => {
    const server = await fixedUpstream(ok('done'));
    const upstreams = [upstream([server.port])];
    const { plane, port } = await startPlane(viewOf(upstreams, [secure()]));
    const socket = net.connect({ host: '127.0.0.1', port });
    closing(() => void socket.destroy());
    await new Promise((resolve) => socket.once('connect', resolve));
    await new Promise((resolve) => setTimeout(resolve, 50));
    const clientCertificate = { mode: 'required', ca: pem('ca.crt') } as const;
    await plane.activate(viewOf(upstreams, [secure({ clientCertificate })], 2));
    const caller = tls.connect({ socket, rejectUnauthorized: false });
    caller.on('error', () => {});
    caller.resume();
    caller.write(get('/without-certificate'));
    await new Promise((resolve) => caller.once('close', resolve));
    expect(server.received.join('')).toBe('');
  });
});
