// Clients that others wrote, in front of the proxy.
import { writeFileSync } from 'node:fs';
import http from 'node:http';
import type net from 'node:net';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { Client, Pool } from 'undici';
import { afterEach, describe, expect, it } from 'vitest';
import {
  closeAll,
  closing,
  startPlane,
  upstream,
  viewOf,
} from '#test/adapters/dataplane-node/support.ts';
import { folder, needs, run } from './programs.ts';

afterEach(closeAll);

/** Answers with method, length of the body and what else matters. */
const nodeServer = async (): Promise<number> => {
  const server = http.createServer((request, response) => {
    let bytes = 0;
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
    });
    request.on('end', () => {
      const { method, url, headers } = request;
      response.setHeader('content-type', 'application/json');
      response.setHeader('etag', '"v1"');
      if (headers['if-none-match'] === '"v1"') response.writeHead(304).end();
      else if (url?.startsWith('/empty')) response.writeHead(204).end();
      else if (url?.startsWith('/chunks')) {
        response.write('one ');
        setTimeout(() => response.end('two'), 5);
      } else response.end(JSON.stringify({ method, bytes, url }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as net.AddressInfo).port;
};

const proxied = async (): Promise<string> => {
  const { port } = await startPlane(viewOf([upstream([await nodeServer()])]));
  return `http://127.0.0.1:${port}`;
};

describe('curl', () => {
  it('asks in every way', async (context) => {
    needs(context, 'curl');
    const url = await proxied();
    const at = folder();
    const large = join(at, 'large');
    writeFileSync(large, Buffer.alloc(2_000_000, 'x'));
    const curl = (...args: string[]) => run('curl', '-sS', '--max-time', '30', ...args);
    expect(await curl(`${url}/a`, `${url}/b`, `${url}/c`)).toMatch(/"\/a".*"\/b".*"\/c"/);
    expect(await curl('--http1.0', `${url}/a`)).toContain('"GET"');
    expect(await curl('-I', `${url}/a`)).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(await curl('-d', 'x=y', `${url}/a`)).toContain('"POST","bytes":3');
    expect(await curl('-T', large, `${url}/a`)).toContain('"PUT","bytes":2000000');
    // More than a megabyte, so curl asks before it sends.
    expect(await curl('-v', '--data-binary', `@${large}`, `${url}/a`, '--stderr', '-')).toMatch(
      /100 Continue[^]*"POST","bytes":2000000/,
    );
    expect(
      await curl('-H', 'Transfer-Encoding: chunked', '--data-binary', `@${large}`, `${url}/a`),
    ).toContain('"bytes":2000000');
    expect(await curl(`${url}/chunks`)).toBe('one two');
    expect(await curl('--http1.0', `${url}/chunks`)).toBe('one two');
    const codes = ['-o', join(at, 'out'), '-w', '%{http_code} %{size_download}'];
    expect(await curl(...codes, '-H', 'If-None-Match: "v1"', `${url}/a`)).toBe('304 0');
    expect(await curl(...codes, `${url}/empty`)).toBe('204 0');
    expect(await curl('--path-as-is', ...codes, `${url}/a%2fb`)).toMatch(/^400 /);
    expect(await curl('--path-as-is', `${url}/a/../b//c`)).toContain('"url":"/b/c"');
    expect(await curl('-X', 'OPTIONS', '--request-target', '*', url)).toContain('"OPTIONS"');
    expect(await curl('--proxy', url, 'http://api.bibby.com/x?y')).toContain('"url":"/x?y"');
  });
});

describe('ab', () => {
  for (const [name, flags] of [
    ['with keep-alive', ['-k']],
    ['without keep-alive', []],
    ['with bodies', ['-k', '-p']],
  ] as const)
    it(`counts no failure ${name}`, async (context) => {
      needs(context, 'ab');
      const url = await proxied();
      const body = join(folder(), 'body');
      writeFileSync(body, Buffer.alloc(10_000, 'x'));
      const args = flags.flatMap((flag) => (flag === '-p' ? [flag, body] : [flag]));
      const text = await run('ab', '-q', '-l', '-n', '400', '-c', '20', ...args, `${url}/books`);
      expect(text).toMatch(/Complete requests: +400\n/);
      expect(text).toMatch(/Failed requests: +0\n/);
      expect(text).not.toContain('Non-2xx');
      if (flags.length > 0) expect(text).toMatch(/Keep-Alive requests: +400\n/);
    });
});

describe('wrk', () => {
  it('counts no failure', async (context) => {
    needs(context, 'wrk');
    const text = await run('wrk', '-t1', '-c32', '-d1s', `${await proxied()}/books`);
    expect(Number(/(\d+) requests in/.exec(text)?.[1])).toBeGreaterThan(10);
    expect(text).not.toMatch(/Non-2xx|Socket errors/);
  });
});

describe('undici', () => {
  it('pipelines and streams', async () => {
    const url = await proxied();
    const client = new Client(url, { pipelining: 8 });
    closing(() => client.destroy());
    const urls = Array.from({ length: 40 }, (_, i) => `/${i % 3 === 0 ? 'chunks' : 'a'}?${i}`);
    const texts = await Promise.all(
      urls.map(async (path) => (await client.request({ path, method: 'GET' })).body.text()),
    );
    for (const [i, path] of urls.entries())
      expect(texts[i]).toContain(path.startsWith('/chunks') ? 'one two' : `"url":"${path}"`);
    const body = Readable.from(
      (async function* () {
        for (let i = 0; i < 50; i++) yield Buffer.alloc(10_000);
      })(),
    );
    const sent = await client.request({ path: '/a', method: 'POST', body });
    expect(await sent.body.json()).toMatchObject({ method: 'POST', bytes: 500_000 });
  });

  it('keeps a pool busy', async () => {
    const pool = new Pool(await proxied(), { connections: 10 });
    closing(() => pool.destroy());
    const statuses = await Promise.all(
      Array.from({ length: 200 }, async (_, i) => {
        const answer = await pool.request({ path: `/${i % 5 === 0 ? 'empty' : i}`, method: 'GET' });
        await answer.body.dump();
        return answer.statusCode;
      }),
    );
    expect(new Set(statuses)).toEqual(new Set([200, 204]));
  });
});

describe('an agent of node:http', () => {
  it('uses its connections again', async () => {
    const url = await proxied();
    const agent = new http.Agent({ keepAlive: true, maxSockets: 2 });
    closing(() => agent.destroy());
    const ports = new Set<number | undefined>();
    const ask = (i: number) =>
      new Promise<string>((resolve, reject) => {
        const headers = { expect: '100-continue', 'content-length': 5 };
        const request = http.request(`${url}/${i}`, { agent, method: 'PUT', headers }, (answer) => {
          ports.add(answer.socket.localPort);
          let text = '';
          answer.on('data', (chunk) => {
            text += chunk;
          });
          answer.on('end', () => resolve(text));
        });
        request.on('continue', () => request.end('hello'));
        request.on('error', reject);
        request.flushHeaders();
      });
    const texts = await Promise.all(Array.from({ length: 30 }, (_, i) => ask(i)));
    for (const text of texts) expect(text).toContain('"PUT","bytes":5');
    expect(ports.size).toBe(2);
  });
});
