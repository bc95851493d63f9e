import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RequestHead } from '#adapters/dataplane-node/http1/request-head.ts';

const limits = { maxHeaderBytes: 8192, maxHeaders: 20, maxTargetBytes: 256 };

const parse = (text: string) => {
  const head = new RequestHead();
  return { head, refusal: head.parse(text, 0, limits) };
};

const factsOf = (head: RequestHead) => [
  head.method,
  head.target,
  head.contentLength,
  head.keepAlive,
  head.expectsContinue,
  head.upgrades,
  head.nominated,
  head.hostField,
];

const request = (...lines: string[]): string => `${lines.join('\r\n')}\r\n\r\n`;

describe('a request head', () => {
  it('reads line, fields and framing', () => {
    const { head, refusal } = parse(
      request(
        'POST /books?q=1 HTTP/1.1',
        'Host: a.example',
        'Content-Length: 12',
        'X-A:b',
        'x-a: \t c \t',
      ),
    );
    expect(refusal).toBeUndefined();
    expect(head).toMatchObject({
      method: 'POST',
      target: '/books?q=1',
      minor: 1,
      contentLength: 12,
      hostField: 'a.example',
      keepAlive: true,
    });
    expect(head.fields.all('x-a')).toEqual(['b', 'c']);
    expect(head.fields.first('missing')).toBeUndefined();
  });

  it.each<[string, number, string[]]>([
    ['two content lengths', 400, ['Content-Length: 5', 'Content-Length: 5']],
    ['different content lengths', 400, ['Content-Length: 5', 'Content-Length: 6']],
    ['a list of lengths', 400, ['Content-Length: 5, 5']],
    ['a signed length', 400, ['Content-Length: +5']],
    ['a negative length', 400, ['Content-Length: -5']],
    ['a hexadecimal length', 400, ['Content-Length: 0x5']],
    ['an empty length', 400, ['Content-Length:']],
    ['a length beyond all numbers', 400, ['Content-Length: 99999999999999999999']],
    ['length and coding', 400, ['Content-Length: 5', 'Transfer-Encoding: chunked']],
    ['coding and length', 400, ['Transfer-Encoding: chunked', 'Content-Length: 5']],
    ['two codings', 400, ['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked']],
    ['an empty coding beside a length', 400, ['Transfer-Encoding:', 'Content-Length: 5']],
    ['an unknown coding', 400, ['Transfer-Encoding: xchunked']],
    ['identity', 400, ['Transfer-Encoding: identity']],
    ['chunked not last', 400, ['Transfer-Encoding: chunked, identity']],
    ['chunked twice', 400, ['Transfer-Encoding: chunked, chunked']],
    ['quoted chunked', 400, ['Transfer-Encoding: "chunked"']],
    ['vertical tab before chunked', 400, ['Transfer-Encoding: \x0bchunked']],
    ['gzip before chunked', 501, ['Transfer-Encoding: gzip, chunked']],
    ['underscore in the coding name', 400, ['Transfer_Encoding: chunked']],
    ['dot in the length name', 400, ['Content.Length: 5']],
    ['space before the colon', 400, ['Content-Length : 5']],
    ['tab before the colon', 400, ['Transfer-Encoding\t: chunked']],
    ['a folded line', 400, ['X-A: 1', ' Transfer-Encoding: chunked']],
    ['a line that starts with a tab', 400, ['X-A: 1', '\tb']],
    ['a bare carriage return', 400, ['X-A: 1\rTransfer-Encoding: chunked']],
    ['a bare line feed', 400, ['X-A: 1\nTransfer-Encoding: chunked']],
    ['a NUL', 400, ['X-A: 1\0']],
    ['a DEL', 400, ['X-A: 1\x7f']],
    ['a name of nothing', 400, [': 1']],
    ['a line without a colon', 400, ['X-A']],
    ['a name with a space', 400, ['X A: 1']],
    ['a name outside ASCII', 400, ['X-\xe4: 1']],
    ['two hosts', 400, ['Host: b.example']],
    ['the same host twice', 400, ['Host: a.example']],
    ['two authorizations', 400, ['Authorization: Bearer a', 'Authorization: Bearer b']],
    ['an authorization in disguise', 400, ['Authorization_: x', 'X_Forwarded_For: 1.1.1.1']],
    ['an expectation that nobody knows', 417, ['Expect: 200-ok']],
    ['a nominated Host', 400, ['Connection: close, Host']],
    ['a nominated Authorization', 400, ['Connection: Authorization']],
    ['a nominated length', 400, ['Connection: content-length', 'Content-Length: 3']],
    ['a nominated forwarded-for', 400, ['Connection: X-Forwarded-For']],
    [
      'a WebSocket upgrade with a body',
      400,
      ['Connection: upgrade', 'Upgrade: websocket', 'Content-Length: 3'],
    ],
    ['21 fields', 431, Array.from({ length: 20 }, (_, i) => `X-${i}: 1`)],
  ])('refuses %s', (_, status, lines) => {
    expect(parse(request('POST / HTTP/1.1', 'Host: a.example', ...lines)).refusal?.status).toBe(
      status,
    );
  });

  it.each<[string, number]>([
    ['GET / HTTP/2.0', 505],
    ['GET / HTTP/1.2', 505],
    ['GET / HTTP/0.9', 505],
    ['GET /', 400],
    ['GET  / HTTP/1.1', 400],
    ['GET / HTTP/1.1 ', 400],
    ['GET / http/1.1', 400],
    ['GET\t/ HTTP/1.1', 400],
    ['get / HTTP/1.1', 400],
    [' GET / HTTP/1.1', 400],
    ['GET /a b HTTP/1.1', 400],
    ['GET /#top HTTP/1.1', 400],
    ['GET /\x00 HTTP/1.1', 400],
    ['GET /\xff HTTP/1.1', 400],
    ['GET /\x7f HTTP/1.1', 400],
    [`GET /${'a'.repeat(300)} HTTP/1.1`, 414],
    ['GET / HTTP/1.1\rX', 400],
  ])('refuses the request line %j', (line, status) => {
    expect(parse(request(line, 'Host: a')).refusal?.status).toBe(status);
  });

  it('refuses HTTP/1.1 without Host, and lets HTTP/1.0 be', () => {
    expect(parse(request('GET / HTTP/1.1')).refusal?.status).toBe(400);
    expect(parse(request('GET / HTTP/1.0')).refusal).toBeUndefined();
  });

  it('refuses chunks from HTTP/1.0', () => {
    expect(parse(request('POST / HTTP/1.0', 'Transfer-Encoding: chunked')).refusal?.status).toBe(
      400,
    );
  });

  it.each<[string, string[], boolean]>([
    ['HTTP/1.1', [], true],
    ['HTTP/1.1', ['Connection: close'], false],
    ['HTTP/1.1', ['Connection: keep-alive, close'], false],
    ['HTTP/1.1', ['Connection: close', 'Connection: keep-alive'], false],
    ['HTTP/1.0', [], false],
    ['HTTP/1.0', ['Connection: Keep-Alive'], true],
    ['HTTP/1.0', ['Connection: close, keep-alive'], false],
  ])('reads from %s %j whether the connection stays', (version, lines, keepAlive) => {
    expect(parse(request(`GET / ${version}`, 'Host: a', ...lines)).head.keepAlive).toBe(keepAlive);
  });

  it('offers an upgrade only for WebSocket that Connection names too', () => {
    const upgrades = (...lines: string[]) =>
      parse(request('GET / HTTP/1.1', 'Host: a', ...lines)).head.upgrades;
    expect(upgrades('Connection: Upgrade', 'Upgrade: WebSocket')).toBe(true);
    expect(upgrades('Upgrade: websocket')).toBe(false);
    expect(upgrades('Connection: upgrade', 'Upgrade: h2c')).toBe(false);
  });

  it('never throws and never forgets what the request before it said', () => {
    const head = new RequestHead();
    const piece = fc.constantFrom(
      'GET',
      'POST',
      ' ',
      '/',
      'HTTP/1.1',
      '\r\n',
      '\r',
      '\n',
      ':',
      'Host',
      'Content-Length',
      'Transfer-Encoding',
      'chunked',
      '5',
      ',',
      '\0',
      'x',
      '\t',
      '\xff',
      'Connection',
      'close',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
        const text = `${pieces.join('')}\r\n\r\n`;
        const again = new RequestHead();
        const refusal = head.parse(text, 0, limits);
        expect(again.parse(text, 0, limits)).toEqual(refusal);
        if (refusal === undefined) expect(factsOf(head)).toEqual(factsOf(again));
      }),
      { numRuns: 2000 },
    );
  });
});
