import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Assembler, marksOf, split } from '#adapters/bus-nats/parts.ts';

const MAX_PAYLOAD = 4096 + 10; // ten bytes per part

const partsOf = (data: Uint8Array, set: string) =>
  split('s', data, { maxPayload: MAX_PAYLOAD, setId: () => set });

const value = fc.uint8Array({ maxLength: 80 });

describe('split and assemble', () => {
  it('gives back the value, whatever its length, when the head comes last', () => {
    fc.assert(
      fc.property(value, (data) => {
        const assembler = new Assembler();
        const got = partsOf(data, 'a').map((part) =>
          assembler.take(part.subject, part.data, marksOf(part.headers)),
        );
        expect(got.slice(0, -1).every((result) => result === undefined)).toBe(true);
        expect(got.at(-1)).toEqual(data);
      }),
    );
  });

  it('gives a whole value or none when messages are lost and writers overlap', () => {
    const writes = fc.array(value, { minLength: 1, maxLength: 4 });
    const order = fc.infiniteStream(fc.nat());
    fc.assert(
      fc.property(writes, order, fc.infiniteStream(fc.boolean()), (data, picks, losses) => {
        // Each writer sends in order; the writers are interleaved, and messages get lost.
        const queues = data.map((bytes, index) => partsOf(bytes, `set ${index}`));
        const assembler = new Assembler();
        while (queues.some((queue) => queue.length > 0)) {
          const busy = queues.filter((queue) => queue.length > 0);
          const part = busy[(picks.next().value ?? 0) % busy.length]?.shift();
          if (!part || losses.next().value) continue;
          const got = assembler.take(part.subject, part.data, marksOf(part.headers));
          if (got !== undefined) expect(data).toContainEqual(got);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('leaves a value that fits as it is', () => {
    const [only, ...others] = partsOf(new Uint8Array(10), 'a');
    expect(others).toEqual([]);
    expect(only?.subject).toBe('s');
    expect(marksOf(only?.headers)).toBeUndefined();
  });
});
