import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';
import { isRefusedAddress } from '#adapters/web-http/refused-address.ts';
import { createWeb, type WebOptions } from '#adapters/web-http/web.ts';
import type { Web, WebRequest } from '#engine/ports/web.ts';

let server: Server | undefined;
let web: Web | undefined;
afterEach(async () => {
  await web?.close();
  server?.closeAllConnections();
  server?.close();
});

const serve = async (listener: RequestListener) => {
  server = createServer(listener);
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/ask`;
};

const asking = (url: string, rest: Partial<WebRequest> = {}, options: WebOptions = {}) => {
  web ??= createWeb(options);
  return web.ask({ method: 'GET', url, timeoutMs: 5000, maxBytes: 1000, ...rest });
};

afterEach(() => {
  web = undefined;
});

describe('asking an address', () => {
  it('brings the whole answer, whatever its status', async () => {
    const url = await serve((_request, response) =>
      response.writeHead(403, { 'X-Why': ['a', 'b'], 'set-cookie': ['c=1', 'd=2'] }).end('not you'),
    );
    await expect(asking(url)).resolves.toMatchObject({
      status: 403,
      headers: { 'x-why': 'a, b' },
      setCookies: ['c=1', 'd=2'],
      body: 'not you',
    });
  });

  it('sends what it is given', async () => {
    let seen = '';
    const url = await serve((request, response) => {
      seen = `${request.method} ${String(request.headers['x-a'])} `;
      request.on('data', (chunk) => {
        seen += String(chunk);
      });
      request.on('end', () => response.end());
    });
    await asking(url, { method: 'POST', headers: { 'x-a': '1' }, body: 'token=t' });
    expect(seen).toBe('POST 1 token=t');
  });

  it('does not follow a redirect', async () => {
    const url = await serve((_request, response) =>
      response.writeHead(302, { location: '/x' }).end(),
    );
    await expect(asking(url)).resolves.toMatchObject({ status: 302, headers: { location: '/x' } });
  });

  it('stops reading what is too large', async () => {
    const url = await serve((_request, response) => response.end(Buffer.alloc(1024 * 1024)));
    await expect(asking(url)).rejects.toThrow('answered more than 1000 bytes');
  });

  it('stops unpacking what is too large', async () => {
    const bomb = gzipSync(Buffer.alloc(200_000));
    const url = await serve((_request, response) =>
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb),
    );
    await expect(asking(url)).rejects.toThrow('answered more than 1000 bytes');
  });

  it('unpacks what is not too large', async () => {
    const url = await serve((_request, response) =>
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('hello')),
    );
    await expect(asking(url)).resolves.toMatchObject({ body: 'hello' });
  });

  it('gives up on an answer that drips', async () => {
    const url = await serve((_request, response) => void response.write('{'));
    await expect(asking(url, { timeoutMs: 100 })).rejects.toThrow('answered nothing within 100 ms');
  });

  it('says that nobody listens', async () => {
    const url = await serve(() => {});
    await new Promise((resolve) => server?.close(resolve));
    await expect(asking(url)).rejects.toThrow('ECONNREFUSED');
  });

  it.each([
    'http://169.254.169.254/latest',
    'http://[fe80::1]/',
    'http://[::ffff:169.254.169.254]/',
    'http://0xa9.0xfe.0xa9.0xfe/',
    'file:///etc/passwd',
    'http://0.0.0.0/',
    'http://me:secret@127.0.0.1/',
    'nonsense',
  ])('refuses %s', async (url) => {
    await expect(asking(url)).rejects.toThrow(/refused|only http|must not|not an address/);
  });

  it('refuses a name that leads to a refused address', async () => {
    await expect(asking('http://localhost:1/', {}, { allow: () => false })).rejects.toThrow(
      'localhost resolves to a refused address',
    );
  });
});

describe('an origin that is out of order', () => {
  const breaker = { volumeThreshold: 3, resetMs: 60_000 };

  it('is left alone after a few failures', async () => {
    let asked = 0;
    const url = await serve((request) => {
      asked += 1;
      request.socket.destroy();
    });
    for (let i = 0; i < 4; i += 1)
      await expect(asking(url, { method: 'POST' }, { breaker })).rejects.toThrow();
    const before = asked;
    await expect(asking(url, { method: 'POST' })).rejects.toThrow('left alone for a moment');
    expect(asked).toBe(before);
  });

  it('is still heard when it says so itself', async () => {
    const url = await serve((_request, response) => response.writeHead(503).end('later'));
    await expect(asking(url, {}, { breaker })).resolves.toMatchObject({ status: 503 });
  });

  it('is asked again later', async () => {
    let isBroken = true;
    const url = await serve((_request, response) => response.writeHead(isBroken ? 503 : 200).end());
    const options = { breaker: { volumeThreshold: 1, resetMs: 50 } };
    await asking(url, {}, options);
    isBroken = false;
    await expect
      .poll(() => asking(url).then(({ status }) => status, String), { timeout: 10_000 })
      .toBe(200);
  });

  it('is not one whose callers lose interest', async () => {
    let cut = 0;
    let answers = false;
    const url = await serve((request, response) => {
      if (answers) response.end('here');
      else request.once('close', () => (cut += 1));
    });
    for (let i = 0; i < 5; i += 1) {
      const interest = new AbortController();
      const asked = asking(url, { signal: interest.signal }, { breaker });
      setTimeout(() => interest.abort(), 10);
      await expect(asked).rejects.toThrow('nobody waits for the answer any more');
    }
    await expect.poll(() => cut).toBe(5);
    answers = true;
    await expect(asking(url, { signal: new AbortController().signal })).resolves.toMatchObject({
      body: 'here',
    });
  });

  it('is not one that refuses its callers', async () => {
    let asked = 0;
    const url = await serve((_request, response) => {
      asked += 1;
      response.writeHead(asked % 2 ? 500 : 401).end();
    });
    for (let i = 0; i < 20; i += 1) await asking(url, {}, { breaker });
    expect(asked).toBe(20);
  });
});

describe('refused addresses', () => {
  it.each([
    ['169.254.169.254', true],
    ['::ffff:169.254.169.254', true],
    ['fe80::1', true],
    ['100.100.100.200', true],
    ['168.63.129.16', true],
    ['fd20:ce::254', true],
    ['::169.254.169.254', true],
    ['64:ff9b::169.254.169.254', true],
    ['2002:a9fe:a9fe::1', true],
    ['nonsense', true],
    ['::1', false],
    ['64:ff9b::192.0.2.1', false],
    ['127.0.0.1', false],
    ['10.0.0.1', false],
    ['2001:db8::1', false],
  ])('%s: %s', (address, refused) => {
    expect(isRefusedAddress(address)).toBe(refused);
  });
});
