// nginx behind the proxy: what a careful and widespread server does.
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';
import {
  closeAll,
  closing,
  get,
  rawCaller,
  startPlane,
  upstream,
  viewOf,
} from '#test/adapters/dataplane-node/support.ts';
import { folder, needs, startNginx } from './programs.ts';

afterEach(closeAll);

const PAGE = 'All books of the library.\n'.repeat(200);
const LARGE = Buffer.from(Array.from({ length: 3_000_000 }, (_, i) => (i * 7) & 255));

const directives = `
  location / { }
  location /gzip/ { alias ROOT/; gzip on; gzip_min_length 0; gzip_types *; }
  location /moved { return 301 /page.txt; }
  location /gone { return 410; }
  location /none { return 204; }
  location /upload { client_max_body_size 1m; proxy_pass http://unix:ROOT/nobody; }
  location /last { keepalive_timeout 0; return 200 last; }
  location /name { return 200 "$host $http_x_forwarded_for $request_uri"; }
  keepalive_requests 5;`;

interface Got {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
}

const site = async () => {
  const root = folder();
  writeFileSync(join(root, 'page.txt'), PAGE);
  writeFileSync(join(root, 'large'), LARGE);
  const nginx = await startNginx(root, directives.replaceAll('ROOT', root));
  const { port, plane } = await startPlane(viewOf([upstream([nginx])]));
  const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });
  closing(() => agent.destroy());
  const ask = (path: string, options: http.RequestOptions = {}, body?: Buffer): Promise<Got> =>
    new Promise((resolve, reject) => {
      const request = http.request(
        { port, host: '127.0.0.1', path, agent, ...options },
        (answer) => {
          const runs: Buffer[] = [];
          answer.on('data', (run: Buffer) => runs.push(run));
          answer.on('end', () => {
            if (!answer.complete) reject(new Error('broken off'));
            const { statusCode: status = 0, headers } = answer;
            resolve({ status, headers, body: Buffer.concat(runs) });
          });
        },
      );
      request.on('error', reject);
      request.end(body);
    });
  return { ask, port, plane };
};

describe('nginx behind the proxy', () => {
  it('is heard right, whatever it answers', async (context) => {
    needs(context, 'nginx');
    const { ask } = await site();
    const page = await ask('/page.txt');
    expect([page.status, page.body.toString()]).toEqual([200, PAGE]);
    const head = await ask('/page.txt', { method: 'HEAD' });
    expect([head.status, head.headers['content-length'], head.body.length]).toEqual([
      200,
      String(PAGE.length),
      0,
    ]);
    const headers = { 'if-none-match': page.headers.etag ?? '' };
    const same = await ask('/page.txt', { headers });
    expect([same.status, same.body.length]).toEqual([304, 0]);
    const part = await ask('/page.txt', { headers: { range: 'bytes=4-8' } });
    expect([part.status, part.body.toString()]).toEqual([206, 'books']);
    expect(part.headers['content-range']).toBe(`bytes 4-8/${PAGE.length}`);
    const parts = await ask('/page.txt', { headers: { range: 'bytes=0-2,4-8' } });
    expect(parts.headers['content-type']).toMatch(/^multipart\/byteranges/);
    expect((await ask('/page.txt', { headers: { range: 'bytes=999999-' } })).status).toBe(416);
    const small = await ask('/gzip/page.txt', { headers: { 'accept-encoding': 'gzip' } });
    expect(small.headers).toMatchObject({
      'content-encoding': 'gzip',
      'transfer-encoding': 'chunked',
    });
    expect(gunzipSync(small.body).toString()).toBe(PAGE);
    const statuses = ['/moved', '/gone', '/none', '/absent'].map(
      async (path) => (await ask(path)).status,
    );
    expect(await Promise.all(statuses)).toEqual([301, 410, 204, 404]);
    expect((await ask('/name?x=%2F')).body.toString()).toBe('127.0.0.1 127.0.0.1 /name?x=%2F');
  });

  it('closes its connections when it likes, and no answer is lost', async (context) => {
    needs(context, 'nginx');
    const { ask } = await site();
    const answers = await Promise.all(
      Array.from({ length: 120 }, (_, i) =>
        ask(i % 4 === 0 ? '/last' : i % 4 === 1 ? '/large' : '/page.txt'),
      ),
    );
    const digest = (bytes: Buffer) => createHash('sha1').update(bytes).digest('hex');
    const expected = ['last', LARGE, PAGE, PAGE].map((text) => digest(Buffer.from(text)));
    expect(answers.map(({ body }) => digest(body))).toEqual(answers.map((_, i) => expected[i % 4]));
  });

  it('refuses a body that is too large before it has come', async (context) => {
    needs(context, 'nginx');
    const { port, plane } = await site();
    const caller = await rawCaller(port);
    caller.send('PUT /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\nx');
    expect(await caller.untilClosed()).toMatch(/^HTTP\/1\.1 413 [^]*connection: close\r\n/);
    while (plane.stats().exchanges > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  });

  it('answers pipelined requests in order', async (context) => {
    needs(context, 'nginx');
    const { port } = await site();
    const caller = await rawCaller(port);
    caller.send(Array.from({ length: 12 }, (_, i) => get(`/name?${i}-`)).join(''));
    const text = await caller.until('/name?11-');
    const order = [...text.matchAll(/\/name\?(\d+)-/g)].map(([, number]) => Number(number));
    expect(order).toEqual(Array.from({ length: 12 }, (_, i) => i));
  });
});
