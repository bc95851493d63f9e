// Differential: whatever bytes come in, the upstream sees at most what a strict reader of RFC 9112 would have seen.
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { requestBases, requestPieces } from '#test/strictness/requests.ts';
import { type Message, readStrictly } from '#test/strictness/strict-reader.ts';
import { closeAll, ok, rawCaller, rawUpstream, startPlane, upstream, viewOf } from './support.ts';

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
      piece: fc.constantFrom(...requestPieces),
      length: fc.integer({ min: 1, max: 6 }),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...requestBases),
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
