import { afterEach, describe, expect, it } from 'vitest';
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

const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const tracestate = 'congo=t61rcWkgMzE,rojo=00f067aa0ba902b7';
const context = { traceparent, tracestate };
const lines = `Traceparent: ${traceparent}\r\nTracestate: congo=t61rcWkgMzE\r\ntracestate: rojo=00f067aa0ba902b7\r\n`;
const retry = {
  attempts: 2,
  on: ['5xx'],
  perTryTimeoutMs: 0,
  backoffMs: 1,
  budgetPercent: 100,
  minRetries: 10,
};

/** As a service over HTTP/1.1 would read it: lines of one name are one list. */
const contextIn = (head: string) => {
  const valueOf = (name: string): string =>
    [...head.matchAll(new RegExp(`^${name}: (.*)\\r$`, 'gim'))].map(([, value]) => value).join(',');
  return { traceparent: valueOf('traceparent'), tracestate: valueOf('tracestate') };
};

describe('trace context', () => {
  it('goes with every try over HTTP/1.1', async () => {
    const heads: string[] = [];
    const server = await rawUpstream((socket, text) => {
      heads.push(text);
      socket.write(
        heads.length < 3 ? 'HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n' : ok('done'),
      );
      return true;
    });
    const { port } = await startPlane(viewOf([upstream([server.port])]), { action: { retry } });
    const caller = await rawCaller(port);
    caller.send(get('/', lines));
    await caller.until('done');
    expect(heads.map(contextIn)).toEqual([context, context, context]);
  });

  it('goes from HTTP/2 to HTTP/1.1', async () => {
    const heads: string[] = [];
    const server = await rawUpstream((socket, text) => {
      heads.push(text);
      socket.write(ok('done'));
      return true;
    });
    const { port } = await startPlane(viewOf([upstream([server.port])]));
    expect((await call(connect(port), { ':path': '/', ...context })).status).toBe(200);
    expect(heads.map(contextIn)).toEqual([context]);
  });

  it('goes from HTTP/1.1 to HTTP/2', async () => {
    const server = await service((stream) => {
      stream.respond({ ':status': 200, 'content-length': 4 });
      stream.end('done');
    });
    const { port } = await startPlane(viewOf([upstream([server.port], { protocol: 'http2' })]));
    const caller = await rawCaller(port);
    caller.send(get('/', lines));
    await caller.until('done');
    expect(server.heads[0]?.['traceparent']).toBe(traceparent);
    expect(String(server.heads[0]?.['tracestate']).replaceAll(', ', ',')).toBe(tracestate);
  });

  it('goes with every try of a call of gRPC', async () => {
    const server = await service((stream) => {
      const code = server.heads.length < 3 ? '14' : '0';
      const head = { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': code };
      stream.respond(head, { endStream: true });
    });
    const { port } = await startPlane(viewOf([upstream([server.port], { protocol: 'grpc' })]), {
      action: { retry: { ...retry, on: ['unavailable'] } },
    });
    const grpc = { ':method': 'POST', ':path': '/a.B/C', 'content-type': 'application/grpc' };
    await call(connect(port), { ...grpc, te: 'trailers', ...context }, '\0\0\0\0\0');
    expect(server.heads).toHaveLength(3);
    for (const head of server.heads) expect(head).toMatchObject(context);
  });
});
