import { describe, expect, it } from 'vitest';
import { FieldSection } from '#adapters/dataplane-node/http1/field-section.ts';
import {
  isOpenEnded,
  isSound,
  requestText,
  responseBlock,
  responseText,
  switchesProtocol,
  trailerBlock,
  trailerFields,
  trailersOf,
  writtenRequest,
} from '#adapters/dataplane-node/http2/head-text.ts';
import { HpackDecoder } from '#adapters/dataplane-node/http2/hpack/decoder.ts';

const fieldsOf = (block: string): readonly string[] => {
  const bytes = Buffer.from(block, 'latin1');
  const list: string[] = [];
  new HpackDecoder({ maxFields: 100, maxBytes: 65_535 }).read(bytes, 0, bytes.length, list);
  return list;
};

const asked = [
  ':method',
  'GET',
  ':scheme',
  'https',
  ':path',
  '/a?b',
  ':authority',
  'api.bibby.com',
];

describe('the head of a request', () => {
  it('is written as one of HTTP/1.1', () => {
    expect(requestText([...asked, 'accept', '*/*', 'x-a', ''])).toEqual({
      text: 'GET /a?b HTTP/1.1\r\nhost: api.bibby.com\r\naccept: */*\r\nx-a: \r\n\r\n',
      fields: 3,
    });
  });

  it('takes the place from Host too, and cookies in pieces', () => {
    const { text } =
      requestText(
        asked
          .slice(0, 6)
          .concat(['host', 'api.bibby.com', 'cookie', 'a=1', 'x-a', '1', 'cookie', 'b=2']),
      ) ?? {};
    expect(text).toBe(
      'GET /a?b HTTP/1.1\r\nhost: api.bibby.com\r\nx-a: 1\r\ncookie: a=1; b=2\r\n\r\n',
    );
  });

  it('may say its place twice if it is the same', () => {
    expect(requestText([...asked, 'host', 'API.bibby.com'])?.fields).toBe(1);
  });

  it('of OPTIONS may ask about the server as a whole, of CONNECT names a place alone', () => {
    expect(
      requestText([':method', 'OPTIONS', ':scheme', 'http', ':path', '*', ':authority', 'a'])?.text,
    ).toBe('OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n');
    expect(requestText([':method', 'CONNECT', ':authority', 'a:443'])?.text).toBe(
      'CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\n\r\n',
    );
  });

  it.each([
    ['no method', asked.slice(2)],
    ['no scheme', [...asked.slice(0, 2), ...asked.slice(4)]],
    ['no path', [...asked.slice(0, 4), ...asked.slice(6)]],
    ['another scheme', [':method', 'GET', ':scheme', 'ftp', ':path', '/']],
    ['an absolute path', [':method', 'GET', ':scheme', 'http', ':path', 'http://a/']],
    ['an empty path', [':method', 'GET', ':scheme', 'http', ':path', '']],
    ['an unknown pseudo field', [...asked, ':protocol', 'websocket']],
    ['a status', [...asked, ':status', '200']],
    ['a pseudo field twice', [...asked, ':path', '/b']],
    ['a pseudo field after others', [...asked.slice(0, 6), 'x-a', '1', ':authority', 'a']],
    ['two places', [...asked, 'host', 'evil.com']],
    ['Host twice', [...asked, 'host', 'api.bibby.com', 'host', 'api.bibby.com']],
    ['Connection', [...asked, 'connection', 'x-a']],
    ['Keep-Alive', [...asked, 'keep-alive', '1']],
    ['Proxy-Connection', [...asked, 'proxy-connection', 'close']],
    ['Transfer-Encoding', [...asked, 'transfer-encoding', 'chunked']],
    ['Upgrade', [...asked, 'upgrade', 'websocket']],
    ['TE of more than trailers', [...asked, 'te', 'gzip']],
  ])('is refused with %s', (_what, list) => {
    expect(requestText(list)).toBeUndefined();
  });

  it('is sound only if it has the fields that it was made of', () => {
    const found = (list: readonly string[]): boolean => {
      const head = requestText(list);
      if (!head) return false;
      const fields = new FieldSection({ refusesAliases: true });
      const isParsed = fields.parse(head.text, head.text.indexOf('\r\n') + 2, 100) === undefined;
      return isParsed && isSound(head, fields);
    };
    expect(found([...asked, 'x-a', '1'])).toBe(true);
    expect(found([...asked, 'x-a', '1\r\nx-user-id: root'])).toBe(false);
    expect(found([...asked, 'x-a', '1\r\n\r\nGET /evil HTTP/1.1'])).toBe(false);
    expect(found([...asked, 'x-a\r\nx-b', '1'])).toBe(false);
  });
});

describe('the head of an answer', () => {
  it('is written as one of HTTP/1.1', () => {
    expect(responseText([':status', '200', 'x-a', '1'])).toEqual({
      text: 'HTTP/1.1 200 OK\r\nx-a: 1\r\n\r\n',
      fields: 1,
    });
  });

  it.each([
    ['two statuses', [':status', '200', ':status', '200']],
    ['a status after fields', ['x-a', '1', ':status', '200']],
    ['a pseudo field of requests', [':status', '200', ':path', '/']],
    ['Connection', [':status', '200', 'connection', 'close']],
    ['Transfer-Encoding', [':status', '200', 'transfer-encoding', 'chunked']],
  ])('is refused with %s', (_what, list) => {
    expect(responseText(list)).toBeUndefined();
  });

  it('written by Weir is a block without what one connection of HTTP/1.1 needs', () => {
    const text =
      'HTTP/1.1 404 Not Found\r\nContent-Type: a: b\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n';
    expect(fieldsOf(responseBlock(text))).toEqual([':status', '404', 'content-type', 'a: b']);
    expect([isOpenEnded(text), switchesProtocol(text)]).toEqual([true, false]);
  });
});

describe('a request written by Weir', () => {
  it('is taken apart, its place first named as such', () => {
    const text = 'PUT /a%20b?c HTTP/1.1\r\nhost: api.bibby.com\r\nX-A: 1\r\nupgrade: h2c\r\n\r\n';
    expect(writtenRequest(text, 'https')).toEqual(
      [':method', 'PUT', ':scheme', 'https', ':path', '/a%20b?c'].concat([
        ':authority',
        'api.bibby.com',
        'x-a',
        '1',
      ]),
    );
    expect([isOpenEnded(text), switchesProtocol(text)]).toEqual([false, true]);
  });
});

describe('trailers', () => {
  it('are read by the rules of heads', () => {
    expect(trailersOf(['x-sum', '9', 'grpc-status', '0'])?.first('grpc-status')).toBe('0');
    expect(trailersOf([])?.count).toBe(0);
  });

  it.each([
    ['a pseudo field', [':status', '200']],
    ['Connection', ['connection', 'close']],
    ['a line end in a value', ['x-a', '1\r\nx-b: 2']],
    ['a line end in a name', ['x-a: 1\r\nx-b', '2']],
  ])('are refused with %s', (_what, list) => {
    expect(trailersOf(list)).toBeUndefined();
  });

  it('written by Weir are taken apart, each name with all of its values', () => {
    const fields = trailerFields('X-A: 1\r\n__proto__: x\r\nx-a: 2\r\n');
    expect(Object.entries(fields)).toEqual([
      ['x-a', ['1', '2']],
      ['__proto__', ['x']],
    ]);
    expect(trailerFields('')).toEqual({});
    expect(fieldsOf(trailerBlock('X-A: 1\r\nx-a: 2\r\n'))).toEqual(['x-a', '1', 'x-a', '2']);
  });

  it('keep their last byte, which in UTF-8 may look like a space', () => {
    const lines = 'x-a: voil\xc3\xa0\r\n';
    expect(trailerFields(lines)['x-a']).toEqual(['voil\xc3\xa0']);
    expect(fieldsOf(trailerBlock(lines))).toEqual(['x-a', 'voil\xc3\xa0']);
  });
});
