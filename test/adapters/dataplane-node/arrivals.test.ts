import { beforeEach, describe, expect, it } from 'vitest';
import { Arrivals } from '#adapters/dataplane-node/arrivals.ts';
import { Rush } from '#adapters/dataplane-node/rush.ts';

let now: number;
let admitted: string[];
let looks: (() => void)[];
let arrivals: Arrivals<string>;
let rush: Rush;

beforeEach(() => {
  now = 0;
  admitted = [];
  looks = [];
  rush = new Rush();
  arrivals = new Arrivals({
    admit: (caller) => admitted.push(caller),
    monotonic: () => now,
    atEndOfTurn: (look) => looks.push(look),
    rush,
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
      rush,
    });
    late.add('a');
    turn();
    turn();
    expect(admitted).toEqual(['a']);
    turn();
    turn();
    expect(admitted).toEqual(['a', 'b']);
  });

  const slowTurns = (count: number): void => {
    for (let i = 0; i < count; i++) {
      turn('a');
      now += 10;
    }
  };

  it('hold up those who are in while turns are slow and the queue is not empty', () => {
    const told: string[] = [];
    slowTurns(3);
    expect(rush.isOn).toBe(false);
    slowTurns(1);
    expect(rush.isOn).toBe(true);
    rush.hold({ onRushEnd: () => told.push(`${admitted.length} in`), onDefect: () => {} });
    turn();
    expect(rush.isOn).toBe(false);
    expect([told, admitted.length]).toEqual([['0 in'], 4]);
  });

  it('hold nobody up while turns are short', () => {
    for (let i = 0; i < 100; i++) {
      turn('a');
      now += 1;
      expect(rush.isOn).toBe(false);
    }
  });

  it('hold those who are in up for little more than half of the time', () => {
    let held = 0;
    for (let i = 0; i < 1000; i++) {
      slowTurns(1);
      if (rush.isOn) held += 10;
    }
    expect(held).toBeGreaterThan(2000);
    expect(held).toBeLessThan(6000);
  });

  it('let the others go on, and are let in, whatever happens to one who was held up', () => {
    const told: unknown[] = [];
    slowTurns(4);
    const onDefect = (error: unknown): void => void told.push(error);
    const defective = () => {
      throw new Error('defect');
    };
    rush.hold({ onRushEnd: defective, onDefect });
    rush.hold({ onRushEnd: () => told.push('next'), onDefect });
    turn();
    expect(told).toEqual([new Error('defect'), 'next']);
    expect(admitted.length).toBe(4);
  });

  describe('at two listeners', () => {
    let others: Arrivals<string>;
    beforeEach(() => {
      others = new Arrivals({
        admit: () => {},
        monotonic: () => now,
        atEndOfTurn: (look) => looks.push(look),
        rush,
      });
    });

    it('do not end each other’s rush', () => {
      slowTurns(4);
      expect(rush.isOn).toBe(true);
      others.add('z');
      others.take();
      expect(rush.isOn).toBe(true);
      arrivals.take();
      expect(rush.isOn).toBe(false);
    });

    it('hold those who are in up no longer than one would', () => {
      let held = 0;
      for (let i = 0; i < 1000; i++) {
        others.add('z');
        slowTurns(1);
        if (rush.isOn) held += 10;
      }
      expect(held).toBeGreaterThan(2000);
      expect(held).toBeLessThan(7000);
    });
  });
});
