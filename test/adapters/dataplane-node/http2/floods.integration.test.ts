import { afterEach, describe, expect, it } from 'vitest';
import {
  closeAll,
  fixedUpstream,
  listener,
  ok,
  rawUpstream,
  startPlane,
  upstream,
  viewOf,
} from '../support.ts';
import { call, connect } from './calls.ts';
import {
  block,
  type Fields,
  Flag,
  type FrameCaller,
  frame,
  frameCaller,
  getFields,
  headers,
  postFields,
  reset,
  settings,
  Type,
  windowUpdate,
} from './frames.ts';

afterEach(closeAll);

const MOST_FRAMES = 200_000;
const BATCH = 200;

/** Sends until the connection is ended; fails when it never is. */
const flood = async (
  caller: FrameCaller,
  next: (index: number) => Buffer,
  most = MOST_FRAMES,
): Promise<number> => {
  for (let sent = 0; sent < most; sent += BATCH) {
    const batch = Array.from({ length: BATCH }, (_, i) => next(sent + i));
    if (!(await caller.send(Buffer.concat(batch)))) return sent + BATCH;
    if (caller.frames.some(({ type }) => type === Type.GoAway)) return sent + BATCH;
  }
  throw new Error(`still there after ${most} frames`);
};

/** Meanwhile a caller that keeps to the rules is served. */
const besides = async (port: number, attack: Promise<unknown>): Promise<void> => {
  let isOver = false;
  const ended = attack.finally(() => (isOver = true));
  ended.catch(() => {});
  const session = connect(port);
  do expect((await call(session)).status).toBe(200);
  while (!isOver);
  await ended;
  expect((await call(session)).status).toBe(200);
};

describe('a flood', () => {
  type Attack = (caller: FrameCaller) => Promise<unknown>;
  interface Case {
    readonly name: string;
    readonly attack: Attack;
    readonly reads?: boolean;
  }
  const attacks: readonly Case[] = [
    {
      name: 'of resets',
      attack: (caller) =>
        flood(caller, (i) => Buffer.concat([headers(i * 2 + 1, getFields), reset(i * 2 + 1, 8)])),
    },
    {
      name: 'of resets that the proxy is brought to make itself',
      attack: (caller) =>
        flood(caller, (i) =>
          Buffer.concat([
            headers(i * 2 + 1, getFields),
            frame(Type.WindowUpdate, 0, i * 2 + 1, Buffer.alloc(4)),
          ]),
        ),
    },
    {
      name: 'of CONTINUATION',
      attack: (caller) =>
        flood(caller, (i) =>
          i === 0
            ? frame(Type.Headers, Flag.EndStream, 1, block(getFields))
            : frame(Type.Continuation, 0, 1, block([[`x-${i}`, 'y']])),
        ),
    },
    {
      name: 'of PING',
      attack: (caller) => flood(caller, () => frame(Type.Ping, 0, 0, Buffer.alloc(8))),
    },
    {
      name: 'of PING whose answers nobody reads',
      attack: (caller) => flood(caller, () => frame(Type.Ping, 0, 0, Buffer.alloc(8))),
      reads: false,
    },
    {
      name: 'of SETTINGS',
      attack: (caller) => flood(caller, (i) => settings([[4, 65_535 + (i % 2)]])),
    },
    {
      name: 'of settings in one frame',
      attack: (caller) =>
        flood(caller, () => settings(Array.from({ length: 40 }, (_, i) => [4, i] as const)), 900),
    },
    {
      name: 'of empty DATA',
      attack: (caller) =>
        flood(caller, (i) => (i === 0 ? headers(1, postFields, false) : frame(Type.Data, 0, 1))),
    },
    {
      name: 'of PRIORITY',
      attack: (caller) => flood(caller, (i) => priority(i * 2 + 1)),
      reads: false,
    },
  ];

  it.each(attacks)(
    '$name ends its connection, and costs nobody else',
    async ({ attack, reads }) => {
      const server = await fixedUpstream(ok('ok'));
      const { port, plane } = await startPlane(viewOf([upstream([server.port])]));
      const before = process.memoryUsage().rss;
      const caller = await frameCaller(port, { reads: reads ?? true });
      await besides(port, attack(caller));
      caller.socket.resume();
      await expect.poll(() => caller.isClosed, { timeout: 10_000 }).toBe(true);
      await expect.poll(() => plane.stats().exchanges, { timeout: 10_000 }).toBe(0);
      expect(process.memoryUsage().rss - before).toBeLessThan(128 * 1024 * 1024);
    },
  );

  it('of heads that say more than they send costs little', async () => {
    const server = await fixedUpstream(ok('ok'));
    const { port, plane } = await startPlane(viewOf([upstream([server.port])]));
    const caller = await frameCaller(port, { settings: [[4, 0]] });
    const before = process.memoryUsage().rss;
    const bomb = block([['x-bomb', 'b'.repeat(3900)]], true);
    const references = Buffer.alloc(15, 0xbe);
    const attack = (async () => {
      for (let i = 0; i < 2000; i++)
        await caller.send(
          frame(
            Type.Headers,
            Flag.EndHeaders | Flag.EndStream,
            i * 2 + 1,
            Buffer.concat([block(getFields), i === 0 ? bomb : references]),
          ),
        );
    })();
    await besides(port, attack);
    expect(process.memoryUsage().rss - before).toBeLessThan(128 * 1024 * 1024);
    caller.socket.destroy();
    await expect.poll(() => plane.stats().exchanges, { timeout: 10_000 }).toBe(0);
  });

  it('of uploads that turn out to be too long ends its connection', async () => {
    const server = await rawUpstream((socket, text) => {
      if (text.includes('\r\n\r\n'))
        socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n');
      return true;
    });
    const { port } = await startPlane(viewOf([upstream([server.port])]));
    const caller = await frameCaller(port);
    const fields: Fields = [...postFields, ['content-length', '1']];
    const attack = async (): Promise<void> => {
      for (let id = 1; id < 2400 && !caller.isClosed; id += 20) {
        const ids = Array.from({ length: 10 }, (_, i) => id + i * 2);
        await caller.send(Buffer.concat(ids.map((each) => headers(each, fields, false))));
        const answered = (each: number): boolean =>
          caller.frames.some(({ type, stream }) => type === Type.Data && stream === each);
        await expect.poll(() => caller.isClosed || ids.every(answered), { interval: 2 }).toBe(true);
        await caller.send(Buffer.concat(ids.map((each) => frame(Type.Data, 0, each, 'xx'))));
      }
    };
    await attack();
    await expect.poll(() => caller.isClosed).toBe(true);
  });

  it('of windows of a byte ends its connection', async () => {
    const server = await fixedUpstream(ok('x'.repeat(100_000)));
    const { port } = await startPlane(viewOf([upstream([server.port])]));
    const caller = await frameCaller(port, { settings: [[4, 0]] });
    await caller.send(headers(1, getFields));
    await expect.poll(() => caller.frames.some(({ type }) => type === Type.Headers)).toBe(true);
    await besides(
      port,
      flood(caller, () => windowUpdate(1, 1), 20_000),
    );
  });

  it('of bodies in tiny pieces costs little', async () => {
    const server = await rawUpstream((socket) => {
      socket.pause();
      return false;
    });
    const one = upstream([server.port]);
    const { port } = await startPlane(
      viewOf([{ ...one, pool: { ...one.pool, maxConnections: 1 } }]),
    );
    const caller = await frameCaller(port);
    await caller.send(headers(1, postFields, false));
    await expect.poll(() => server.connections).toBe(1);
    const before = process.memoryUsage().rss;
    for (let id = 3; id < 27; id += 2) {
      await caller.send(headers(id, postFields, false));
      const pieces = Buffer.concat(
        Array.from({ length: 5000 }, () => frame(Type.Data, 0, id, 'x')),
      );
      for (let sent = 0; sent < 115_000; sent += 5000) await caller.send(pieces);
    }
    expect(caller.isClosed).toBe(false);
    expect(process.memoryUsage().rss - before).toBeLessThan(128 * 1024 * 1024);
  });

  it('of streams beyond the limit is refused', async () => {
    const server = await rawUpstream(() => false);
    const { port, plane } = await startPlane(viewOf([upstream([server.port])]));
    const caller = await frameCaller(port);
    for (let i = 0; i < 150; i++) await caller.send(headers(i * 2 + 1, getFields));
    await expect
      .poll(() => caller.frames.filter(({ type }) => type === Type.RstStream).length)
      .toBeGreaterThanOrEqual(50);
    expect(plane.stats().exchanges).toBeLessThanOrEqual(100);
  });

  it('of answers that nobody takes is let go', async () => {
    const server = await fixedUpstream(ok('x'.repeat(10_000)));
    const impatient = listener();
    const { port, plane } = await startPlane(
      viewOf(
        [upstream([server.port])],
        [{ ...impatient, limits: { ...impatient.limits, bodyStallTimeoutMs: 300 } }],
      ),
    );
    const caller = await frameCaller(port, { settings: [[4, 0]] });
    const attack = (async () => {
      for (let i = 0; i < 100; i++) await caller.send(headers(i * 2 + 1, getFields));
      await expect
        .poll(() => caller.frames.filter(({ type }) => type === Type.RstStream).length, {
          timeout: 10_000,
        })
        .toBe(100);
    })();
    await besides(port, attack);
    expect(plane.stats().exchanges).toBe(0);
  });
});

const priority = (stream: number): Buffer =>
  frame(Type.Priority, 0, stream, Buffer.from([0, 0, 0, 0, 16]));

describe('a malformed request', () => {
  const withField = (name: string, value: string): Fields => [...getFields, [name, value]];
  const withPseudo = (name: string, value: string): Fields =>
    getFields.map((field) => (field[0] === name ? [name, value] : field));

  const requests: readonly (readonly [string, Fields, string?])[] = [
    ['an upper-case name', withField('X-Upper', '1')],
    ['transfer-encoding', withField('transfer-encoding', 'chunked')],
    ['connection', withField('connection', 'x-a')],
    ['keep-alive', withField('keep-alive', '1')],
    ['upgrade', withField('upgrade', 'websocket')],
    ['te with more than trailers', withField('te', 'gzip')],
    ['another host', withField('host', 'evil.com')],
    ['two lengths', [...withField('content-length', '0'), ['content-length', '5']]],
    ['a length that is none', withField('content-length', '-1')],
    ['a path with a space', withPseudo(':path', '/a b')],
    ['a path with a line end', withPseudo(':path', '/ HTTP/1.1\r\nx: y')],
    ['an absolute path', withPseudo(':path', 'http://evil.com/')],
    ['an empty path', withPseudo(':path', '')],
    ['a fragment', withPseudo(':path', '/a#b')],
    ['a method with a space', withPseudo(':method', 'GET /x')],
    ['a strange scheme', withPseudo(':scheme', 'ftp')],
    ['an authority with a user', withPseudo(':authority', 'a@b')],
    ['no path', getFields.filter(([name]) => name !== ':path')],
    ['no authority', getFields.filter(([name]) => name !== ':authority')],
    ['two paths', withField(':path', '/b')],
    ['an unknown pseudo field', [[':x', 'y'], ...getFields]],
    ['a cookie before a pseudo field', [['cookie', 'a=1'], ...getFields]],
    ['a host before a pseudo field', [['host', 'api.bibby.com'], ...getFields]],
    ['a pseudo field at the end', [['x', 'y'], ...getFields]],
    ['an answer as a request', [[':status', '200']]],
    ['an empty name', withField('', '1')],
    ['a space in a name', withField('x-bad a', '1')],
    ['a colon in a name', withField('x-bad:a', '1')],
    ['a line end in a name', withField('x-bad\r\ny', '1')],
    ['a line end in a value', withField('x-bad', '1\r\nx-user-id: root')],
    ['a bare line feed in a value', withField('x-bad', '1\nx-user-id: root')],
    ['a NUL in a value', withField('x-bad', '1\0')],
    ['a request in a value', withField('x-bad', '1\r\n\r\nGET /admin HTTP/1.1\r\nhost: a')],
    ['two credentials', [...withField('authorization', 'a'), ['authorization', 'b']]],
    ['a protected name in disguise', withField('x_forwarded_for', '1.1.1.1')],
    ['a length and no body', [...postFields, ['content-length', '5']]],
    ['less body than said', [...postFields, ['content-length', '5']], 'abc'],
    ['more body than said', [...postFields, ['content-length', '2']], 'abc'],
    ['a body that was to be empty', [...postFields, ['content-length', '0']], 'abc'],
  ];
  const cases = requests.map(([name, fields, body]) => ({ name, fields, body }));

  it.each(cases)('with $name is refused, and reaches nobody whole', async ({ fields, body }) => {
    const server = await rawUpstream((socket, text) => {
      if (/\r\n\r\nabc$|0\r\n\r\n$/.test(text)) socket.write(ok('taken'));
      else if (text.includes('content-length: 0') || !/content-length|chunked/.test(text))
        socket.write(ok('taken'));
      return false;
    });
    const { port } = await startPlane(viewOf([upstream([server.port])]));
    const caller = await frameCaller(port);
    await caller.send(headers(1, fields, body === undefined));
    if (body !== undefined) await caller.send(frame(Type.Data, Flag.EndStream, 1, body));
    await expect
      .poll(
        () =>
          caller.isClosed ||
          caller.frames.some(
            ({ type, stream, flags }) =>
              type === Type.RstStream ||
              type === Type.GoAway ||
              (stream === 1 && (flags & Flag.EndStream) !== 0),
          ),
      )
      .toBe(true);
    const answered = caller.frames.find(({ type }) => type === Type.Headers);
    // Index 8 of the static table is `:status 200`.
    expect(answered?.payload[0]).not.toBe(0x88);
    if (body === undefined) expect(server.received.join('')).toBe('');
    expect(server.received.join('')).not.toMatch(/x-user-id|admin|evil/);
  });
});

describe('a reset that is no error', () => {
  it('of an upload does not make it whole', async () => {
    const server = await rawUpstream(() => false);
    const { port } = await startPlane(viewOf([upstream([server.port])]));
    const caller = await frameCaller(port);
    await caller.send(headers(1, postFields, false));
    await caller.send(frame(Type.Data, 0, 1, 'half'));
    await expect.poll(() => server.received[0] ?? '').toContain('half');
    await caller.send(reset(1, 0));
    await expect.poll(() => server.sockets.size).toBe(0);
    expect(server.received[0]).toMatch(/4\r\nhalf\r\n$/);
  });

  it('of an answer does not make it whole', async () => {
    const server = await rawUpstream((socket, text) => {
      if (!text.includes('PRI')) return false;
      socket.write(settings([]));
      // `:status 200` from the static table.
      socket.write(frame(Type.Headers, Flag.EndHeaders, 1, Buffer.from([0x88])));
      socket.write(frame(Type.Data, 0, 1, 'half'));
      setTimeout(() => socket.write(reset(1, 0)), 50);
      return true;
    });
    const { port } = await startPlane(viewOf([upstream([server.port], { protocol: 'http2' })]));
    const answer = await call(connect(port));
    expect(answer).toMatchObject({ status: 200, text: 'half', code: 2 });
  });
});
