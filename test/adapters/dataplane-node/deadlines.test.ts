import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Deadline, Deadlines } from '#adapters/dataplane-node/deadlines.ts';

class Bell extends Deadline {
  readonly rung: number[] = [];
  onDue(now: number): void {
    this.rung.push(now);
  }
}

const wheel = () => {
  let now = 1000;
  const reading: (() => void)[] = [];
  const deadlines = new Deadlines(
    () => now,
    10,
    () => {},
    (run) => reading.push(run),
  );
  const read = () => {
    for (const run of reading.splice(0)) run();
  };
  const go = (to: number) => {
    while (now < to) {
      now = Math.min(to, now + 10);
      deadlines.tick();
    }
  };
  return { deadlines, go, read, jump: (to: number) => ((now = to), deadlines.tick()) };
};

describe('a deadline', () => {
  it('comes once, at its time or a tick later', () => {
    const { deadlines, go } = wheel();
    const bell = new Bell();
    deadlines.arm(bell, 1095);
    go(1090);
    expect(bell.rung).toEqual([]);
    go(5000);
    expect(bell.rung).toEqual([1100]);
  });

  it('moves in both directions', () => {
    const { deadlines, go } = wheel();
    const bell = new Bell();
    deadlines.arm(bell, 1500);
    deadlines.arm(bell, 3000);
    go(2900);
    expect(bell.rung).toEqual([]);
    deadlines.arm(bell, 2950);
    go(4000);
    expect(bell.rung).toEqual([2950]);
  });

  it('further away than the wheel is long still comes', () => {
    const { deadlines, go } = wheel();
    const bell = new Bell();
    deadlines.arm(bell, 61_000);
    go(60_990);
    expect(bell.rung).toEqual([]);
    go(61_000);
    expect(bell.rung).toEqual([61_000]);
  });

  it('does not come when disarmed, and comes after a stall', () => {
    const { deadlines, jump, read } = wheel();
    const [kept, dropped, never] = [new Bell(), new Bell(), new Bell()];
    deadlines.arm(kept, 2000);
    deadlines.arm(dropped, 2000);
    deadlines.arm(never, Number.POSITIVE_INFINITY);
    deadlines.disarm(dropped);
    jump(90_000);
    read();
    expect([kept.rung, dropped.rung, never.rung]).toEqual([[90_000], [], []]);
  });

  it('of a stall gives way to what was read first', () => {
    const { deadlines, jump, read } = wheel();
    const [moved, kept] = [new Bell(), new Bell()];
    deadlines.arm(moved, 2000);
    deadlines.arm(kept, 2000);
    jump(3000);
    expect(kept.rung).toEqual([]);
    deadlines.arm(moved, 5000);
    read();
    expect([moved.rung, kept.rung]).toEqual([[], [3000]]);
  });

  it('always comes between its time and one tick after, however often it is moved', () => {
    const move = fc.record({
      bell: fc.nat(4),
      at: fc.integer({ min: 0, max: 30_000 }),
      wait: fc.integer({ min: 0, max: 3000 }),
    });
    fc.assert(
      fc.property(fc.array(move, { maxLength: 40 }), (moves) => {
        const { deadlines, go } = wheel();
        const bells = Array.from({ length: 5 }, () => new Bell());
        let now = 1000;
        const wanted = bells.map(() => Number.POSITIVE_INFINITY);
        for (const { bell, at, wait } of moves) {
          const each = bells[bell] as Bell;
          wanted[bell] = now + at;
          deadlines.arm(each, now + at);
          now = Math.ceil((now + wait) / 10) * 10;
          go(now);
          for (const [i, other] of bells.entries()) {
            const due = wanted[i] as number;
            if (due <= now - 20) {
              expect(other.rung.at(-1)).toBeGreaterThanOrEqual(due);
              expect(other.rung.at(-1)).toBeLessThanOrEqual(Math.max(due, 1000) + 20);
            } else if (due > now) expect(other.dueAt).toBe(due);
          }
        }
      }),
      { numRuns: 200 },
    );
  });
});

describe('the lag', () => {
  it('is told at every tick', () => {
    const { deadlines, jump } = wheel();
    const told: number[] = [];
    deadlines.onTick = (lagMs) => told.push(lagMs);
    jump(10);
    jump(310);
    jump(320);
    expect(told).toEqual([0, 290, 0]);
    expect(deadlines.lagMs).toBe(0);
  });
});
