import http2 from 'node:http2';
import { afterEach, describe, expect, it } from 'vitest';
import type { NodePlane } from '#adapters/dataplane-node/plane.ts';
import type { Measure } from '#engine/model/metric-plan.ts';
import type { ValueSeries } from '#engine/model/telemetry.ts';
import { call, connect, service } from './http2/calls.ts';
import {
  closeAll,
  get,
  ok,
  rawCaller,
  rawUpstream,
  startPlane,
  upstream,
  viewOf,
} from './support.ts';

afterEach(closeAll);

const measure = (changes: Partial<Measure> = {}): Measure => ({
  metric: 'order-value',
  part: 'header',
  name: 'x-order-value',
  from: 0,
  to: 500,
  strip: false,
  ...changes,
});

const measured = (port: number, changes: Partial<Measure>, protocol: 'http' | 'grpc' = 'http') =>
  viewOf([upstream([port], { version: 'v1.1', protocol, measures: [measure(changes)] })]);

/** What was counted until now, in one piece. */
const valuesOf = async (plane: NodePlane): Promise<readonly ValueSeries[]> => {
  await plane.close();
  const found: ValueSeries[] = [];
  for await (const { values = [] } of plane.samples()) found.push(...values);
  const total = (of: (one: ValueSeries) => number) => found.reduce((sum, one) => sum + of(one), 0);
  const [first] = found;
  if (!first) return [];
  const refused = total((one) => one.refused ?? 0);
  return [
    {
      ...first,
      count: total((one) => one.count),
      sum: total((one) => one.sum),
      squares: total((one) => one.squares),
      ...(refused > 0 && { refused }),
    },
  ];
};

const answering = (...answers: readonly string[]) => {
  let next = 0;
  return rawUpstream((socket) => {
    socket.write(answers[next % answers.length] ?? '');
    next += 1;
    return true;
  });
};

/** One after the other, on one connection. */
const ask = async (port: number, times: number): Promise<string> => {
  const caller = await rawCaller(port);
  let text = '';
  for (let at = 1; at <= times; at += 1) {
    caller.send(get());
    text = await caller.until(new RegExp(`(end[^]*){${at}}`));
  }
  return text;
};

const order = (...values: readonly string[]): string =>
  ok('end', values.map((value) => `X-Order-Value: ${value}\r\n`).join(''));

describe('a number in answers', () => {
  it('is added up from a header, and passed on', async () => {
    const server = await answering(order('10'), order('2.5'), ok('end'));
    const { plane, port } = await startPlane(measured(server.port, {}));
    expect(await ask(port, 3)).toContain('X-Order-Value: 2.5\r\n');
    expect(await valuesOf(plane)).toEqual([
      {
        service: 'bibby/catalog',
        version: 'v1.1',
        metric: 'order-value',
        count: 2,
        sum: 12.5,
        squares: 106.25,
      },
    ]);
  });

  it('is taken off the answer where asked', async () => {
    const server = await answering(order('10'), order('x', 'y'));
    const { plane, port } = await startPlane(measured(server.port, { strip: true }));
    expect(await ask(port, 2)).not.toMatch(/order-value/i);
    expect(await valuesOf(plane)).toMatchObject([{ count: 1, sum: 10, refused: 1 }]);
  });

  it.each([
    ['is out of its range', ['500.01']],
    ['is below it', ['-1']],
    ['is there twice', ['1', '2']],
    ['is a list', ['1, 2']],
    ['is no number', ['NaN']],
    ['is infinite', ['Infinity']],
    ['is written otherwise', ['1e2']],
    ['is empty', ['']],
    ['is endless', ['1'.repeat(500)]],
  ])('does not count if it %s', async (_, values) => {
    const server = await answering(order(...values));
    const { plane, port } = await startPlane(measured(server.port, {}));
    await ask(port, 1);
    expect(await valuesOf(plane)).toMatchObject([{ count: 0, sum: 0, squares: 0, refused: 1 }]);
  });

  it('comes in a trailer, too', async () => {
    const chunked =
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-order-value\r\n\r\n' +
      '3\r\nend\r\n0\r\nx-order-value: 12\r\nx-other: 1\r\n\r\n';
    const server = await answering(chunked);
    const { plane, port } = await startPlane(
      measured(server.port, { part: 'trailer', strip: true }),
    );
    const caller = await rawCaller(port);
    caller.send(get('/', 'connection: te\r\nte: trailers\r\n'));
    const text = await caller.until('x-other: 1');
    expect(text).not.toContain('x-order-value: 12');
    // Also where the caller does not want to hear of trailers.
    caller.send(get());
    await caller.until(/(0\r\n[^]*){2}/);
    expect(await valuesOf(plane)).toMatchObject([{ count: 2, sum: 24 }]);
  });

  it('comes in the trailers of gRPC', async () => {
    const { constants } = http2;
    const server = await service((stream, { ':path': path }) => {
      const head = { ':status': 200, 'content-type': 'application/grpc' };
      const end = { 'grpc-status': '0', 'x-order-value': '7' };
      if (path === '/only') {
        stream.respond({ ...head, ...end }, { endStream: true });
        return;
      }
      stream.respond(head, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers(end));
      stream.end(Buffer.from([0, 0, 0, 0, 0]));
    });
    const { plane, port } = await startPlane(
      measured(server.port, { part: 'trailer', strip: true }, 'grpc'),
    );
    const session = connect(port);
    const headers = {
      [constants.HTTP2_HEADER_METHOD]: 'POST',
      'content-type': 'application/grpc',
      te: 'trailers',
    };
    const whole = await call(session, { ...headers, ':path': '/whole' }, '\0\0\0\0\0');
    expect(whole.trailers).toMatchObject({ 'grpc-status': '0' });
    expect(whole.trailers).not.toHaveProperty('x-order-value');
    const only = await call(session, { ...headers, ':path': '/only' }, '\0\0\0\0\0');
    expect(only.headers['grpc-status'] ?? only.trailers['grpc-status']).toBe('0');
    expect(await valuesOf(plane)).toMatchObject([{ count: 2, sum: 14, squares: 98 }]);
  });
});
