import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import '#adapters/dataplane-node/latin1.ts';
import { BodyReader } from '#adapters/dataplane-node/http1/body-reader.ts';

/** Feeds the text in pieces; returns the data, what was left over and the fault. */
const read = (text: string, length: number, cuts: readonly number[] = []) => {
  const body = new BodyReader();
  body.start(length);
  const bytes = Buffer.from(text, 'latin1');
  const ends = [...new Set([...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length])].sort(
    (a, b) => a - b,
  );
  let at = 0;
  let data = '';
  for (const end of ends)
    while (at < end && !body.done && body.fault === undefined) {
      at = body.read(bytes, at, end);
      data += bytes.toString('latin1', body.dataStart, body.dataEnd);
    }
  return {
    data,
    rest: text.slice(at),
    fault: body.fault,
    done: body.done,
    trailers: body.trailers,
  };
};

describe('a body', () => {
  it('of known length ends there', () => {
    expect(read('hello, next', 5)).toMatchObject({ data: 'hello', rest: ', next', done: true });
    expect(read('hel', 5)).toMatchObject({ data: 'hel', done: false });
    expect(read('', 0).done).toBe(true);
  });

  it('of chunks ends after the trailers', () => {
    expect(read('5\r\nhello\r\n0\r\n\r\nnext', -1)).toMatchObject({
      data: 'hello',
      rest: 'next',
      done: true,
    });
    const { trailers, rest } = read('0\r\nX-Sum: 1\r\nX-B: 2\r\n\r\nnext', -1);
    expect([trailers?.first('x-sum'), trailers?.first('x-b'), rest]).toEqual(['1', '2', 'next']);
  });

  it('until the end of the connection never ends by itself', () => {
    expect(read('anything', Number.POSITIVE_INFINITY)).toMatchObject({
      data: 'anything',
      done: false,
    });
  });

  it.each([
    ['no size', '\r\nhello'],
    ['a space before the size', ' 5\r\nhello\r\n'],
    ['a space after the size', '5 \r\nhello\r\n'],
    ['a sign', '+5\r\nhello\r\n'],
    ['a prefix', '0x5\r\nhello\r\n'],
    ['an underscore', '0_5\r\nhello\r\n'],
    ['a bare line feed after the size', '5\nhello\r\n'],
    ['a bare carriage return after the size', '5\rhello\r\n'],
    ['more data than said', '5\r\nhello!\r\n'],
    ['a bare line feed after the data', '5\r\nhello\n0\r\n\r\n'],
    ['a size beyond all numbers', 'fffffffffffffffff\r\n'],
    ['a line feed in an extension', '5;a=\n\r\nhello\r\n'],
    ['a NUL in an extension', '5;a=\0\r\nhello\r\n'],
    ['an endless extension', `5;${'a'.repeat(5000)}\r\nhello`],
    ['a malformed trailer', '0\r\nX Y: 1\r\n\r\n'],
    ['a folded trailer', '0\r\nX: 1\r\n 2\r\n\r\n'],
    ['a trailer in disguise', '0\r\nContent_Length: 1\r\n\r\n'],
    ['endless trailers', `0\r\nX: ${'a'.repeat(20_000)}\r\n\r\n`],
    ['too many trailers', `0\r\n${'X: 1\r\n'.repeat(65)}\r\n`],
  ])('with %s is refused', (_, text) => {
    expect(read(text, -1).fault).toBeDefined();
  });

  it('reads the same however it is cut', () => {
    const chunk = fc.tuple(
      fc.string({ minLength: 1, maxLength: 20 }),
      fc.constantFrom('', ';x', ';a=b'),
    );
    fc.assert(
      fc.property(
        fc.array(chunk, { maxLength: 6 }),
        fc.boolean(),
        fc.array(fc.nat(), { maxLength: 12 }),
        (chunks, trailer, cuts) => {
          const runs = chunks.map(([text]) => Buffer.from(text, 'utf8').toString('latin1'));
          const coded = runs
            .map((run, i) => `${run.length.toString(16)}${chunks[i]?.[1]}\r\n${run}\r\n`)
            .join('');
          const whole = read(`${coded}0\r\n${trailer ? 'X: 1\r\n' : ''}\r\nNEXT`, -1, cuts);
          expect(whole).toMatchObject({
            data: runs.join(''),
            rest: 'NEXT',
            fault: undefined,
            done: true,
          });
        },
      ),
    );
  });
});
