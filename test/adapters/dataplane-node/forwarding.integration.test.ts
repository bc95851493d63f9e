import { afterEach, describe, expect, it } from 'vitest';
import {
  closeAll,
  fixedUpstream,
  get,
  ok,
  rawCaller,
  rawUpstream,
  startPlane,
  upstream,
  viewOf,
} from './support.ts';

afterEach(closeAll);

describe('forwarding', () => {
  it('passes a request on with a head of its own and the answer back', async () => {
    const server = await fixedUpstream(ok('hello', 'x-served: yes\r\nkeep-alive: timeout=5\r\n'));
    const { port } = await startPlane(viewOf([upstream([server.port])]));
    const caller = await rawCaller(port);
    caller.send(
      get('/books?q=1', 'X-Custom:   padded  \r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\n'),
    );
    const answer = await caller.until('hello');
    expect(answer).toBe('HTTP/1.1 200 OK\r\nx-served: yes\r\ncontent-length: 5\r\n\r\nhello');
    const sent = server.received[0] ?? '';
    expect(sent).toMatch(/^GET \/books\?q=1 HTTP\/1\.1\r\nhost: api\.bibby\.com\r\n/);
    expect(sent).toContain('X-Custom: padded\r\n');
    expect(sent).toContain('x-forwarded-for: 127.0.0.1\r\n');
    expect(sent).toContain('x-forwarded-proto: http\r\n');
    expect(sent).toContain('x-forwarded-host: api.bibby.com\r\n');
    expect(sent).toMatch(/x-request-id: [0-9a-f-]{36}\r\n/);
    expect(sent).not.toMatch(/x-hop|connection/i);
  });

  it('keeps connections on both sides', async () => {
    const server = await fixedUpstream(ok());
    const { port } = await startPlane(viewOf([upstream([server.port])]));
    const caller = await rawCaller(port);
    for (let i = 1; i <= 5; i++) {
      caller.send(get());
      await caller.until(new RegExp(`(ok[^]*){${i}}`));
    }
    expect(server.connections).toBe(1);
  });

  it('answers pipelined requests in order', async () => {
    const server = await rawUpstream((socket, text) => {
      const path = /^GET (\S+)/.exec(text)?.[1] ?? '';
      setTimeout(() => socket.write(ok(path)), path === '/1' ? 30 : 1);
      return true;
    });
    const { port } = await startPlane(viewOf([upstream([server.port])]));
    const caller = await rawCaller(port);
    caller.send(get('/1') + get('/2') + get('/3'));
    const text = await caller.until('/3');
    expect(text.match(/(?<=\n)\/[123]/g)).toEqual(['/1', '/2', '/3']);
  });

  it('streams a chunked request body and a chunked answer', async () => {
    const server = await rawUpstream((socket, text) => {
      if (!text.endsWith('0\r\n\r\n')) return false;
      socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n');
      setTimeout(() => socket.write('2;x=y\r\nde\r\n0\r\n\r\n'), 10);
      return true;
    });
    const { port } = await startPlane(viewOf([upstream([server.port])]));
    const caller = await rawCaller(port);
    caller.send(
      'POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4;ext\r\nwxyz\r\n',
    );
    setTimeout(() => caller.send('0\r\n\r\n'), 20);
    const text = await caller.until('0\r\n\r\n');
    expect(text).toBe(
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n',
    );
    expect(server.received[0]).toMatch(/transfer-encoding: chunked\r\n\r\n4\r\nwxyz\r\n0\r\n\r\n$/);
  });

  it('passes large bodies whole in both directions', async () => {
    const size = 3_000_000;
    const server = await rawUpstream((socket, text) => {
      const start = text.indexOf('\r\n\r\n') + 4;
      if (text.length - start < size) return false;
      socket.write(
        `HTTP/1.1 200 OK\r\ncontent-length: ${size}\r\n\r\n${text.slice(start)}`,
        'latin1',
      );
      return true;
    });
    const { port } = await startPlane(viewOf([upstream([server.port])]));
    const caller = await rawCaller(port);
    const body = Buffer.alloc(size, 'weir of books ').toString('latin1');
    caller.send(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${size}\r\n\r\n${body}`);
    await caller.until(/\r\n\r\n/);
    while (caller.text.length < size) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(caller.text.slice(caller.text.indexOf('\r\n\r\n') + 4) === body).toBe(true);
  });
});
