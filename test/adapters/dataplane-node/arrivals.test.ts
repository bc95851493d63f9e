import { beforeEach, describe, expect, it } from 'vitest';
import { Arrivals } from '#adapters/dataplane-node/arrivals.ts';

let now: number;
let admitted: string[];
let looks: (() => void)[];
let arrivals: Arrivals<string>;

beforeEach(() => {
  now = 0;
  admitted = [];
  looks = [];
  arrivals = new Arrivals({
    admit: (caller) => admitted.push(caller),
    monotonic: () => now,
    atEndOfTurn: (look) => looks.push(look),
  });
});

/** One turn of the loop. */
const turn = (...callers: string[]): void => {
  for (const caller of callers) arrivals.add(caller);
  for (const look of looks.splice(0)) look();
};

describe('callers who arrive', () => {
  it('are let in together as soon as a turn brings nobody', () => {
    turn('a');
    turn('b');
    turn('c');
    expect(admitted).toEqual([]);
    turn();
    expect(admitted).toEqual(['a', 'b', 'c']);
    expect(looks).toEqual([]);
  });

  it('wait for the rest of the queue for 200 ms at most', () => {
    turn('a');
    now = 199;
    turn('b');
    expect(admitted).toEqual([]);
    now = 200;
    turn('c');
    expect(admitted).toEqual(['a', 'b', 'c']);
    turn('d');
    turn();
    expect(admitted).toEqual(['a', 'b', 'c', 'd']);
  });

  it('are given back once nobody is let in any more', () => {
    turn('a');
    expect(arrivals.take()).toEqual(['a']);
    turn();
    expect(admitted).toEqual([]);
  });

  it('may come while others are let in', () => {
    const late = new Arrivals<string>({
      admit: (caller) => {
        admitted.push(caller);
        if (caller === 'a') late.add('b');
      },
      monotonic: () => now,
      atEndOfTurn: (look) => looks.push(look),
    });
    late.add('a');
    turn();
    turn();
    expect(admitted).toEqual(['a']);
    turn();
    turn();
    expect(admitted).toEqual(['a', 'b']);
  });
});
