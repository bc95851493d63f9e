// The upstream's side: whatever an upstream says to one request, the caller's next request gets its own answer or none.
import { describe, expect, it } from 'vitest';
import { simplePipeline, upstream, viewOf } from '#test/adapters/dataplane-node/support.ts';
import { cut, fuzz, Random } from './fuzz.ts';
import { inMemoryProxy } from './in-memory.ts';
import { requestPieces } from './requests.ts';
import { type Answer, readAnswers, readStrictly } from './strict-reader.ts';

const evil = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil';
const good = 'HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ngood';

const bases = [
  'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello',
  `HTTP/1.1 200 OK\r\nContent-Length: ${evil.length}\r\n\r\n${evil}`,
  `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n`,
  `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${evil.length.toString(16)};a=b\r\n${evil}\r\n0\r\n\r\n`,
  `HTTP/1.1 204 No Content\r\nConnection: keep-alive\r\n\r\n`,
  `HTTP/1.1 304 Not Modified\r\nContent-Length: ${evil.length}\r\n\r\n${evil}`,
  `HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno${evil}`,
  `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello`,
  `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n${evil}`,
  'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello',
];

const view = viewOf([upstream([1])]);
let answers: readonly string[] = [];
const proxy = await inMemoryProxy({
  answer: (text) => {
    const [message] = readStrictly(text).messages;
    if (!message) return undefined;
    return message.line.includes('/first') ? answers : [good];
  },
  view,
  pipeline: simplePipeline(view, { action: { timeoutMs: 0 } }),
});

let served = 0;
const methods = ['GET', 'HEAD', 'POST'];
const isOwn = ({ status, body }: Answer): boolean =>
  status >= 502 && (body === '' || body.startsWith('{"error"'));

const isSame = (one: Answer, other: Answer | undefined): boolean =>
  one.status === other?.status && one.body === other.body;

const wrongIn = (said: Answer | undefined, one: Answer, two: Answer | undefined) => {
  if (!isOwn(one) && !isSame(one, said)) return `is passed on as ${JSON.stringify(one)}`;
  if (two && !isSame(two, { status: 200, body: 'good' }))
    return `the next request is answered ${JSON.stringify(two)}`;
  return undefined;
};

const flaw = (text: string, method: string): string | undefined => {
  const length = method === 'POST' ? 'Content-Length: 0\r\n' : '';
  const first = `${method} /first HTTP/1.1\r\nHost: a\r\n${length}\r\n`;
  const heard = proxy.talk([first, 'GET /second HTTP/1.1\r\nHost: a\r\n\r\n']);
  const { answers: read, rest } = readAnswers(heard.answers, [method, 'GET']);
  const [one, two] = read;
  if (two) served++;
  if (!one) return undefined;
  const wrong = wrongIn(readAnswers(text, [method]).answers[0], one, two);
  if (wrong !== undefined || heard.closed) return wrong;
  return two && rest === '' ? undefined : `the next request is answered ${JSON.stringify(rest)}`;
};

describe('mutated answers', () => {
  it('are passed on as a strict reader sees them, and never become the answer to another request', () => {
    const inputs = fuzz({
      inputs: 60_000,
      bases,
      pieces: [...requestPieces, evil, '200', '304', '100', 'Content-Length: 4\r\n'],
      check: (text, random) => {
        answers = random.below(2) === 0 ? [text] : cut(text, random);
        return flaw(text, random.pick(methods));
      },
    });
    // Otherwise everything was refused, and nothing shown.
    expect(served).toBeGreaterThan(inputs / 4);
  });

  it.each(bases)('%j is passed on as it is', (text) => {
    answers = cut(text, new Random(1));
    expect(flaw(text, 'GET')).toBeUndefined();
  });
});
