import http2 from 'node:http2';
import { afterEach, describe, expect, it } from 'vitest';
import {
  closeAll,
  fixedUpstream,
  ok,
  rawUpstream,
  secureListener,
  startPlane,
  upstream,
  viewOf,
} from '../support.ts';
import { answerOf, call, connect, testCertificate } from './calls.ts';
import { type FrameCaller, frameCaller, getFields, headers, Type, windowUpdate } from './frames.ts';

afterEach(closeAll);

const CHUNKED =
  'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 9\r\n\r\n';

const received = ({ frames }: FrameCaller): number => {
  let length = 0;
  for (const { type, payload } of frames) if (type === Type.Data) length += payload.length;
  return length;
};

describe('a caller with HTTP/2', () => {
  it('is served without TLS by prior knowledge', async () => {
    const server = await fixedUpstream(ok('books', 'X-A: 1\r\n'));
    const { port } = await startPlane(viewOf([upstream([server.port])]));
    const session = connect(port);
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) => call(session, { ':path': `/books/${i}` })),
    );
    for (const answer of answers) expect(answer).toMatchObject({ status: 200, text: 'books' });
    expect(answers[0]?.headers['x-a']).toBe('1');
    expect(server.received.join('')).toMatch(
      /GET \/books\/0 HTTP\/1\.1\r\nhost: api\.bibby\.com\r\n/,
    );
  });

  it('gets no field of one connection, and trailers', async () => {
    const server = await fixedUpstream(CHUNKED);
    const { port } = await startPlane(viewOf([upstream([server.port])]));
    const answer = await call(connect(port), { te: 'trailers' });
    expect(answer).toMatchObject({ status: 200, text: 'abc', trailers: { 'x-sum': '9' } });
    expect(answer.headers).not.toHaveProperty('transfer-encoding');
    expect(answer.headers).not.toHaveProperty('connection');
  });

  it('sends bodies, with and without a length', async () => {
    const server = await rawUpstream((socket, text) => {
      if (!text.endsWith('hello') && !text.endsWith('0\r\n\r\n')) return false;
      socket.write(ok('ok'));
      return true;
    });
    const { port } = await startPlane(viewOf([upstream([server.port])]));
    const session = connect(port);
    expect(await call(session, { ':method': 'POST', 'content-length': 5 }, 'hello')).toMatchObject({
      status: 200,
    });
    expect(await call(session, { ':method': 'POST' }, 'hello')).toMatchObject({ status: 200 });
    expect(server.received.join('')).toMatch(
      /content-length: 5\r\n\r\nhello[^]*transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n$/,
    );
  });

  it('gets answers of any size', async () => {
    const body = 'x'.repeat(1_000_000);
    const server = await fixedUpstream(ok(body));
    const { port } = await startPlane(viewOf([upstream([server.port])]));
    const answer = await call(connect(port));
    expect(answer.text.length).toBe(body.length);
  });

  it('may give its windows back in small pieces', async () => {
    const length = 20_000_000;
    const server = await fixedUpstream(ok('x'.repeat(length)));
    const { port } = await startPlane(viewOf([upstream([server.port])]));
    const caller = await frameCaller(port, { settings: [[4, 4_000_000]] });
    await caller.send(windowUpdate(0, 4_000_000));
    await caller.send(headers(1, getFields));
    const both = Buffer.concat([windowUpdate(0, 4096), windowUpdate(1, 4096)]);
    for (let given = 0; given < length; given += 4096) {
      await expect.poll(() => received(caller), { interval: 2 }).toBeGreaterThan(given);
      await caller.send(both);
    }
    expect(received(caller)).toBe(length);
    expect(caller.isClosed).toBe(false);
  });

  it('gets a whole answer that comes before its request has ended', async () => {
    const body = 'x'.repeat(500_000);
    const server = await fixedUpstream(ok(body));
    const { port } = await startPlane(viewOf([upstream([server.port])]));
    const stream = connect(port).request({ ':method': 'POST', ':path': '/' });
    stream.write('more to come');
    const answer = await answerOf(stream);
    expect(answer).toMatchObject({ status: 200, code: 0 });
    expect(answer.text.length).toBe(body.length);
  });

  it.each(['HEAD', 'GET'])('gets an answer without body to %s', async (method) => {
    const server = await fixedUpstream('HTTP/1.1 304 Not Modified\r\netag: "1"\r\n\r\n');
    const { port } = await startPlane(viewOf([upstream([server.port])]));
    const answer = await call(connect(port), { ':method': method });
    expect(answer).toMatchObject({ status: 304, text: '', code: 0 });
  });

  it.each(['content-length: 10\r\n\r\nabc', 'transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n'])(
    'gets a reset for an answer that breaks off, %s',
    async (head) => {
      const server = await rawUpstream((socket) => {
        socket.write(`HTTP/1.1 200 OK\r\n${head}`);
        setTimeout(() => socket.destroy(), 20);
        return true;
      });
      const { port } = await startPlane(viewOf([upstream([server.port])]));
      const answer = await call(connect(port));
      expect(answer.code).toBe(http2.constants.NGHTTP2_INTERNAL_ERROR);
    },
  );

  it('keeps its connection, however many answers break off', async () => {
    const server = await rawUpstream((socket) => {
      socket.end('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc');
      return true;
    });
    const { port } = await startPlane(viewOf([upstream([server.port])]));
    const session = connect(port);
    for (let i = 0; i < 24; i++) {
      const answers = await Promise.all(Array.from({ length: 50 }, () => call(session)));
      for (const { status, text } of answers)
        expect({ status, text }).toEqual({ status: 200, text: 'abc' });
    }
    expect(session.closed).toBe(false);
  });

  it('that goes away takes its request with it', async () => {
    let closed = 0;
    const server = await rawUpstream((socket) => {
      socket.on('close', () => closed++);
      return true;
    });
    const { port } = await startPlane(viewOf([upstream([server.port])]));
    const session = connect(port);
    const stream = session.request({ ':path': '/' });
    stream.on('error', () => {});
    await expect.poll(() => server.connections).toBe(1);
    stream.close(http2.constants.NGHTTP2_CANCEL);
    await expect.poll(() => closed).toBe(1);
  });

  it('is told what is wrong with it, and goes on', async () => {
    const server = await fixedUpstream(ok('ok'));
    const { port } = await startPlane(viewOf([upstream([server.port])]));
    const session = connect(port);
    const bad = await call(session, { ':path': '/a%00b' });
    expect(bad.status).toBe(400);
    expect(JSON.parse(bad.text)).toMatchObject({ error: 'Bad Request' });
    expect((await call(session, { host: 'evil.com' })).status).toBe(400);
    expect((await call(session, { host: 'API.bibby.com' })).status).toBe(200);
    expect((await call(session, { 'x-user_id': '1', 'x_forwarded.for': '1' })).status).toBe(400);
    expect((await call(session, { 'x-big': 'x'.repeat(62_000) })).status).toBe(431);
    expect((await call(session)).status).toBe(200);
  });

  it('says its cookies in pieces', async () => {
    const server = await fixedUpstream(ok('ok'));
    const { port } = await startPlane(viewOf([upstream([server.port])]));
    await call(connect(port), { cookie: ['a=1', 'b=2'] });
    expect(server.received[0]).toContain('cookie: a=1; b=2\r\n');
  });

  it('is told to go when the listener drains, and finishes what is under way', async () => {
    const server = await rawUpstream((socket) => {
      setTimeout(() => socket.write(ok('late')), 100);
      return true;
    });
    const { port, plane } = await startPlane(viewOf([upstream([server.port])]));
    const session = connect(port);
    let goaway = -1;
    session.on('goaway', (code) => {
      goaway = code;
    });
    const answer = call(session);
    await expect.poll(() => server.connections).toBe(1);
    const drained = plane.drain(10_000);
    expect((await answer).text).toBe('late');
    expect(goaway).toBe(0);
    await drained;
    await expect.poll(() => session.closed).toBe(true);
  });

  it('holds an answer back that it does not read', async () => {
    let sent = 0;
    const server = await rawUpstream((socket) => {
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n');
      const more = () => {
        while (sent < 100_000_000) {
          sent += 65_536;
          if (!socket.write(Buffer.alloc(65_536))) return;
        }
      };
      socket.on('drain', more);
      more();
      return true;
    });
    const { port } = await startPlane(viewOf([upstream([server.port])]));
    const stream = connect(port).request({ ':path': '/' });
    stream.on('error', () => {});
    stream.pause();
    await expect.poll(() => sent).toBeGreaterThan(0);
    let before = -1;
    await expect
      .poll(
        () => {
          const isStill = before === sent;
          before = sent;
          return isStill;
        },
        { interval: 300, timeout: 20_000 },
      )
      .toBe(true);
    expect(sent).toBeLessThan(50_000_000);
  });

  it('may ask on a TLS listener', async () => {
    const server = await fixedUpstream(ok('secret'));
    const { port } = await startPlane(
      viewOf(
        [upstream([server.port])],
        [secureListener(testCertificate(), { alpn: ['h2', 'http/1.1'] })],
      ),
    );
    const session = connect(port, { scheme: 'https', rejectUnauthorized: false });
    const answer = await answerOf(session.request({ ':path': '/', ':authority': 'api.bibby.com' }));
    expect(answer).toMatchObject({ status: 200, text: 'secret' });
    expect(session.alpnProtocol).toBe('h2');
  });
});
