import http2 from 'node:http2';
import { afterEach, describe, expect, it } from 'vitest';
import type { Upstream } from '#engine/model/snapshot.ts';
import { closeAll, get, rawCaller, startPlane, upstream, viewOf } from '../support.ts';
import { answerOf, call, connect, type Service, service, testCertificate } from './calls.ts';

afterEach(closeAll);

const { constants } = http2;

const retry = {
  attempts: 2,
  on: ['connect-failure', 'refused-stream'],
  perTryTimeoutMs: 0,
  backoffMs: 1,
  budgetPercent: 100,
  minRetries: 10,
};

const planeFor = (services: readonly Service[], changes: Partial<Upstream> = {}, action = {}) =>
  startPlane(
    viewOf([
      upstream(
        services.map((each) => each.port),
        { protocol: 'http2', ...changes },
      ),
    ]),
    { action },
  );

const say = (text: string) => (stream: http2.ServerHttp2Stream) => {
  stream.respond({ ':status': 200, 'content-length': text.length });
  stream.end(text);
};

describe('a service with HTTP/2', () => {
  it('serves callers of either version, all on one connection', async () => {
    const server = await service((stream, headers) => {
      stream.respond({ ':status': 200, 'x-path': String(headers[':path']) });
      stream.end('books');
    });
    const { port } = await planeFor([server]);
    const session = connect(port);
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) => call(session, { ':path': `/books/${i}` })),
    );
    answers.forEach((answer, i) => {
      expect(answer).toMatchObject({ status: 200, text: 'books' });
      expect(answer.headers['x-path']).toBe(`/books/${i}`);
    });
    const caller = await rawCaller(port);
    caller.send(get('/one', 'Connection: x-secret\r\nX-Secret: 1\r\n'));
    expect(await caller.until('0\r\n\r\n')).toMatch(
      /^HTTP\/1\.1 200 OK\r\nx-path: \/one\r\n[^]*transfer-encoding: chunked\r\n\r\n5\r\nbooks\r\n0\r\n\r\n$/,
    );
    expect(server.sessions.size).toBe(1);
    expect(server.heads.at(-1)).toMatchObject({ ':authority': 'api.bibby.com', ':scheme': 'http' });
    expect(server.heads.at(-1)).not.toHaveProperty('x-secret');
    expect(server.heads.at(-1)).not.toHaveProperty('connection');
  });

  it('gets bodies as they come, and its answers pass as they come', async () => {
    const server = await service((stream) => {
      stream.respond({ ':status': 200 });
      stream.on('data', (chunk) => stream.write(chunk));
      stream.on('end', () => stream.end());
    });
    const { port } = await planeFor([server]);
    const stream = connect(port).request({ ':method': 'POST', ':path': '/' });
    const seen: string[] = [];
    stream.on('data', (chunk) => seen.push(String(chunk)));
    for (const word of ['one', 'two', 'three']) {
      stream.write(word);
      await expect.poll(() => seen.join('')).toMatch(new RegExp(`${word}$`));
    }
    stream.end();
    expect(await answerOf(stream)).toMatchObject({ code: 0 });
  });

  it('gets trailers, but those that only Weir may write, and sends some', async () => {
    let got: http2.IncomingHttpHeaders = {};
    const server = await service((stream) => {
      stream.on('trailers', (fields) => {
        got = fields;
      });
      stream.resume();
      stream.on('end', () => {
        stream.respond({ ':status': 200 }, { waitForTrailers: true });
        stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '9' }));
        stream.end('body');
      });
    });
    const { port } = await startPlane(viewOf([upstream([server.port], { protocol: 'http2' })]), {
      pipeline: { isProtectedHeader: (name) => name === 'x-user-id' },
    });
    const stream = connect(port).request(
      { ':method': 'POST', ':path': '/' },
      { waitForTrailers: true },
    );
    stream.on('wantTrailers', () =>
      stream.sendTrailers({ 'x-check': '7', 'x-user-id': 'root', 'content-type': 'x' }),
    );
    stream.end('hello');
    const answer = await answerOf(stream);
    expect(answer).toMatchObject({ status: 200, text: 'body', trailers: { 'x-sum': '9' } });
    expect(Object.entries(got)).toEqual([['x-check', '7']]);
  });

  it('may hand back a request that it has not looked at: it is sent again, with its body', async () => {
    let refusals = 0;
    const server = await service((stream) => {
      if (refusals++ === 0) {
        stream.close(constants.NGHTTP2_REFUSED_STREAM);
        return;
      }
      let text = '';
      stream.on('data', (chunk) => (text += chunk));
      stream.on('end', () => say(text)(stream));
    });
    const { port } = await planeFor([server]);
    const answer = await call(connect(port), { ':method': 'POST' }, 'hello');
    expect(answer).toMatchObject({ status: 200, text: 'hello' });
    expect(server.heads).toHaveLength(2);
  });

  it('that refuses for ever is tried as often as policy says', async () => {
    const server = await service((stream) => stream.close(constants.NGHTTP2_REFUSED_STREAM));
    const { port } = await planeFor([server], {}, { retry });
    const answer = await call(connect(port), { ':method': 'POST' }, 'hello');
    expect(answer.status).toBe(503);
    expect(server.heads).toHaveLength(4);
  });

  it('that leaves is asked on a new connection, and no request is lost', async () => {
    let count = 0;
    const server = await service((stream) => {
      if (++count % 10 === 0) stream.session?.close();
      say('ok')(stream);
    });
    const { port } = await planeFor([server]);
    const session = connect(port);
    for (let i = 0; i < 10; i++) {
      const answers = await Promise.all(
        Array.from({ length: 10 }, () => call(session, { ':method': 'POST' }, 'x')),
      );
      expect(answers.map((answer) => answer.status)).toEqual(Array(10).fill(200));
    }
  });

  it('that dies inside an answer ends it with a reset, before it with a 503', async () => {
    const server = await service((stream, headers) => {
      if (headers[':path'] === '/head') stream.session?.destroy();
      else {
        stream.respond({ ':status': 200 });
        stream.write('half');
        setTimeout(() => stream.session?.destroy(), 20);
      }
    });
    const { port } = await planeFor([server]);
    const session = connect(port);
    expect(await call(session, { ':path': '/head', ':method': 'POST' }, '')).toMatchObject({
      status: 503,
    });
    expect(await call(session)).toMatchObject({ status: 200, text: 'half', code: 2 });
  });

  it('is given no more streams at a time than it takes', async () => {
    let most = 0;
    let now = 0;
    const server = await service(
      (stream) => {
        most = Math.max(most, ++now);
        setTimeout(() => {
          now--;
          say('ok')(stream);
        }, 20);
      },
      { settings: { maxConcurrentStreams: 2 } },
    );
    const { port } = await planeFor([server], {
      pool: { ...upstream([]).pool, maxConnections: 1 },
    });
    const session = connect(port);
    await call(session);
    const answers = await Promise.all(Array.from({ length: 10 }, () => call(session)));
    expect(answers.every((answer) => answer.status === 200)).toBe(true);
    expect(most).toBeLessThanOrEqual(2);
    expect(server.sessions.size).toBe(1);
  });

  it('is asked over a new connection after so many requests', async () => {
    let sessions = 0;
    const server = await service((stream) => {
      if (stream.id === 1) sessions++;
      say('ok')(stream);
    });
    const { port } = await planeFor([server], {
      pool: { ...upstream([]).pool, maxRequestsPerConnection: 3 },
    });
    const session = connect(port);
    for (let i = 0; i < 9; i++) expect((await call(session)).status).toBe(200);
    expect(sessions).toBe(3);
  });

  it('has so many requests at a time, and no more', async () => {
    const server = await service((stream) => {
      setTimeout(() => say('ok')(stream), 100);
    });
    const { port } = await planeFor([server], { pool: { ...upstream([]).pool, maxRequests: 3 } });
    const session = connect(port);
    const answers = await Promise.all(Array.from({ length: 10 }, () => call(session)));
    expect(answers.filter((answer) => answer.status === 200)).toHaveLength(3);
    expect(answers.filter((answer) => answer.status === 503)).toHaveLength(7);
  });

  it('that is not there costs a 503', async () => {
    const { port } = await startPlane(viewOf([upstream([1], { protocol: 'http2' })]));
    expect((await call(connect(port))).status).toBe(503);
  });

  it('is spoken to over TLS where policy says so, if it agrees to HTTP/2', async () => {
    const { certificate, key } = testCertificate();
    const server = await service(say('secret'), {}, { cert: certificate, key });
    const { port } = await planeFor([server], {
      tls: { ca: certificate, insecureSkipVerify: false },
    });
    expect(await call(connect(port))).toMatchObject({ status: 200, text: 'secret' });
    expect(server.heads[0]?.[':scheme']).toBe('https');
  });
});
