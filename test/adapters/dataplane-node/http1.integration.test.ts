import { afterEach, describe, expect, it } from 'vitest';
import {
  closeAll,
  fixedUpstream,
  get,
  listener,
  ok,
  rawCaller,
  rawUpstream,
  startPlane,
  upstream,
  viewOf,
} from './support.ts';

afterEach(closeAll);

const CHUNKED = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n';

describe('a caller with HTTP/1.0', () => {
  it('gets the connection kept if it asks, and a length', async () => {
    const server = await fixedUpstream(ok('one'));
    const { port } = await startPlane(viewOf([upstream([server.port])]));
    const caller = await rawCaller(port);
    for (let i = 1; i <= 2; i++) {
      caller.send('GET / HTTP/1.0\r\nHost: a\r\nConnection: Keep-Alive\r\n\r\n');
      await caller.until(new RegExp(`(one[^]*){${i}}`));
    }
    expect(caller.text).toMatch(/connection: keep-alive\r\n\r\none/);
  });

  it('gets the end of the connection as the end of an answer without length', async () => {
    const server = await fixedUpstream(CHUNKED);
    const { port } = await startPlane(viewOf([upstream([server.port])]));
    const caller = await rawCaller(port);
    caller.send('GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n');
    expect(await caller.untilClosed()).toBe('HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nabc');
  });
});

describe('an answer', () => {
  it('without length becomes chunks', async () => {
    const server = await rawUpstream((socket) => {
      socket.end('HTTP/1.1 200 OK\r\n\r\nuntil the end');
      return true;
    });
    const { port } = await startPlane(viewOf([upstream([server.port])]));
    const caller = await rawCaller(port);
    caller.send(get());
    expect(await caller.until('0\r\n\r\n')).toContain(
      'transfer-encoding: chunked\r\n\r\nd\r\nuntil the end\r\n0\r\n\r\n',
    );
  });

  it.each([
    ['HEAD', 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n'],
    ['GET', 'HTTP/1.1 204 No Content\r\n\r\n'],
    ['GET', 'HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n'],
  ])('to %s %j has no body, and the next one follows', async (method, answer) => {
    const server = await fixedUpstream(answer);
    const { port } = await startPlane(viewOf([upstream([server.port])]));
    const caller = await rawCaller(port);
    const request = `${method} / HTTP/1.1\r\nHost: a\r\n\r\n`;
    caller.send(request);
    await caller.until('\r\n\r\n');
    caller.send(request);
    await caller.until(/(HTTP\/1\.1[^]*){2}\r\n\r\n$/);
    expect(caller.text).toBe(answer + answer);
    expect(server.connections).toBe(1);
  });

  it('carries trailers to who wants them', async () => {
    const server = await fixedUpstream(
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\nX-Sum: 9\r\nContent-Length: 1\r\n\r\n',
    );
    const { port } = await startPlane(viewOf([upstream([server.port])]));
    const caller = await rawCaller(port);
    caller.send(get('/', 'TE: trailers\r\nConnection: TE\r\n'));
    expect(await caller.until('X-Sum')).toMatch(/\r\n\r\n0\r\nX-Sum: 9\r\n\r\n$/);
    expect(server.received[0]).toMatch(/te: trailers\r\n/);
    caller.text = '';
    caller.send(get());
    expect(await caller.until('0\r\n\r\n')).not.toContain('X-Sum');
  });

  it('may be preceded by early hints', async () => {
    const server = await fixedUpstream(
      `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n${ok('done')}`,
    );
    const { port } = await startPlane(viewOf([upstream([server.port])]));
    const caller = await rawCaller(port);
    caller.send(get());
    expect(await caller.until('done')).toMatch(
      /^HTTP\/1\.1 103 Early Hints\r\nlink: <\/a>\r\n\r\nHTTP\/1\.1 200 OK/,
    );
  });

  it('that begins before the request has ended closes the connection after it', async () => {
    const server = await fixedUpstream(ok('early'));
    const { port } = await startPlane(viewOf([upstream([server.port])]));
    const caller = await rawCaller(port);
    caller.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nx');
    const text = await caller.untilClosed();
    expect(text).toMatch(/connection: close\r\n\r\nearly$/);
  });

  it('that breaks off is never made whole', async () => {
    const server = await rawUpstream((socket) => {
      socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n');
      setTimeout(() => socket.destroy(), 20);
      return true;
    });
    const { port } = await startPlane(viewOf([upstream([server.port])]));
    const caller = await rawCaller(port);
    caller.send(get());
    expect(await caller.untilClosed()).toMatch(/abc\r\n$/);
  });

  it.each([
    ['two lengths', 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\nok'],
    [
      'length and coding',
      'HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\nok',
    ],
    ['no HTTP', 'SSH-2.0-OpenSSH_9.2\r\n\r\n'],
    ['a bare line feed', 'HTTP/1.1 200 OK\r\nx: 1\ny: 2\r\n\r\n'],
    [
      'an uninvited 101',
      'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n',
    ],
    ['a flood of 1xx', 'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(20)],
  ])('with %s is not believed', async (_, answer) => {
    const server = await fixedUpstream(answer);
    const { port } = await startPlane(viewOf([upstream([server.port])]));
    const caller = await rawCaller(port);
    caller.send(get());
    const text = await caller.until(/HTTP\/1\.1 502 /);
    expect(text).toContain('Bad Gateway');
  });

  it('with more bytes than it has costs the connection', async () => {
    const server = await fixedUpstream(
      `${ok('ok')}HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil`,
    );
    const { port } = await startPlane(viewOf([upstream([server.port])]));
    const caller = await rawCaller(port);
    for (let i = 1; i <= 3; i++) {
      caller.send(get());
      await caller.until(new RegExp(`(\r\n\r\nok[^]*){${i}}`));
    }
    expect(caller.text).not.toContain('evil');
    expect(server.connections).toBe(3);
  });

  it('that nobody asked for closes an idle connection', async () => {
    const server = await fixedUpstream(ok('ok'));
    const { port, plane } = await startPlane(viewOf([upstream([server.port])]));
    const caller = await rawCaller(port);
    caller.send(get());
    await caller.until('ok');
    for (const socket of server.sockets) socket.write(ok('evil'));
    while (plane.stats().upstreamConnections > 0)
      await new Promise((resolve) => setTimeout(resolve, 2));
    caller.send(get('/2'));
    await caller.until(/(\r\n\r\nok[^]*){2}/);
    expect(caller.text).not.toContain('evil');
  });
});

describe('Expect: 100-continue', () => {
  it('is answered by the proxy once an upstream is there', async () => {
    const server = await rawUpstream((socket, text) => {
      if (!text.endsWith('hello')) return false;
      socket.write(ok('got it'));
      return true;
    });
    const { port } = await startPlane(viewOf([upstream([server.port])]));
    const caller = await rawCaller(port);
    caller.send('PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n');
    await caller.until('HTTP/1.1 100 Continue\r\n\r\n');
    caller.send('hello');
    expect(await caller.until('got it')).not.toContain('connection: close');
    expect(server.received[0]).not.toMatch(/expect/i);
  });

  it('is not, and the body not awaited, when the answer is no', async () => {
    const { port } = await startPlane(viewOf([upstream([1])]), {
      handle: () => ({
        type: 'respond',
        status: 401,
        error: 'Unauthorized',
        reason: 'who?',
        flag: 'UAEX',
        headers: [],
      }),
    });
    const caller = await rawCaller(port);
    caller.send('PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n');
    const text = await caller.untilClosed();
    expect(text).toMatch(/^HTTP\/1\.1 401 /);
    expect(text).not.toContain('100 Continue');
  });
});

describe('a local reply', () => {
  it('has the shape that callers know, and keeps the connection', async () => {
    const { port } = await startPlane(viewOf([upstream([1])]), {
      handle: () => ({
        type: 'respond',
        status: 429,
        error: 'Too Many Requests',
        reason: 'slow down',
        flag: 'RL',
        headers: ['Retry-After', '7', 'X-Bad', 'a\r\nb: c'],
      }),
    });
    const caller = await rawCaller(port);
    caller.send(`POST / HTTP/1.1\r\nHost: a\r\nX-Request-ID: r-1\r\nContent-Length: 3\r\n\r\n`);
    await caller.until('r-1');
    expect(caller.text).toMatch(
      /^HTTP\/1\.1 429 Too Many Requests\r\ncontent-type: application\/json\r\nRetry-After: 7\r\nX-Bad: a {2}b: c\r\n/,
    );
    expect(caller.text).toMatch(
      /\{"error":"Too Many Requests","reason":"slow down","requestId":"r-1"\}$/,
    );
    caller.text = '';
    caller.send(`abc${get('/', 'X-Request-ID: r-2\r\n')}`);
    await caller.until('r-2');
  });

  it('counts bytes, not characters', async () => {
    const { port } = await startPlane(viewOf([upstream([1])]), {
      handle: () => ({
        type: 'respond',
        status: 200,
        error: '',
        reason: '',
        flag: '',
        headers: [],
        body: 'Bücher ✓',
        contentType: 'text/plain; charset=utf-8',
      }),
    });
    const answer = await fetch(`http://127.0.0.1:${port}/`);
    expect(await answer.text()).toBe('Bücher ✓');
  });
});

describe('WebSocket', () => {
  const upgrade =
    'GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n';

  it('tunnels after 101, and not a byte before', async () => {
    const server = await rawUpstream((socket, text) => {
      if (text.endsWith('\r\n\r\n')) {
        setTimeout(
          () =>
            socket.write(
              'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: y\r\n\r\nhi',
            ),
          30,
        );
        expect(text).not.toContain('early');
        return true;
      }
      socket.write(`echo:${text}`);
      return true;
    });
    const { port } = await startPlane(viewOf([upstream([server.port])]));
    const caller = await rawCaller(port);
    caller.send(`${upgrade}early`);
    await caller.until('echo:early');
    caller.send('more');
    await caller.until('echo:more');
    expect(caller.text).toMatch(
      /^HTTP\/1\.1 101 Switching Protocols\r\nSec-WebSocket-Accept: y\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nhi/,
    );
    expect(server.received[0]).toMatch(/connection: upgrade\r\nupgrade: websocket\r\n/);
  });

  it('half-closes as its ends do', async () => {
    const server = await rawUpstream((socket, text) => {
      if (text.endsWith('\r\n\r\n')) {
        socket.write(
          'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
        );
        socket.removeAllListeners('end');
        socket.on('end', () => socket.end('last words'));
        return true;
      }
      return false;
    });
    const { port } = await startPlane(viewOf([upstream([server.port])]));
    const caller = await rawCaller(port);
    caller.send(upgrade);
    await caller.until('101');
    caller.socket.end('bye');
    expect(await caller.untilClosed()).toMatch(/last words$/);
    expect(server.received[0]).toMatch(/bye$/);
  });

  it('refused by the upstream closes both connections', async () => {
    const server = await fixedUpstream(ok('no'));
    const { port, plane } = await startPlane(viewOf([upstream([server.port])]));
    const caller = await rawCaller(port);
    caller.send(`${upgrade}GET /evil HTTP/1.1\r\nHost: a\r\n\r\n`);
    expect(await caller.untilClosed()).toMatch(/connection: close\r\n\r\nno$/);
    expect(server.received.join('')).not.toContain('/evil');
    expect(plane.stats().upstreamConnections).toBe(0);
  });
});

describe('targets', () => {
  it('in absolute form go by their path', async () => {
    const server = await fixedUpstream(ok());
    const { port } = await startPlane(viewOf([upstream([server.port])]));
    const caller = await rawCaller(port);
    caller.send(
      'GET http://A.example/x?y HTTP/1.1\r\nHost: a.example\r\n\r\nOPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n',
    );
    await caller.until(/(ok[^]*){2}/);
    const received = server.received.join('');
    expect(received).toContain('GET /x?y HTTP/1.1\r\nhost: A.example\r\n');
    expect(received).toContain('OPTIONS * HTTP/1.1\r\n');
  });
});

describe('time', () => {
  const limited = (changes: object) => [listener({ limits: { ...listener().limits, ...changes } })];

  it('runs out for a head that drips', async () => {
    const { port } = await startPlane(viewOf([upstream([1])], limited({ headerTimeoutMs: 150 })));
    const caller = await rawCaller(port);
    caller.send('GET / HTTP/1.1\r\n');
    const drip = setInterval(() => caller.send('X: 1\r\n'), 20);
    const text = await caller.untilClosed();
    clearInterval(drip);
    expect(text).toMatch(/^HTTP\/1\.1 408 /);
  });

  it('runs out for a connection that is idle', async () => {
    const server = await fixedUpstream(ok());
    const { port } = await startPlane(
      viewOf([upstream([server.port])], limited({ idleTimeoutMs: 100 })),
    );
    const caller = await rawCaller(port);
    caller.send(get());
    expect(await caller.untilClosed()).toMatch(/ok$/);
  });

  it('runs out for a body that stalls', async () => {
    const server = await rawUpstream(() => false);
    const { port } = await startPlane(
      viewOf([upstream([server.port])], limited({ bodyStallTimeoutMs: 100 })),
    );
    const caller = await rawCaller(port);
    caller.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nx');
    expect(await caller.untilClosed()).toMatch(/^HTTP\/1\.1 408 [^]*did not arrive/);
  });

  it('runs out for a caller that does not read', async () => {
    const server = await rawUpstream((socket) => {
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n');
      for (let i = 0; i < 100; i++) socket.write(Buffer.alloc(1_000_000));
      return true;
    });
    const { port, plane } = await startPlane(
      viewOf([upstream([server.port])], limited({ bodyStallTimeoutMs: 150 })),
    );
    const caller = await rawCaller(port);
    caller.socket.pause();
    caller.send(get());
    while (plane.stats().exchanges === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    while (plane.stats().exchanges > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(plane.stats().upstreamConnections).toBe(0);
  });

  it('is given to a slow reader of a last answer', async () => {
    const size = 8_000_000;
    const server = await rawUpstream((socket) => {
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${size}\r\n\r\n`);
      socket.write(Buffer.alloc(size, 'x'));
      return true;
    });
    const { port } = await startPlane(viewOf([upstream([server.port])]));
    const caller = await rawCaller(port);
    caller.send(get('/', 'Connection: close\r\n'));
    await caller.until(/\r\n\r\n/);
    caller.socket.pause();
    await new Promise((resolve) => setTimeout(resolve, 1500));
    caller.socket.resume();
    const text = await caller.untilClosed();
    expect(text.length - text.indexOf('\r\n\r\n') - 4).toBe(size);
  });

  it('of a connection is bounded by its number of requests', async () => {
    const server = await fixedUpstream(ok());
    const { port } = await startPlane(
      viewOf([upstream([server.port])], limited({ maxRequestsPerConnection: 2 })),
    );
    const caller = await rawCaller(port);
    caller.send(get() + get() + get());
    const text = await caller.untilClosed();
    expect(text.match(/200 OK/g)).toHaveLength(2);
    expect(text).toMatch(/connection: close\r\n\r\nok$/);
  });
});

describe('a caller that goes away', () => {
  it('ends its exchange at the upstream', async () => {
    const server = await rawUpstream(() => false);
    const flags: string[] = [];
    const { port, plane } = await startPlane(
      viewOf([upstream([server.port])]),
      {},
      { onAccess: (entry) => flags.push(`${entry.status} ${entry.flag}`) },
    );
    const caller = await rawCaller(port);
    caller.send(get());
    while (server.connections === 0) await new Promise((resolve) => setTimeout(resolve, 2));
    caller.socket.resetAndDestroy();
    while (plane.stats().exchanges > 0) await new Promise((resolve) => setTimeout(resolve, 2));
    expect(flags).toEqual(['499 DC']);
    expect(plane.stats().upstreamConnections).toBe(0);
  });

  it('is known to be gone by those who are asked about it', async () => {
    const signals: (AbortSignal | undefined)[] = [];
    const { port, plane } = await startPlane(viewOf([upstream([1])]), {
      handle: (request) => {
        signals.push(request.gone);
        return new Promise(() => {});
      },
    });
    const caller = await rawCaller(port);
    caller.send(get());
    while (signals.length === 0) await new Promise((resolve) => setTimeout(resolve, 2));
    expect(signals[0]?.aborted).toBe(false);
    caller.socket.resetAndDestroy();
    while (plane.stats().exchanges > 0) await new Promise((resolve) => setTimeout(resolve, 2));
    expect(signals[0]?.aborted).toBe(true);
  });

  it('in one direction only still gets a quick answer', async () => {
    const server = await rawUpstream((socket) => {
      setTimeout(() => socket.write(ok('late')), 50);
      return true;
    });
    const { port } = await startPlane(viewOf([upstream([server.port])]));
    const caller = await rawCaller(port);
    caller.socket.end(get());
    expect(await caller.untilClosed()).toMatch(/late$/);
  });
});
