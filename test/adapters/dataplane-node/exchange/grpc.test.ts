import { describe, expect, it } from 'vitest';
import { failure } from '#adapters/dataplane-node/downstream/local-reply.ts';
import { GrpcCall } from '#adapters/dataplane-node/exchange/grpc.ts';
import { FieldSection } from '#adapters/dataplane-node/http1/field-section.ts';
import { ResponseHead } from '#adapters/dataplane-node/http1/response-head.ts';

const request = (headers: Record<string, string> = {}, method = 'POST') => ({
  method,
  header: (name: string) => ({ 'content-type': 'application/grpc', ...headers })[name],
});

const callOf = (headers: Record<string, string> = {}): GrpcCall => {
  const call = GrpcCall.of(request(headers));
  if (!call) throw new Error('it is a call');
  return call;
};

const head = (status: number, lines = ''): ResponseHead => {
  const parsed = new ResponseHead();
  if (!parsed.parse(`HTTP/1.1 ${status} x\r\n${lines}\r\n`, 'POST')) throw new Error('malformed');
  return parsed;
};

const trailers = (lines: string): FieldSection => {
  const fields = new FieldSection({ refusesAliases: true });
  fields.parse(`${lines}\r\n`, 0, 10);
  return fields;
};

describe('a call', () => {
  it.each([
    ['application/grpc', true],
    ['application/grpc+proto', true],
    ['application/grpc;charset=utf-8', true],
    ['Application/GRPC', true],
    ['application/grpc-web', false],
    ['application/json', false],
  ])('is told by its content type: %s %s', (type, isCall) => {
    expect(GrpcCall.of(request({ 'content-type': type })) !== undefined).toBe(isCall);
  });

  it('is a POST', () => {
    expect(GrpcCall.of(request({}, 'GET'))).toBeUndefined();
  });
});

describe('the deadline', () => {
  it.each([
    ['1H', 3_600_000],
    ['2M', 120_000],
    ['3S', 3000],
    ['4m', 4],
    ['5000u', 5],
    ['1n', 1],
    ['0m', 1],
    ['99999999m', 99_999_999],
  ])("is the caller's %s where the route has none", (timeout, ms) => {
    const set: string[] = [];
    expect(callOf({ 'grpc-timeout': timeout }).deadlineMs(0, set)).toBe(ms);
    expect(set).toEqual([]);
  });

  it.each(['', '1', '1s', '-1S', '1.5S', '123456789S', 'S'])(
    'is that of the route when the caller says %j',
    (timeout) => {
      const set: string[] = [];
      expect(callOf({ 'grpc-timeout': timeout }).deadlineMs(5000, set)).toBe(5000);
      expect(set).toEqual([]);
    },
  );

  it('is the sooner one, and the service is told when it is that of the route', () => {
    const set: string[] = [];
    const call = callOf({ 'grpc-timeout': '10S' });
    expect([call.deadlineMs(20_000, set), set]).toEqual([10_000, []]);
    expect([call.deadlineMs(1500.5, set), set]).toEqual([1500.5, ['grpc-timeout', '1501m']]);
  });
});

describe('an answer', () => {
  it.each([
    [400, 13],
    [401, 16],
    [403, 7],
    [404, 12],
    [429, 8],
    [500, 2],
    [502, 14],
    [503, 14],
    [504, 4],
    [302, 2],
  ])('with HTTP status %i has code %i', (status, code) => {
    const call = callOf();
    expect([call.onHead(head(status)), call.code]).toEqual([status, code]);
  });

  it.each([
    ['0', 0, 200, false],
    ['1', 1, 499, false],
    ['2', 2, 500, true],
    ['4', 4, 504, true],
    ['5', 5, 404, false],
    ['8', 8, 429, false],
    ['12', 12, 501, true],
    ['13', 13, 500, true],
    ['14', 14, 503, true],
    ['15', 15, 500, true],
    ['16', 16, 401, false],
    ['17', 2, 500, true],
    ['-1', 2, 500, true],
    ['00x', 2, 500, true],
  ])('with grpc-status %s has code %i, counts as %i', (said, code, status, isFault) => {
    const inHead = callOf();
    expect(inHead.onHead(head(200, `grpc-status: ${said}\r\n`))).toBe(status);
    const atEnd = callOf();
    expect([atEnd.onHead(head(200)), atEnd.isOpen]).toEqual([undefined, true]);
    expect(atEnd.onEnd(trailers(`grpc-status: ${said}\r\n`))).toBe(status);
    for (const call of [inHead, atEnd])
      expect([call.code, call.isServerFault, call.isOpen]).toEqual([code, isFault, false]);
  });

  it('that ends without a status is UNKNOWN', () => {
    const call = callOf();
    call.onHead(head(200));
    expect([call.onEnd(undefined), call.code]).toEqual([500, 2]);
  });

  it('that cannot be completed says so in trailers', () => {
    const call = callOf();
    call.onHead(head(200));
    expect(call.lastWords(504, 'too slow')).toBe('grpc-status: 4\r\ngrpc-message: too slow\r\n');
    expect([call.code, call.isOpen]).toEqual([4, false]);
  });
});

describe("Weir's own answer", () => {
  it('has status 200 and says the rest in fields', () => {
    const call = callOf();
    const reply = call.reply(failure(429, 'slow down', 'RL', ['retry-after', '1']));
    expect(reply).toMatchObject({ status: 200, flag: 'RL', body: '' });
    expect(reply.headers).toEqual(
      ['content-type', 'application/grpc', 'grpc-status', '8', 'grpc-message', 'slow down'].concat([
        'retry-after',
        '1',
      ]),
    );
    expect(call.isServerFault).toBe(false);
  });

  it('escapes what a field may not hold', () => {
    const { headers } = callOf().reply(failure(403, '100 % of “bücher”\r\nx: y', ''));
    expect(headers[5]).toBe('100 %25 of %E2%80%9Cb%C3%BCcher%E2%80%9D%0D%0Ax: y');
  });
});
