import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  closeAll,
  get,
  listener,
  ok,
  type RawUpstream,
  rawCaller,
  rawUpstream,
  startPlane,
  upstream,
  viewOf,
} from './support.ts';

let server: RawUpstream;
let port = 0;

beforeAll(async () => {
  server = await rawUpstream((socket, text) => {
    if (!text.includes('\r\n\r\n')) return false;
    socket.write(ok());
    return true;
  });
  const limits = {
    ...listener().limits,
    maxHeaderBytes: 4096,
    maxTargetBytes: 1024,
    maxHeaders: 30,
  };
  ({ port } = await startPlane(viewOf([upstream([server.port])], [listener({ limits })]), {
    pipeline: { isProtectedHeader: (name) => name.replaceAll(/[^a-z0-9]/g, '-') === 'x-user-id' },
  }));
});
afterAll(closeAll);

const seen = (): string => server.received.join('');

/** Status of the answer; the connection is closed after it. */
const refusal = async (text: string): Promise<number> => {
  const caller = await rawCaller(port);
  caller.send(text);
  const answer = await caller.untilClosed();
  expect(answer).toMatch(/connection: close\r\n/);
  expect(answer).toMatch(/\{"error":"[^"]+","reason":"[^"]+","requestId":"[^"]+"\}$/);
  return Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1]);
};

const head = (...lines: string[]): string => `${lines.join('\r\n')}\r\n\r\n`;

describe('what is ambiguous', () => {
  it.each<[string, number, string]>([
    [
      'CL.TE',
      400,
      `${head('POST / HTTP/1.1', 'Host: a', 'Content-Length: 6', 'Transfer-Encoding: chunked')}0\r\n\r\nG`,
    ],
    [
      'TE.TE',
      400,
      `${head('POST / HTTP/1.1', 'Host: a', 'Transfer-Encoding: chunked', 'Transfer-encoding: x')}0\r\n\r\n`,
    ],
    ['an obs-fold', 400, head('GET / HTTP/1.1', 'Host: a', 'X: 1', ' y')],
    ['bare line feeds', 400, 'GET / HTTP/1.1\nHost: a\n\n'],
    ['a bare carriage return', 400, 'GET / HTTP/1.1\r\nHost: a\rX: 1\r\n\r\n'],
    ['two hosts', 400, head('GET / HTTP/1.1', 'Host: a', 'Host: b')],
    ['no host', 400, head('GET / HTTP/1.1')],
    ['a host with credentials', 400, head('GET / HTTP/1.1', 'Host: a@evil')],
    ['a host with a path', 400, head('GET / HTTP/1.1', 'Host: a/../x')],
    ['a list of hosts', 400, head('GET / HTTP/1.1', 'Host: a,b')],
    ['another authority in the target', 400, head('GET http://evil/ HTTP/1.1', 'Host: a')],
    ['another scheme in the target', 400, head('GET https://a/ HTTP/1.1', 'Host: a')],
    ['a foreign scheme', 400, head('GET file:///etc/passwd HTTP/1.1', 'Host: a')],
    ['an asterisk that is not OPTIONS', 400, head('GET * HTTP/1.1', 'Host: a')],
    ['CONNECT', 501, head('CONNECT a:443 HTTP/1.1', 'Host: a')],
    [
      'two authorizations',
      400,
      head('GET / HTTP/1.1', 'Host: a', 'Authorization: x', 'Authorization: x'),
    ],
    [
      'a protected header nominated',
      400,
      head('GET / HTTP/1.1', 'Host: a', 'Connection: X-User-ID'),
    ],
    [
      'an imitated forwarded-for',
      400,
      head('GET / HTTP/1.1', 'Host: a', 'X_Forwarded.For: 1.1.1.1'),
    ],
    ['an encoded slash', 400, head('GET /a%2fb HTTP/1.1', 'Host: a')],
    ['a fragment', 400, head('GET /#a HTTP/1.1', 'Host: a')],
    ['a NUL', 400, head('GET / HTTP/1.1', 'Host: a', 'X: \0')],
    ['a TLS hello', 400, '\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03'],
    [
      'an expectation',
      417,
      head('PUT / HTTP/1.1', 'Host: a', 'Expect: miracles', 'Content-Length: 3'),
    ],
    ['a long target', 414, head(`GET /${'a'.repeat(2000)} HTTP/1.1`, 'Host: a')],
    ['an endless target', 414, `GET /${'a'.repeat(3000)}`],
    ['large headers', 431, head('GET / HTTP/1.1', 'Host: a', `X: ${'a'.repeat(5000)}`)],
    ['endless headers', 431, `GET / HTTP/1.1\r\nHost: a\r\nX: ${'a'.repeat(5000)}`],
    [
      'many headers',
      431,
      head('GET / HTTP/1.1', 'Host: a', ...Array.from({ length: 40 }, (_, i) => `X-${i}: 1`)),
    ],
    [
      'a gzip transfer coding',
      501,
      head('POST / HTTP/1.1', 'Host: a', 'Transfer-Encoding: gzip, chunked'),
    ],
    ['HTTP/1.2', 505, head('GET / HTTP/1.2', 'Host: a')],
  ])('%s is answered with %i, and nothing reaches the upstream', async (_, status, text) => {
    const before = seen();
    expect(await refusal(text)).toBe(status);
    expect(seen()).toBe(before);
  });

  it('in a chunked body breaks the request off on both sides', async () => {
    const caller = await rawCaller(port);
    caller.send(
      `${head('POST /broken HTTP/1.1', 'Host: a', 'Transfer-Encoding: chunked')}5\r\nhelloGET / HTTP/1.1\r\n\r\n`,
    );
    const answer = await caller.untilClosed();
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(seen()).not.toMatch(/GET \/ HTTP\/1\.1[^]*$/.exec(answer)?.[0] ?? /helloGET/);
  });
});

describe('a header that only Weir may send', () => {
  it.each(['X-User-ID', 'x-user-id', 'X_User_ID', 'x.user.id', 'X-USER_id', 'X~User~ID'])(
    '%s never reaches the upstream',
    async (name) => {
      const caller = await rawCaller(port);
      caller.send(get('/spoof', `${name}: mallory-${name}\r\nConnection: close\r\n`));
      expect(await caller.untilClosed()).toMatch(/^HTTP\/1\.1 200 /);
      expect(seen()).not.toContain(`mallory-${name}`);
    },
  );

  it('does not reach it as a trailer', async () => {
    const caller = await rawCaller(port);
    caller.send(
      `${head('POST /trailer HTTP/1.1', 'Host: a', 'Transfer-Encoding: chunked', 'Connection: close')}1\r\nx\r\n0\r\nX-User-ID: mallory-trailer\r\n\r\n`,
    );
    expect(await caller.untilClosed()).toMatch(/^HTTP\/1\.1 200 /);
    expect(seen()).not.toContain('mallory-trailer');
  });

  it('cannot be faked about the way the request came', async () => {
    const caller = await rawCaller(port);
    caller.send(
      get(
        '/way',
        'X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\nForwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nConnection: close\r\n',
      ),
    );
    await caller.untilClosed();
    const sent = seen().slice(seen().indexOf('GET /way'));
    expect(sent).not.toMatch(/6\.6\.6\.6|evil|https/);
    expect(sent.match(/x-forwarded-for: 127\.0\.0\.1/g)).toHaveLength(1);
  });
});

describe('the path', () => {
  it('that the upstream sees is the canonical one', async () => {
    const caller = await rawCaller(port);
    caller.send(get('/a/%2e%2e//books/./%7e1?x=/../y', 'Connection: close\r\n'));
    await caller.untilClosed();
    expect(seen()).toContain('GET /books/~1?x=/../y HTTP/1.1\r\n');
  });
});
