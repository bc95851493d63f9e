// What TLS has to hold at the edge: strong ciphers only, sessions that are worth no more than a handshake, certificates that change
// under load.
import { copyFileSync } from 'node:fs';
import https from 'node:https';
import { join } from 'node:path';
import tls from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { ListenerTls } from '#engine/model/snapshot.ts';
import { testCertificates } from './certificates.ts';
import {
  closeAll,
  closing,
  fixedUpstream,
  get,
  ok,
  secureListener,
  startPlane,
  upstream,
  viewOf,
} from './support.ts';

const certificates = testCertificates();
const { pem, folder } = certificates;
beforeAll(() => {
  for (const ca of ['ca', 'ca2']) certificates.authority(ca);
  for (const name of ['web', 'renewed']) certificates.issue(name, 'DNS:web.bibby.com', 'ca');
  certificates.issue('reader', 'URI:spiffe://bibby/ns/default/sa/reader', 'ca');
});
afterAll(() => certificates.close());
afterEach(closeAll);

const secure = (changes: Partial<ListenerTls> = {}) =>
  secureListener({ certificate: pem('web.crt'), key: pem('web.key') }, changes);
const asks = (mode: 'none' | 'optional' | 'required', ca = 'ca'): Partial<ListenerTls> => ({
  clientCertificate: { mode, ca: pem(`${ca}.crt`) },
});
const reader = () => ({ cert: pem('reader.crt'), key: pem('reader.key') });
const start = async (changes: Partial<ListenerTls> = {}) => {
  const server = await fixedUpstream(ok());
  const principals: (string | undefined)[] = [];
  const plans = [upstream([server.port])];
  const { plane, port } = await startPlane(viewOf(plans, [secure(changes)]), {
    handle: (request, forward) => {
      principals.push(request.peerPrincipal);
      return forward;
    },
  });
  let revision = 1;
  const change = (next: Partial<ListenerTls>) =>
    plane.activate(viewOf(plans, [secure(next)], ++revision));
  return { port, principals, change };
};

interface Visit {
  readonly answer: string;
  readonly isResumed: boolean;
  readonly cipher: string;
  readonly session: Buffer | undefined;
}

/** One request over a connection of its own. */
const visit = (port: number, options: tls.ConnectionOptions = {}): Promise<Visit> =>
  new Promise((resolve, reject) => {
    const socket = tls.connect({
      host: '127.0.0.1',
      port,
      ca: pem('ca.crt'),
      servername: 'web.bibby.com',
      ...options,
    });
    closing(() => void socket.destroy());
    let session: Buffer | undefined;
    socket.on('session', (fresh: Buffer) => (session = fresh));
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('closed without an answer')));
    socket.on('secureConnect', () => socket.write(get()));
    socket.on('data', (chunk) => {
      const answer = chunk.toString();
      const isResumed = socket.isSessionReused();
      resolve({ answer, isResumed, cipher: socket.getCipher().name, session });
    });
  });

describe('ciphers', () => {
  it.each([
    ['CBC', 'ECDHE-ECDSA-AES128-SHA256'],
    ['CBC with SHA-1', 'ECDHE-ECDSA-AES256-SHA'],
    ['CCM with a short tag', 'ECDHE-ECDSA-AES128-CCM8:@SECLEVEL=0'],
    ['no forward secrecy', 'AES128-GCM-SHA256'],
    ['no authentication', 'AECDH-AES128-SHA:@SECLEVEL=0'],
  ])('refused: %s', async (_, ciphers) => {
    const { port } = await start();
    const old = { maxVersion: 'TLSv1.2' as const, ciphers };
    await expect(visit(port, old)).rejects.toThrow(/handshake failure|alert/);
  });

  it.each(['ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-ECDSA-CHACHA20-POLY1305'])(
    'taken: %s',
    async (ciphers) => {
      const { port } = await start();
      expect((await visit(port, { maxVersion: 'TLSv1.2', ciphers })).cipher).toBe(ciphers);
    },
  );

  it('of TLS 1.3 only where policy says so', async () => {
    const { port } = await start({ minVersion: '1.3' });
    await expect(visit(port, { maxVersion: 'TLSv1.2' })).rejects.toThrow();
    expect((await visit(port)).cipher).toMatch(/^TLS_(AES|CHACHA20)/);
  });
});

describe.each(['TLSv1.2', 'TLSv1.3'] as const)('a session of %s', (maxVersion) => {
  const begun = async (mode: 'none' | 'optional' | 'required') => {
    const world = await start(asks(mode));
    const known = mode === 'none' ? {} : reader();
    const { session } = await visit(world.port, { maxVersion, ...known });
    if (!session) throw new Error('no session was offered');
    const again = (options: tls.ConnectionOptions = known) =>
      visit(world.port, { maxVersion, session, ...options });
    return { ...world, again };
  };

  it('is resumed, with the identity that it began with', async () => {
    const { again, principals } = await begun('required');
    expect(await again()).toMatchObject({ isResumed: true });
    expect(new Set(principals)).toEqual(new Set(['spiffe://bibby/ns/default/sa/reader']));
  });

  it('does not survive that callers are signed by somebody else now', async () => {
    const { again, change } = await begun('required');
    await change(asks('required', 'ca2'));
    await expect(again()).rejects.toThrow();
  });

  it('does not stand in for a certificate that is required now', async () => {
    const { again, change } = await begun('none');
    await change(asks('required'));
    await expect(again()).rejects.toThrow();
    expect(await again(reader())).toMatchObject({ isResumed: false });
  });

  it('that began without a certificate says so when one is optional', async () => {
    const { again, change, principals } = await begun('none');
    await change(asks('optional'));
    expect(await again({})).toMatchObject({ isResumed: false });
    expect(principals.at(-1)).toBeUndefined();
  });

  it('does not outlive the certificate that it began with', async () => {
    let now = Date.now();
    const server = await fixedUpstream(ok());
    const { port } = await startPlane(
      viewOf([upstream([server.port])], [secure(asks('required'))]),
      {},
      { clock: { now: () => now, monotonic: () => performance.now() } },
    );
    const { session } = await visit(port, { maxVersion, ...reader() });
    if (!session) throw new Error('no session was offered');
    now += 3 * 24 * 3_600_000;
    await expect(visit(port, { maxVersion, session, ...reader() })).rejects.toThrow();
  });
});

describe('certificate files', () => {
  it('renewed in place are shown soon, and nobody meets a closed door meanwhile', async () => {
    const install = (name: string) => {
      for (const kind of ['crt', 'key'])
        copyFileSync(join(folder, `${name}.${kind}`), join(folder, `live.${kind}`));
    };
    install('web');
    const { port } = await start({
      certificates: [
        { certificateFile: join(folder, 'live.crt'), keyFile: join(folder, 'live.key') },
      ],
    });
    const shown = new Set<string>();
    const failures: unknown[] = [];
    let isDone = false;
    const caller = async () => {
      while (!isDone)
        try {
          shown.add(await nameShown(port));
        } catch (error) {
          failures.push(error);
        }
    };
    const callers = Array.from({ length: 4 }, caller);
    await vi.waitFor(() => expect(shown).toContain('web'));
    // The watch has to have seen the first files before they change.
    await new Promise((resolve) => setTimeout(resolve, 200));
    install('renewed');
    await vi.waitFor(() => expect(shown).toContain('renewed'), { timeout: 20_000 });
    isDone = true;
    await Promise.all(callers);
    expect(failures).toEqual([]);
  });
});

/** Common name of the certificate, after a whole exchange. */
const nameShown = (port: number): Promise<string> =>
  new Promise((resolve, reject) => {
    const sent = https.get(
      { host: '127.0.0.1', port, ca: pem('ca.crt'), servername: 'web.bibby.com', agent: false },
      (response) => {
        const socket = response.socket as tls.TLSSocket;
        const name = String(socket.getPeerCertificate().subject.CN);
        response.resume();
        response.on('end', () => resolve(name));
        response.on('error', reject);
      },
    );
    sent.on('error', reject);
  });
