import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { admit, type Watermarks } from '#engine/analysis/watermark.ts';

const message = (sequence: number, agent = 'edge-1', incarnation = 'one') => ({
  agent,
  incarnation,
  sequence,
});

const admitted = (sequences: readonly number[], start: Watermarks = {}): readonly number[] => {
  let marks = start;
  return sequences.filter((sequence) => {
    const next = admit(marks, message(sequence));
    marks = next ?? marks;
    return next !== undefined;
  });
};

/** Sequences that come at most a few places off their turn, some lost, some more than once. */
const disorder = fc
  .array(
    fc.record({
      shift: fc.integer({ min: 0, max: 30 }),
      copies: fc.integer({ min: 0, max: 3 }),
    }),
    { minLength: 1, maxLength: 200 },
  )
  .map((items) =>
    items
      .flatMap(({ shift, copies }, at) =>
        Array.from({ length: copies }, (_, copy) => ({ at, turn: at + shift + copy * 3 })),
      )
      .sort((a, b) => a.turn - b.turn)
      .map(({ at }) => at),
  );

describe('a watermark', () => {
  it('admits every message exactly once, in whatever order it comes', () => {
    fc.assert(
      fc.property(disorder, (sequences) => {
        const once = admitted(sequences);
        expect(new Set(once).size).toBe(once.length);
        expect(new Set(once)).toEqual(new Set(sequences));
      }),
      { seed: 1 },
    );
  });

  it('gives up what comes far too late instead of counting it twice', () => {
    expect(admitted([1, 2, 3, 200, 3, 150, 100])).toEqual([1, 2, 3, 200, 150]);
  });

  it('keeps agents and their incarnations apart', () => {
    let marks: Watermarks = {};
    for (const one of [message(1), message(1, 'edge-2'), message(1, 'edge-1', 'two')]) {
      const next = admit(marks, one);
      expect(next).toBeDefined();
      marks = next ?? marks;
    }
    expect(admit(marks, message(1))).toBeUndefined();
    expect(admit(marks, message(1, 'edge-2'))).toBeUndefined();
  });

  it('stays small however long an agent lives and however often it restarts', () => {
    let marks: Watermarks = {};
    for (let restart = 0; restart < 50; restart += 1)
      for (let sequence = 0; sequence < 300; sequence += 3)
        marks = admit(marks, message(sequence, 'edge-1', `run-${restart}`)) ?? marks;
    expect(JSON.stringify(marks).length).toBeLessThan(4000);
  });

  it('is not fooled by an agent that calls itself like a part of the language', () => {
    const marks = admit({}, message(1, '__proto__')) ?? {};
    expect(admit(marks, message(1, '__proto__'))).toBeUndefined();
    expect(admit(marks, message(1, 'constructor'))).toBeDefined();
  });
});
