// Answers that take their time: events as they come, callers who are shut out meanwhile, connections that are kept alive.
import http2 from 'node:http2';
import type net from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { Exchange } from '#engine/pipeline/exchange.ts';
import {
  closeAll,
  get,
  ok,
  rawCaller,
  rawUpstream,
  startPlane,
  upstream,
  viewOf,
} from '../support.ts';
import { answerOf, call, connect, type Service, service } from './calls.ts';
import {
  Flag,
  type FrameCaller,
  frame,
  frameCaller,
  getFields,
  headers,
  postFields,
  Type,
} from './frames.ts';

afterEach(closeAll);

const event = (text: string): string => `data: ${text}\n\n`;
const chunk = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`;

interface Events {
  readonly port: number;
  readonly protocol: 'http' | 'http2';
  send(text: string): void;
}

const events = {
  http: async (): Promise<Events> => {
    let socket: net.Socket | undefined;
    const server = await rawUpstream((each, text) => {
      if (!text.includes('\r\n\r\n')) return false;
      socket = each;
      each.write(
        'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n',
      );
      each.write(chunk(event('one')));
      return true;
    });
    const send = (text: string) => void socket?.write(chunk(event(text)));
    return { port: server.port, protocol: 'http', send };
  },
  http2: async (): Promise<Events> => {
    let stream: http2.ServerHttp2Stream | undefined;
    const server = await service((each) => {
      stream = each;
      each.respond({ ':status': 200, 'content-type': 'text/event-stream' });
      each.write(event('one'));
    });
    const send = (text: string) => void stream?.write(event(text));
    return { port: server.port, protocol: 'http2', send };
  },
};

/** What the caller has got so far. */
const listen = {
  http: async (port: number): Promise<() => string> => {
    const caller = await rawCaller(port);
    caller.send(get('/events', 'Accept: text/event-stream\r\n'));
    return () => caller.text;
  },
  http2: async (port: number): Promise<() => string> => {
    const stream = connect(port).request({ ':path': '/events', ':authority': 'api.bibby.com' });
    let text = '';
    stream.on('error', () => {});
    stream.on('data', (bytes: Buffer) => {
      text += bytes.toString();
    });
    return () => text;
  },
};

describe('events', () => {
  it.each([
    ['http', 'http'],
    ['http', 'http2'],
    ['http2', 'http'],
    ['http2', 'http2'],
  ] as const)('from %s reach a caller with %s one by one', async (from, to) => {
    const source = await events[from]();
    const { protocol } = source;
    const { port } = await startPlane(viewOf([upstream([source.port], { protocol })]));
    const got = await listen[to](port);
    // Each is waited for before the next one is sent.
    await expect.poll(got).toContain(event('one'));
    for (const text of ['two', 'three']) {
      expect(got()).not.toContain(text);
      source.send(text);
      await expect.poll(got).toContain(event(text));
    }
  });
});

describe('a caller that is shut out', () => {
  it('loses its own streams, and nobody else on the connection loses any', async () => {
    const server = await service((stream, headers) => {
      stream.respond({ ':status': 200 });
      stream.write(`for ${String(headers['x-caller'])}`);
    });
    const isVictim = ({ request }: Exchange): boolean => request.header('x-caller') === 'mallory';
    const { plane, port } = await startPlane(
      viewOf([upstream([server.port], { protocol: 'http2' })]),
      { pipeline: { isRevoked: isVictim } },
    );
    const session = connect(port);
    const open = (caller: string) => {
      const stream = session.request({ ':authority': 'a', ':path': '/', 'x-caller': caller });
      const state = { text: '', ended: answerOf(stream) };
      stream.on('data', (bytes: Buffer) => {
        state.text += bytes.toString();
      });
      return { stream, state };
    };
    const [alice, mallory, bob] = [open('alice'), open('mallory'), open('bob')];
    for (const { state } of [alice, mallory, bob]) await expect.poll(() => state.text).not.toBe('');
    await plane.activate(viewOf([upstream([server.port], { protocol: 'http2' })], undefined, 2));
    expect((await mallory.state.ended).code).not.toBe(http2.constants.NGHTTP2_NO_ERROR);
    expect([alice.stream.closed, bob.stream.closed, session.closed]).toEqual([false, false, false]);
    expect(await callEnds(session, server)).toBe('for carol');
  });
});

/** One more stream, ended by the service. */
const callEnds = async (
  session: http2.ClientHttp2Session,
  { sessions }: Service,
): Promise<string> => {
  const stream = session.request({ ':authority': 'a', ':path': '/', 'x-caller': 'carol' });
  const text = await new Promise<string>((resolve) =>
    stream.once('data', (bytes: Buffer) => resolve(bytes.toString())),
  );
  expect(sessions.size).toBe(1);
  stream.close();
  return text;
};

const upload = (stream: number): Buffer =>
  Buffer.concat([
    headers(stream, postFields, false),
    frame(Type.Data, Flag.EndStream, stream, 'late'),
  ]);
const hasAnswer = (caller: FrameCaller, id: number): boolean =>
  caller.frames.some(
    ({ type, stream, flags }) =>
      type === Type.Data && stream === id && (flags & Flag.EndStream) !== 0,
  );
/** Last stream and code of each GOAWAY. */
const farewells = ({ frames }: FrameCaller): readonly (readonly [number, number])[] =>
  frames
    .filter(({ type }) => type === Type.GoAway)
    .map(({ payload }) => [payload.readUInt32BE(0), payload.readUInt32BE(4)]);

const slowUpstream = () =>
  rawUpstream((socket, text) => {
    if (!text.includes('\r\n\r\n')) return false;
    setTimeout(() => socket.write(ok('slow')), 300);
    return true;
  });

describe('a connection that ends', () => {
  it('does not look at later streams, and finishes those before', async () => {
    const server = await slowUpstream();
    const { port, plane } = await startPlane(viewOf([upstream([server.port])]));
    const caller = await frameCaller(port);
    await caller.send(headers(1, getFields));
    await expect.poll(() => server.connections).toBe(1);
    const drained = plane.drain(5000);
    const asked = () => caller.frames.find(({ type }) => type === Type.Ping);
    await expect.poll(asked).toBeDefined();
    await caller.send(frame(Type.Ping, Flag.Ack, 0, asked()?.payload));
    await expect.poll(() => farewells(caller).length).toBe(2);
    await caller.send(upload(3));
    await expect.poll(() => caller.isClosed).toBe(true);
    await drained;
    expect(hasAnswer(caller, 1)).toBe(true);
    expect(farewells(caller)).toEqual([
      [2 ** 31 - 1, 0],
      [1, 0],
    ]);
    expect(server.connections).toBe(1);
  });

  it('is told so even if it came in late', async () => {
    const server = await slowUpstream();
    const { port, plane } = await startPlane(viewOf([upstream([server.port])]));
    const drained = plane.drain(5000, 3000);
    const caller = await frameCaller(port);
    await caller.send(headers(1, getFields));
    await expect.poll(() => hasAnswer(caller, 1)).toBe(true);
    expect(farewells(caller)).toEqual([[2 ** 31 - 1, 0]]);
    caller.socket.destroy();
    await plane.close();
    await drained;
  });

  it('by the word of its caller serves what the caller still asks', async () => {
    const server = await slowUpstream();
    const { port } = await startPlane(viewOf([upstream([server.port])]));
    const caller = await frameCaller(port);
    await caller.send(headers(1, getFields));
    await caller.send(frame(Type.GoAway, 0, 0, Buffer.alloc(8)));
    await caller.send(upload(3));
    await expect.poll(() => caller.isClosed).toBe(true);
    expect([1, 3].map((id) => hasAnswer(caller, id))).toEqual([true, true]);
    expect(farewells(caller)).toEqual([[3, 0]]);
  });
});

describe('a connection', () => {
  it('answers PING between requests, and is kept', async () => {
    const server = await service((stream) => {
      stream.respond({ ':status': 200 });
      stream.end('ok');
    });
    const { port } = await startPlane(viewOf([upstream([server.port], { protocol: 'http2' })]));
    const session = connect(port);
    const payload = Buffer.from('eight..8');
    for (let i = 0; i < 20; i++) {
      expect((await call(session)).text).toBe('ok');
      const echoed = await new Promise((resolve, reject) =>
        session.ping(payload, (error, _ms, given) => (error ? reject(error) : resolve(given))),
      );
      expect(echoed).toEqual(payload);
    }
    expect(session.closed).toBe(false);
  });

  it('to a service that does not answer is doubted with a PING, and given up', async () => {
    let pings = 0;
    const server = await service(() => {});
    const { port } = await startPlane(viewOf([upstream([server.port], { protocol: 'http2' })]), {
      action: { timeoutMs: 200 },
    });
    const session = connect(port);
    const asked = call(session);
    await expect.poll(() => server.sessions.size).toBe(1);
    const [inside] = server.sessions;
    inside?.on('ping', () => pings++);
    expect((await asked).status).toBe(504);
    await expect.poll(() => pings).toBe(1);
    // It has answered: the connection is good, only the request was not.
    expect((await call(session)).status).toBe(504);
    expect(server.sessions.size).toBe(1);
  });
});
