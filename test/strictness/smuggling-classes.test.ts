// The case classes of public request smuggling research, by name. Each carries a second request that nobody but a confused
// parser would see.
import { describe, expect, it } from 'vitest';
import { simplePipeline, upstream, viewOf } from '#test/adapters/dataplane-node/support.ts';
import { inMemoryProxy } from './in-memory.ts';
import { smuggled } from './requests.ts';
import { readStrictly } from './strict-reader.ts';

const view = viewOf([upstream([1])]);
const proxy = await inMemoryProxy({
  answer: (text) =>
    readStrictly(text).messages.length > 0
      ? ['HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok']
      : undefined,
  view,
  pipeline: simplePipeline(view, { action: { timeoutMs: 0 } }),
});

const request = (lines: readonly string[], body: string, line = 'POST /one HTTP/1.1'): string =>
  [line, 'Host: a', ...lines, '', body].join('\r\n');

const chunked = `${smuggled.length.toString(16)}\r\n${smuggled}\r\n0\r\n\r\n`;
/** One reader takes it for the end of chunks, the other one for a body of this length. */
const both = `0\r\n\r\n${smuggled}`;

/** Spellings of the coding that some server or other has taken for `chunked`, or for nothing. */
const codings: readonly string[] = [
  'Transfer-Encoding : chunked',
  'Transfer-Encoding\t: chunked',
  ' Transfer-Encoding: chunked',
  '\tTransfer-Encoding: chunked',
  'Transfer-Encoding:\x0bchunked',
  'Transfer-Encoding:\x0cchunked',
  'Transfer-Encoding:\0chunked',
  'Transfer-Encoding:\x85chunked',
  'Transfer-Encoding:\xa0chunked',
  'Transfer-Encoding: \xffchunked',
  'Transfer-Encoding: chunked\x0b',
  'Transfer-Encoding: chunked\0',
  'Transfer-Encoding: chunked\r',
  'Transfer-Encoding: \rchunked',
  'Transfer-Encoding:\n chunked',
  'Transfer-Encoding:\r\n chunked',
  'Transfer-Encoding\r\n: chunked',
  'Transfer-Encoding\n: chunked',
  'X: y\nTransfer-Encoding: chunked',
  'X: y\rTransfer-Encoding: chunked',
  'X: y\r\n\rTransfer-Encoding: chunked',
  'Transfer-Encoding: xchunked',
  'Transfer-Encoding: chunkedx',
  'Transfer-Encoding: chun ked',
  'Transfer-Encoding: "chunked"',
  "Transfer-Encoding: 'chunked'",
  'Transfer-Encoding: chunked;',
  'Transfer-Encoding: chunked; q=1',
  'Transfer-Encoding: chunked,',
  'Transfer-Encoding: ,chunked',
  'Transfer-Encoding: chunked, chunked',
  'Transfer-Encoding: chunked, identity',
  'Transfer-Encoding: identity, chunked',
  'Transfer-Encoding: identity',
  'Transfer-Encoding: gzip, chunked',
  'Transfer-Encoding: chunked, gzip',
  'Transfer-Encoding: x',
  'Transfer-Encoding:',
  'Transfer-Encoding',
  'Transfer_Encoding: chunked',
  'Transfer.Encoding: chunked',
  'Transfer~Encoding: chunked',
  'Transfer\xadEncoding: chunked',
  'Transfer\xe2\x80\x90Encoding: chunked',
  'Tran\xc5\xbffer-Encoding: chunked',
  'Transfer-\xc4\x92ncoding: chunked',
  '\0Transfer-Encoding: chunked',
  'Transfer-Encoding: chunked\r\nTransfer-Encoding: identity',
  'Transfer-Encoding: identity\r\nTransfer-Encoding: chunked',
  'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked',
  'Transfer-Encoding:\r\nTransfer-Encoding: chunked',
];

const lengths: readonly string[] = [
  '+5',
  '-5',
  '-0',
  '5 5',
  '5,5',
  '5, 5',
  '5,6',
  '0,5',
  '5;',
  '5.0',
  '5e0',
  '0x5',
  '0b101',
  '0o5',
  '5_0',
  "5'000",
  '"5"',
  '\x0b5',
  '5\0',
  '\xa05',
  '\xd9\xa5',
  '',
  'five',
  'NaN',
  'Infinity',
  '18446744073709551621',
  '9999999999999999',
  `${'0'.repeat(400)}5`,
];

const chunkBodies: Readonly<Record<string, string>> = {
  'a sign': `+5\r\nhello\r\n0\r\n\r\n${smuggled}`,
  'a minus': `-5\r\nhello\r\n0\r\n\r\n${smuggled}`,
  'a prefix': `0x5\r\nhello\r\n0\r\n\r\n${smuggled}`,
  'an underscore': `0_5\r\nhello\r\n0\r\n\r\n${smuggled}`,
  'a blank before': ` 5\r\nhello\r\n0\r\n\r\n${smuggled}`,
  'a blank after': `5 \r\nhello\r\n0\r\n\r\n${smuggled}`,
  'a tab after': `5\t\r\nhello\r\n0\r\n\r\n${smuggled}`,
  'a NUL after': `5\0\r\nhello\r\n0\r\n\r\n${smuggled}`,
  'a high byte': `5\xb2\r\nhello\r\n0\r\n\r\n${smuggled}`,
  'nothing for a size': `\r\nhello\r\n0\r\n\r\n${smuggled}`,
  'an overflowing size': `10000000000000005\r\nhello\r\n0\r\n\r\n${smuggled}`,
  'a bare line feed after the size': `5\nhello\r\n0\r\n\r\n${smuggled}`,
  'a bare carriage return after the size': `5\rhello\r\n0\r\n\r\n${smuggled}`,
  'a bare line feed after the data': `5\r\nhello\n0\r\n\r\n${smuggled}`,
  'nothing after the data': `5\r\nhello0\r\n\r\n${smuggled}`,
  'two bytes of anything after the data': `5\r\nhelloXX0\r\n\r\n${smuggled}`,
  'a bare line feed at the end': `5\r\nhello\r\n0\r\n\n${smuggled}`,
  'two line feeds at the end': `5\r\nhello\r\n0\n\n${smuggled}`,
  'a line feed in an extension': `5;\nhello\r\n0\r\n\r\n${smuggled}`,
  'a carriage return in an extension': `5;a\rb\r\nhello\r\n0\r\n\r\n${smuggled}`,
  'a line feed in a quoted extension': `5;a="\nb"\r\nhello\r\n0\r\n\r\n${smuggled}`,
  'an escaped line feed in an extension': `5;a="\\\nb"\r\nhello\r\n0\r\n\r\n${smuggled}`,
  'an end that is an extension': `5\r\nhello\r\n0;\n\r\n${smuggled}`,
  'a folded trailer': `5\r\nhello\r\n0\r\nX: y\r\n z\r\n\r\n${smuggled}`,
  'a trailer without a colon': `5\r\nhello\r\n0\r\nGET / HTTP/1.1\r\n\r\n${smuggled}`,
  'a bare line feed in a trailer': `5\r\nhello\r\n0\r\nX: y\nZ: x\r\n\r\n${smuggled}`,
  'a trailer in disguise': `5\r\nhello\r\n0\r\nContent_Length: 5\r\n\r\n${smuggled}`,
};

const lines: Readonly<Record<string, string>> = {
  'HTTP/0.9': `GET /one\r\n\r\n${smuggled}`,
  'two blanks before the version': `GET /one  HTTP/1.1\r\nHost: a\r\n\r\n${smuggled}`,
  'two blanks before the target': `GET  /one HTTP/1.1\r\nHost: a\r\n\r\n${smuggled}`,
  'a blank in the target': `GET /one two HTTP/1.1\r\nHost: a\r\n\r\n${smuggled}`,
  'tabs for blanks': `GET\t/one\tHTTP/1.1\r\nHost: a\r\n\r\n${smuggled}`,
  'a blank after the version': `GET /one HTTP/1.1 \r\nHost: a\r\n\r\n${smuggled}`,
  'a blank before the method': ` GET /one HTTP/1.1\r\nHost: a\r\n\r\n${smuggled}`,
  'a method in lower case': `get /one HTTP/1.1\r\nHost: a\r\n\r\n${smuggled}`,
  'a NUL in the method': `GE\0T /one HTTP/1.1\r\nHost: a\r\n\r\n${smuggled}`,
  'a NUL in the target': `GET /o\0ne HTTP/1.1\r\nHost: a\r\n\r\n${smuggled}`,
  'a carriage return in the line': `GET /one\rHTTP/1.1\r\nHost: a\r\n\r\n${smuggled}`,
  'a version in lower case': `GET /one http/1.1\r\nHost: a\r\n\r\n${smuggled}`,
  'a version that says too much': `GET /one HTTP/1.1/HTTP/1.0\r\nHost: a\r\n\r\n${smuggled}`,
  'a version of two digits': `GET /one HTTP/1.10\r\nHost: a\r\n\r\n${smuggled}`,
  'HTTP/3.1': `GET /one HTTP/3.1\r\nHost: a\r\n\r\n${smuggled}`,
  'bare line feeds': `GET /one HTTP/1.1\nHost: a\n\n${smuggled}`,
  'one bare line feed': `GET /one HTTP/1.1\r\nHost: a\nX: y\r\n\r\n${smuggled}`,
  'an empty line of a line feed': `GET /one HTTP/1.1\r\nHost: a\r\n\n${smuggled}`,
  'a header without a name': `GET /one HTTP/1.1\r\n: x\r\nHost: a\r\n\r\n${smuggled}`,
  'a header without a colon': `GET /one HTTP/1.1\r\nHost: a\r\nX\r\n\r\n${smuggled}`,
  'a folded first header': `GET /one HTTP/1.1\r\n Host: a\r\n\r\n${smuggled}`,
  'a folded Host': `GET /one HTTP/1.1\r\nHost: a\r\n b\r\n\r\n${smuggled}`,
  'two hosts': `GET /one HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n${smuggled}`,
  'two hosts that are the same': `GET /one HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n${smuggled}`,
  'a host in disguise': `GET /one HTTP/1.1\r\nHost: a\r\nHost : b\r\n\r\n${smuggled}`,
  'no host': `GET /one HTTP/1.1\r\nX: a\r\n\r\n${smuggled}`,
  'an empty host': `GET /one HTTP/1.1\r\nHost:\r\n\r\n${smuggled}`,
  'a list of hosts': `GET /one HTTP/1.1\r\nHost: a, b\r\n\r\n${smuggled}`,
  'a host with a user': `GET /one HTTP/1.1\r\nHost: b@a\r\n\r\n${smuggled}`,
  'a host with a path': `GET /one HTTP/1.1\r\nHost: a/b\r\n\r\n${smuggled}`,
  'a host with a fragment': `GET /one HTTP/1.1\r\nHost: a#b\r\n\r\n${smuggled}`,
  'a host with a port that is none': `GET /one HTTP/1.1\r\nHost: a:8x\r\n\r\n${smuggled}`,
  'another host in the target': `GET http://b/one HTTP/1.1\r\nHost: a\r\n\r\n${smuggled}`,
  'a user in the target': `GET http://a@b/one HTTP/1.1\r\nHost: a\r\n\r\n${smuggled}`,
  'a target without a slash': `GET one HTTP/1.1\r\nHost: a\r\n\r\n${smuggled}`,
  'a target that is a name': `GET @b/one HTTP/1.1\r\nHost: a\r\n\r\n${smuggled}`,
  'an authority for a target': `GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n${smuggled}`,
  CONNECT: `CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n${smuggled}`,
  'a length that Connection names': `POST /one HTTP/1.1\r\nHost: a\r\nConnection: Content-Length\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}`,
  'a coding that Connection names': `POST /one HTTP/1.1\r\nHost: a\r\nConnection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n${chunked}`,
  'a Host that Connection names': `GET /one HTTP/1.1\r\nHost: a\r\nConnection: Host\r\n\r\n${smuggled}`,
  'an Authorization that Connection names': `GET /one HTTP/1.1\r\nHost: a\r\nConnection: close, authorization\r\nAuthorization: x\r\n\r\n${smuggled}`,
  'a coding in HTTP/1.0': `POST /one HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n${chunked}`,
  'an upgrade with a body': `POST /one HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}`,
  'another expectation': `POST /one HTTP/1.1\r\nHost: a\r\nExpect: y 100-continue\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}`,
  'two expectations': `POST /one HTTP/1.1\r\nHost: a\r\nExpect: 100-continue, 100-continue\r\nContent-Length: 5\r\n\r\nhello${smuggled}`,
};

const refused: readonly (readonly [string, string])[] = [
  ['CL.TE', request([`Content-Length: ${both.length}`, 'Transfer-Encoding: chunked'], both)],
  ['TE.CL', request(['Transfer-Encoding: chunked', 'Content-Length: 4'], chunked)],
  ['two lengths', request(['Content-Length: 0', `Content-Length: ${smuggled.length}`], smuggled)],
  ['two equal lengths', request(['Content-Length: 5', 'Content-Length: 5'], `hello${smuggled}`)],
  ...codings.flatMap((coding): (readonly [string, string])[] => [
    [`TE.TE ${JSON.stringify(coding)}`, request(['Transfer-Encoding: chunked', coding], both)],
    [`CL.TE ${JSON.stringify(coding)}`, request([`Content-Length: ${both.length}`, coding], both)],
    [`TE.CL ${JSON.stringify(coding)}`, request([coding, 'Content-Length: 4'], chunked)],
  ]),
  ...lengths.map((length): [string, string] => [
    `Content-Length ${JSON.stringify(length)}`,
    request([`Content-Length: ${length}`], `hello${smuggled}`),
  ]),
  ...Object.entries(lines),
];

/** What a field name in disguise, which nobody takes for the real one, leaves as it was. */
const isPassed = (text: string): boolean => readStrictly(text).messages.length > 0;

describe('a request that two readers may read differently', () => {
  it.each(refused)('%s is refused, or one message as long as it says', (_, text) => {
    const { sent, answers, closed } = proxy.talk([text]);
    const heard = readStrictly(sent).messages;
    if (!isPassed(text) || heard.length === 0) {
      expect(sent).toBe('');
      expect(answers).toMatch(/^HTTP\/1\.1 (?:400|417|501|505) [^]*connection: close\r\n/);
      expect(closed).toBe(true);
      return;
    }
    // A strict reader has no doubt about it: then the upstream has none either.
    const said = readStrictly(text).messages.map(({ body }) => body);
    expect(heard.map(({ body }) => body)).toEqual(said.slice(0, heard.length));
    expect(sent).not.toMatch(/transfer.encoding[^:]*:/i);
  });

  it.each(Object.entries(chunkBodies))('chunks with %s end the connection', (_, body) => {
    const text = request(['Transfer-Encoding: chunked'], body);
    for (const pieces of [[text], [text.slice(0, -body.length), ...body.split('')]]) {
      const { sent, answers, closed } = proxy.talk(pieces);
      expect(readStrictly(sent).messages).toEqual([]);
      expect(sent).not.toContain('\r\n\r\nGET /smuggled');
      expect(answers).not.toMatch(/HTTP\/1\.1 200 /);
      expect(closed || answers === '').toBe(true);
    }
  });
});

describe('a request with only one meaning', () => {
  it.each([
    ['CL.0', request([`Content-Length: ${smuggled.length}`], smuggled, 'GET /one HTTP/1.1')],
    [
      'CL.0 of HEAD',
      request([`Content-Length: ${smuggled.length}`], smuggled, 'HEAD /one HTTP/1.1'),
    ],
    [
      'CL.0 of OPTIONS',
      request([`Content-Length: ${smuggled.length}`], smuggled, 'OPTIONS * HTTP/1.1'),
    ],
    ['TE.0', request(['Transfer-Encoding: chunked'], chunked, 'GET /one HTTP/1.1')],
    [
      '0.CL after an expectation',
      request(['Expect: 100-continue', `Content-Length: ${smuggled.length}`], smuggled),
    ],
    ['a padded length', request([`Content-Length:\t ${smuggled.length} \t`], smuggled)],
    ['a length with a zero in front', request([`Content-Length: 0${smuggled.length}`], smuggled)],
    ['a coding in capitals', request(['TRANSFER-ENCODING:   CHUNKED  '], chunked)],
    [
      'extensions',
      request(['Transfer-Encoding: chunked'], `5;a=b;c="d"\r\nhello\r\n0;e\r\nX: y\r\n\r\n`),
    ],
    [
      'a length in HTTP/1.0',
      request([`Content-Length: ${smuggled.length}`], smuggled, 'POST /one HTTP/1.0'),
    ],
  ])('%s is one request, with its body inside', (_, text) => {
    const { sent } = proxy.talk([text]);
    const [said] = readStrictly(text).messages;
    const heard = readStrictly(sent);
    expect(heard.rest).toBe('');
    expect(heard.messages.map(({ body }) => body)).toEqual([said?.body]);
    const framing = heard.messages[0]?.fields.filter(([name]) => /length|encoding/.test(name));
    expect(framing).toHaveLength(1);
  });
});
