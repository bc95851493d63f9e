// Differential: whatever bytes come in, the upstream sees at most what a strict reader of RFC 9112 would have seen.
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Message, readStrictly } from '#test/strictness/strict-reader.ts';
import { closeAll, ok, rawCaller, rawUpstream, startPlane, upstream, viewOf } from './support.ts';

const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n';
const bases: readonly string[] = [
  `POST /one HTTP/1.1\r\nHost: a\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}`,
  `POST /one HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${smuggled.length.toString(16)}\r\n${smuggled}\r\n0\r\n\r\n`,
  `POST /one HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nX: y\r\n\r\nhello${smuggled}`,
  `GET /one HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5c\r\n${smuggled}\r\n0\r\n\r\n`,
  `POST /one HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0;x=y\r\nX: 1\r\n\r\n${smuggled}`,
  `GET /one HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n${smuggled}`,
];
const pieces = [
  '\r',
  '\n',
  '\r\n',
  '\0',
  ' ',
  '\t',
  ':',
  ',',
  ';',
  '"',
  '0',
  '5',
  '+',
  '-',
  '_',
  '.',
  '\x0b',
  '\x7f',
  '\xa0',
  '\xff',
  'chunked',
  'Content-Length: 0\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Transfer-Encoding:\x0bchunked\r\n',
  'X:\r\n',
];

/** Method and body; paths may have become canonical. */
const shown = ({ line, body }: Message): string => `${line.split(' ')[0]} ${body}`;

let port = 0;
let passed = 0;
const received: string[] = [];

beforeAll(async () => {
  const server = await rawUpstream((socket, text) => {
    const { messages, rest } = readStrictly(text);
    if (messages.length === 0) return false;
    received.push(...messages.map(shown));
    if (rest !== '') received.push(`STRAY ${rest}`);
    for (const message of messages) socket.write(ok(message.line.split(' ')[1]));
    return true;
  });
  ({ port } = await startPlane(
    viewOf([
      upstream([server.port], { pool: { ...upstream([]).pool, maxRequestsPerConnection: 50 } }),
    ]),
  ));
});
afterAll(closeAll);

describe('mutated requests', () => {
  it('never become more than they are', async () => {
    const mutation = fc.record({
      kind: fc.constantFrom('insert', 'delete', 'replace', 'duplicate'),
      at: fc.nat(),
      piece: fc.constantFrom(...pieces),
      length: fc.integer({ min: 1, max: 6 }),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...bases),
        fc.array(mutation, { minLength: 1, maxLength: 3 }),
        fc.nat(),
        async (base, mutations, cut) => {
          let text = base;
          for (const { kind, at, piece, length } of mutations) {
            const place = at % (text.length + 1);
            const after = text.slice(place + (kind === 'insert' ? 0 : length));
            const middle =
              kind === 'delete'
                ? ''
                : kind === 'duplicate'
                  ? text.slice(place, place + length).repeat(2)
                  : piece;
            text = text.slice(0, place) + middle + after;
          }
          received.length = 0;
          const caller = await rawCaller(port);
          const split = cut % (text.length + 1);
          caller.socket.write(text.slice(0, split), 'latin1');
          caller.socket.end(text.slice(split), 'latin1');
          const answer = await caller.untilClosed();
          const expected = readStrictly(text).messages.map(shown);
          passed += received.length;
          for (const [i, message] of received.entries()) expect(message).toBe(expected[i]);
          expect(answer.match(/HTTP\/1\.1 200 OK/g)?.length ?? 0).toBeLessThanOrEqual(
            received.length,
          );
        },
      ),
      { numRuns: 1500 },
    );
    // Otherwise everything was refused, and nothing shown.
    expect(passed).toBeGreaterThan(300);
  }, 120_000);
});
