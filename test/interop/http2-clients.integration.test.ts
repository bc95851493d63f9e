// Clients that others wrote, and h2spec's cases of RFC 9113 and 7541, in front of the proxy, without TLS and with it.
import http from 'node:http';
import type net from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { testCertificate } from '#test/adapters/dataplane-node/http2/calls.ts';
import {
  closeAll,
  closing,
  listener,
  secureListener,
  startPlane,
  upstream,
  viewOf,
} from '#test/adapters/dataplane-node/support.ts';
import { needs, run } from './programs.ts';

afterEach(closeAll);

const LARGE = 300_000;

/** Says how much it was sent, or sends a lot. */
const nodeServer = async (): Promise<number> => {
  const server = http.createServer((request, response) => {
    let bytes = 0;
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
    });
    request.on('end', () =>
      response.end(request.url === '/large' ? 'x'.repeat(LARGE) : `${request.method} ${bytes}`),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as net.AddressInfo).port;
};

const tlsListener = () => secureListener(testCertificate(), { alpn: ['h2', 'http/1.1'] });

const proxied = async (scheme: string): Promise<string> => {
  const listeners = scheme === 'https' ? [tlsListener()] : [listener()];
  const { port } = await startPlane(viewOf([upstream([await nodeServer()])], listeners));
  return `${scheme}://127.0.0.1:${port}`;
};

describe.each(['http', 'https'])('over %s', (scheme) => {
  it('h2load has every request answered, over many streams', async (context) => {
    needs(context, 'h2load');
    const url = await proxied(scheme);
    const few = await run('h2load', '-n', '600', '-c', '5', '-m', '20', `${url}/a`);
    expect(few).toMatch(/ 600 succeeded, 0 failed, 0 errored, 0 timeout/);
    const large = await run('h2load', '-n', '30', '-c', '2', '-m', '10', `${url}/large`);
    expect(large).toMatch(/ 30 succeeded, 0 failed, 0 errored, 0 timeout/);
    expect(large).toContain('status codes: 30 2xx');
  });

  it('nghttp asks for several things at once, and sends a body', async (context) => {
    needs(context, 'nghttp');
    const url = await proxied(scheme);
    const many = await run('nghttp', '-y', '-m', '20', `${url}/a`);
    expect(many).toBe('GET 0'.repeat(20));
    expect((await run('nghttp', '-y', `${url}/large`)).length).toBe(LARGE);
    const sent = await run('nghttp', '-y', '-d', import.meta.filename, '-H', ':method: PUT', url);
    expect(sent).toMatch(/^PUT [1-9][0-9]{3}$/);
  });

  it('h2spec finds that the proxy keeps to the protocol', async (context) => {
    needs(context, 'h2spec');
    const url = new URL(await proxied(scheme));
    const tls = scheme === 'https' ? ['--tls', '--insecure'] : [];
    // A plain port answers whoever does not begin with HTTP/2 in HTTP/1.1, so its case of a wrong preface is not asked there.
    const sections = scheme === 'https' ? ['generic', 'hpack', 'http2'] : ['generic', 'hpack'];
    const report = await run('h2spec', ...tls, '--port', url.port, ...sections);
    expect(report).toMatch(/ tests, [0-9]+ passed, 0 skipped, 0 failed/);
  });
});
