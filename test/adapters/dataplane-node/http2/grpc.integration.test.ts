import grpc from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { closeAll, rawUpstream, startPlane, upstream, viewOf } from '../support.ts';
import {
  type InteropClient,
  type InteropServer,
  interopClient,
  interopServer,
  type Message,
  unary,
} from './interop.ts';

const { status } = grpc;

const endOf = (
  call: grpc.ClientReadableStream<Message> | grpc.ClientDuplexStream<Message, Message>,
): Promise<grpc.StatusObject> =>
  new Promise((resolve) => {
    call.on('error', () => {});
    call.on('status', resolve);
  });

afterEach(closeAll);

describe("gRPC's interoperability cases", () => {
  let server: InteropServer;
  let client: InteropClient;

  beforeEach(async () => {
    server = await interopServer();
    const { port } = await startPlane(viewOf([upstream([server.port], { protocol: 'grpc' })]));
    client = interopClient(port);
  });

  it('empty_unary', async () => {
    expect(await unary(client.EmptyCall.bind(client))).toMatchObject({
      code: status.OK,
      answer: {},
    });
  });

  it('large_unary', async () => {
    const told = await unary(client.UnaryCall.bind(client), { bytes: 271_828, wants: [314_159] });
    expect(told).toMatchObject({ code: status.OK, answer: { bytes: 314_159 } });
  });

  it('client_streaming', async () => {
    const answer = await new Promise((resolve, reject) => {
      const call = client.StreamingInputCall((error, given) =>
        error ? reject(error) : resolve(given),
      );
      for (const bytes of [27_182, 8, 1828, 45_904]) call.write({ bytes });
      call.end();
    });
    expect(answer).toEqual({ wants: [74_922] });
  });

  it('server_streaming', async () => {
    const sizes = [31_415, 9, 2653, 58_979];
    const call = client.StreamingOutputCall({ wants: sizes });
    const got: (number | undefined)[] = [];
    call.on('data', (message: Message) => got.push(message.bytes));
    expect((await endOf(call)).code).toBe(status.OK);
    expect(got).toEqual(sizes);
  });

  it('ping_pong', async () => {
    const call = client.FullDuplexCall();
    const done = endOf(call);
    const got: (number | undefined)[] = [];
    call.on('data', (message: Message) => got.push(message.bytes));
    const sizes = [31_415, 9, 2653, 58_979];
    for (const [i, bytes] of [27_182, 8, 1828, 45_904].entries()) {
      call.write({ bytes, wants: [sizes[i] as number] });
      await expect.poll(() => got).toEqual(sizes.slice(0, i + 1));
    }
    call.end();
    expect((await done).code).toBe(status.OK);
  });

  it('empty_stream', async () => {
    const call = client.FullDuplexCall();
    call.on('data', () => {});
    call.end();
    expect((await endOf(call)).code).toBe(status.OK);
  });

  it('cancel_after_begin', async () => {
    const code = await new Promise<number | undefined>((resolve) => {
      const call = client.StreamingInputCall((error) => resolve(error?.code));
      call.on('error', () => {});
      call.cancel();
    });
    expect(code).toBe(status.CANCELLED);
  });

  it('cancel_after_first_response', async () => {
    const call = client.FullDuplexCall();
    const done = endOf(call);
    call.once('data', () => call.cancel());
    call.write({ bytes: 27_182, wants: [31_415] });
    expect((await done).code).toBe(status.CANCELLED);
    await expect.poll(() => server.cancelled).toContain('FullDuplexCall');
  });

  it('timeout_on_sleeping_server', async () => {
    const call = client.FullDuplexCall(new grpc.Metadata(), { deadline: Date.now() + 1 });
    call.on('data', () => {});
    call.write({ bytes: 27_182 });
    expect((await endOf(call)).code).toBe(status.DEADLINE_EXCEEDED);
  });

  it.each([
    ['status_code_and_message', 'test status message'],
    ['special_status_message', '\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n'],
  ])('%s', async (_, message) => {
    const wanted = { code: status.UNKNOWN, message };
    expect(await unary(client.UnaryCall.bind(client), { status: wanted })).toMatchObject({
      code: status.UNKNOWN,
      details: message,
    });
    const call = client.FullDuplexCall();
    call.on('data', () => {});
    call.write({ status: wanted });
    call.end();
    expect(await endOf(call)).toMatchObject({ code: status.UNKNOWN, details: message });
  });

  it('unimplemented_method', async () => {
    const told = await unary(client.UnimplementedCall.bind(client));
    expect(told.code).toBe(status.UNIMPLEMENTED);
  });

  it('custom_metadata', async () => {
    const metadata = new grpc.Metadata();
    const trailing = Buffer.from([0xab, 0xab, 0xab]);
    metadata.set('x-grpc-test-echo-initial', 'test_initial_metadata_value');
    metadata.set('x-grpc-test-echo-trailing-bin', trailing);
    const told = await unary(client.UnaryCall.bind(client), { wants: [1] }, metadata);
    expect(told.initial?.get('x-grpc-test-echo-initial')).toEqual(['test_initial_metadata_value']);
    expect(told.metadata.get('x-grpc-test-echo-trailing-bin')).toEqual([trailing]);
    const call = client.FullDuplexCall(metadata);
    let initial: grpc.Metadata | undefined;
    call.on('metadata', (given) => (initial = given));
    call.on('data', () => {});
    call.write({ bytes: 1, wants: [1] });
    call.end();
    const end = await endOf(call);
    expect(initial?.get('x-grpc-test-echo-initial')).toEqual(['test_initial_metadata_value']);
    expect(end.metadata.get('x-grpc-test-echo-trailing-bin')).toEqual([trailing]);
  });
});

describe('a gRPC caller', () => {
  it.each([
    [400, status.INTERNAL],
    [401, status.UNAUTHENTICATED],
    [403, status.PERMISSION_DENIED],
    [404, status.UNIMPLEMENTED],
    [429, status.RESOURCE_EXHAUSTED],
    [503, status.UNAVAILABLE],
    [504, status.DEADLINE_EXCEEDED],
    [418, status.UNKNOWN],
  ])('is told of a local %d as status %d, with the reason', async (httpStatus, code) => {
    const { port } = await startPlane(viewOf([]), {
      pipeline: {
        handle: () => ({
          type: 'respond',
          status: httpStatus,
          error: 'No',
          reason: 'because of ☺',
          flag: '',
          headers: ['retry-after', '3'],
        }),
      },
    });
    const told = await unary(interopClient(port).EmptyCall.bind(interopClient(port)));
    expect(told).toMatchObject({ code, details: 'because of ☺' });
    expect(told.metadata.get('retry-after')).toEqual(['3']);
  });

  it('is told that the service is away', async () => {
    const { port } = await startPlane(viewOf([upstream([1], { protocol: 'grpc' })]));
    const client = interopClient(port);
    expect((await unary(client.EmptyCall.bind(client))).code).toBe(status.UNAVAILABLE);
  });

  it("gets the route's deadline when it is the sooner one, and the service is told", async () => {
    const server = await interopServer();
    const { port } = await startPlane(viewOf([upstream([server.port], { protocol: 'grpc' })]), {
      action: { timeoutMs: 300 },
    });
    const client = interopClient(port);
    await unary(client.EmptyCall.bind(client), {}, new grpc.Metadata(), {
      deadline: Date.now() + 60_000,
    });
    const call = client.FullDuplexCall(new grpc.Metadata(), { deadline: Date.now() + 60_000 });
    call.on('data', () => {});
    call.write({ bytes: 1, wants: [1] });
    expect((await endOf(call)).code).toBe(status.DEADLINE_EXCEEDED);
    await expect.poll(() => server.cancelled).toContain('FullDuplexCall');
  });

  it('has its own deadline kept to by Weir', async () => {
    const asked: string[] = [];
    const server = await rawUpstream((_socket, text) => {
      asked.push(text);
      return false;
    });
    const { port, plane } = await startPlane(viewOf([upstream([server.port])]), {
      action: { timeoutMs: 0 },
    });
    const client = interopClient(port);
    const told = unary(client.EmptyCall.bind(client), {}, new grpc.Metadata(), {
      deadline: Date.now() + 200,
    });
    expect((await told).code).toBe(status.DEADLINE_EXCEEDED);
    await expect.poll(() => plane.stats().exchanges).toBe(0);
    expect(asked[0]).toMatch(/grpc-timeout: [0-9]+m\r\n/);
  });

  it('is tried again on the statuses that policy names', async () => {
    const server = await interopServer();
    const { port } = await startPlane(viewOf([upstream([server.port], { protocol: 'grpc' })]), {
      action: {
        retry: {
          attempts: 2,
          on: ['resource-exhausted'],
          perTryTimeoutMs: 0,
          backoffMs: 1,
          budgetPercent: 100,
          minRetries: 10,
        },
      },
    });
    const client = interopClient(port);
    const ask = (code: number) =>
      unary(client.UnaryCall.bind(client), { status: { code, message: 'no' } });
    expect((await ask(status.RESOURCE_EXHAUSTED)).code).toBe(status.RESOURCE_EXHAUSTED);
    expect(server.calls).toBe(3);
    expect((await ask(status.UNAVAILABLE)).code).toBe(status.UNAVAILABLE);
    expect(server.calls).toBe(4);
  });

  it('counts as failed by its status', async () => {
    const server = await interopServer();
    const { port, plane } = await startPlane(
      viewOf([upstream([server.port], { protocol: 'grpc' })]),
    );
    const client = interopClient(port);
    for (const code of [status.OK, status.NOT_FOUND, status.INTERNAL, status.UNAVAILABLE])
      await unary(client.UnaryCall.bind(client), {
        ...(code !== status.OK && { status: { code, message: 'no' } }),
      });
    const counted = { requests: 0, errors: 0 };
    for await (const { series } of plane.samples()) {
      for (const each of series) {
        counted.requests += each.requests;
        counted.errors += each.errors;
      }
      if (counted.requests >= 4) break;
    }
    expect(counted).toEqual({ requests: 4, errors: 2 });
  });
});
