import { describe, expect, it } from 'vitest';
import { HpackDecoder } from '#adapters/dataplane-node/http2/hpack/decoder.ts';
import {
  block,
  Flag,
  frame,
  getFields,
  headers,
  PREFACE,
  postFields,
  readFrames,
  reset,
  settings,
  Type,
  windowUpdate,
} from '#test/adapters/dataplane-node/http2/frames.ts';
import { simplePipeline, upstream, viewOf } from '#test/adapters/dataplane-node/support.ts';
import { cut, fuzz } from './fuzz.ts';
import { type Conversation, inMemoryProxy } from './in-memory.ts';
import { readStrictly } from './strict-reader.ts';

const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';

const view = viewOf([upstream([1])]);
const proxy = await inMemoryProxy({
  answer: (text) => (readStrictly(text).messages.length > 0 ? [OK] : undefined),
  view,
  pipeline: simplePipeline(view, {
    action: { timeoutMs: 0 },
    pipeline: { isProtectedHeader: (name) => /^x[^a-z0-9]user[^a-z0-9]id$/.test(name) },
  }),
});

const text = (...frames: readonly Buffer[]): string => Buffer.concat(frames).toString('latin1');
const start = PREFACE + text(settings([[4, 70_000]]));
const ping = frame(Type.Ping, 0, 0, 'eight..8');
/** From the static table, as clients send it. */
const indexed = Buffer.concat([
  Buffer.from([0x82, 0x86, 0x84]),
  block([[':authority', 'a']], true),
]);
const huffman = Buffer.from('828684418cf1e3c2e5f23a6ba0ab90f4ff', 'hex');

const conversations: readonly (readonly Buffer[])[] = [
  [headers(1, getFields), headers(3, getFields), ping],
  [
    headers(1, [...postFields, ['content-length', '4']], false),
    frame(Type.Data, Flag.EndStream, 1, 'four'),
  ],
  [
    headers(1, postFields, false),
    frame(Type.Data, 0, 1, 'one'),
    headers(3, getFields),
    frame(Type.Data, 8, 1, '\x02two\0\0'),
    frame(Type.Headers, Flag.EndHeaders | Flag.EndStream, 1, block([['x-sum', '9']])),
  ],
  [
    frame(Type.Headers, Flag.EndStream, 1, block(getFields.slice(0, 2))),
    frame(Type.Continuation, 0, 1, block(getFields.slice(2))),
    frame(Type.Continuation, Flag.EndHeaders, 1, block([['x-user-id', 'root']])),
  ],
  [
    frame(Type.Headers, Flag.EndHeaders | Flag.EndStream, 1, indexed),
    frame(Type.Headers, Flag.EndHeaders | Flag.EndStream, 3, Buffer.from([0x82, 0x86, 0x84, 0xbe])),
    frame(Type.Headers, Flag.EndHeaders | Flag.EndStream, 5, huffman),
    windowUpdate(0, 1000),
    windowUpdate(5, 1000),
  ],
  [
    frame(
      Type.Headers,
      0x2d,
      1,
      Buffer.concat([Buffer.from([1, 0, 0, 0, 0, 16]), indexed, Buffer.alloc(1)]),
    ),
    reset(1, 8),
    frame(Type.Priority, 0, 7, Buffer.from([0, 0, 0, 3, 16])),
    headers(7, getFields),
    frame(Type.GoAway, 0, 0, Buffer.alloc(8)),
  ],
];

/** What could not be read of the answers. */
const fault = (answers: string): string | undefined => {
  const frames: Parameters<typeof readFrames>[1] = [];
  const rest = readFrames(Buffer.from(answers, 'latin1'), frames);
  if (rest.length > 0) return `half a frame: ${rest.toString('hex')}`;
  const decoder = new HpackDecoder({ maxFields: 100, maxBytes: 65_535 });
  const ended = new Set<number>();
  for (const { type, flags, stream, payload } of frames) {
    if (type !== Type.Headers && type !== Type.Data) continue;
    if (ended.has(stream)) return `stream ${stream} went on after its end`;
    if ((flags & Flag.EndStream) !== 0) ended.add(stream);
    const list: string[] = [];
    if (type === Type.Headers && decoder.read(payload, 0, payload.length, list) !== 'whole')
      return `head of stream ${stream} cannot be read`;
  }
  return undefined;
};

/** What it was made to hear, but for what differs from one connection to the next. */
const heard = ({ sentOn }: Conversation): readonly string[] =>
  sentOn
    .flatMap((sent) => readStrictly(sent.replaceAll(/x-request-id: \S+\r\n/g, '')).messages)
    .map((message) => JSON.stringify(message));

describe('mutated frames', () => {
  it('never break the proxy, and mean the same however they are cut', () => {
    let passed = 0;
    const inputs = fuzz({
      inputs: 40_000,
      bases: conversations.map((frames) => text(...frames)),
      pieces: [
        '\0',
        '\x01',
        '\x7f',
        '\xff',
        '\0\0\x04\x03\0\0\0\0\x01',
        text(ping),
        text(windowUpdate(1, 0)),
      ],
      check: (input, random) => {
        const whole = proxy.talk([start + input]);
        if (!whole.answers.startsWith('\0\0')) return `no frames: ${whole.answers}`;
        const problem = fault(whole.answers);
        if (problem !== undefined) return problem;
        passed += heard(whole).length;
        if (/^x[^a-z0-9]user[^a-z0-9]id:/im.test(whole.sent))
          return 'a protected header got through';
        const pieces = cut(start + input, random);
        const split = proxy.talk(pieces);
        if (whole.closed && !split.closed) return `cut as ${JSON.stringify(pieces)} it is kept`;
        // A reset ends what has not been sent on yet, so a cut may let more through, but never something else. It may also let a stream
        // be over that is spoken of once more, which ends the connection.
        const more = heard(split);
        return split.closed || heard(whole).every((message) => more.includes(message))
          ? undefined
          : `cut as ${JSON.stringify(pieces)} the upstream heard ${split.sent} instead of ${whole.sent}`;
      },
    });
    // Otherwise everything was refused, and nothing shown.
    expect(passed).toBeGreaterThan(inputs / 4);
  });
});
