import { describe, expect, it } from 'vitest';
import { Overload } from '#adapters/dataplane-node/overload.ts';

describe('lateness', () => {
  const watch = (cpuShare: number, cores = 1) => {
    let now = 0;
    let cpu = 0;
    const overload = new Overload({ cpuMs: () => cpu, cores, monotonic: () => now });
    return {
      overload,
      /** Ticks that come so late, for so long. */
      run: (lagMs: number, forMs: number) => {
        const end = now + forMs;
        while (now < end) {
          now += 10 + lagMs;
          cpu += (10 + lagMs) * cpuShare;
          overload.tick(lagMs, now);
        }
      },
      wait: (ms: number) => {
        now += ms;
      },
    };
  };

  it('of a process that works all the time turns away what comes up late in a round', () => {
    const { overload, run, wait } = watch(0.98);
    run(150, 2000);
    expect(overload.turnsAway()).toBe(false);
    wait(151);
    expect(overload.turnsAway()).toBe(true);
    wait(15);
    expect(overload.turnsAway()).toBe(false);
    wait(151);
    expect(overload.turnsAway()).toBe(true);
  });

  it('of a process that is starved by its neighbours turns nobody away', () => {
    const { overload, run, wait } = watch(0.3);
    run(400, 60_000);
    wait(155);
    expect(overload.turnsAway()).toBe(false);
  });

  it('that comes and goes, as at a start, turns nobody away', () => {
    const { overload, run, wait } = watch(1);
    run(600, 1200);
    run(2, 300);
    run(2000, 2000);
    wait(155);
    expect(overload.turnsAway()).toBe(false);
  });

  it('is forgotten within a second', () => {
    const { overload, run, wait } = watch(1);
    run(500, 60_000);
    run(0, 1000);
    wait(155);
    expect(overload.turnsAway()).toBe(false);
  });

  it('is measured against what a quota leaves of a core', () => {
    const { overload, run } = watch(0.49, 0.5);
    run(300, 5000);
    expect(overload.isOn).toBe(true);
  });
});

describe('twice as much as can be served', () => {
  const SERVE_MS = 0.5;
  /** A refusal is not free, either. */
  const REFUSE_MS = 0.03;

  /** One thread, one queue; every round of its event loop takes what has come meanwhile. */
  const simulate = (offered: (now: number) => number, untilMs: number) => {
    let now = 0;
    let cpu = 0;
    let queue = 0;
    let longest = 0;
    const served: number[] = [];
    const work = (ms: number): void => {
      now += ms;
      cpu += ms;
    };
    const overload = new Overload({ cpuMs: () => cpu, cores: 1, monotonic: () => now });
    let tickDueAt = 10;
    while (now < untilMs) {
      const startedAt = now;
      for (; queue >= 1; queue--)
        if (overload.turnsAway()) work(REFUSE_MS);
        else {
          work(SERVE_MS);
          served.push(now);
        }
      now = Math.max(now, startedAt + 1);
      queue += offered(now) * (now - startedAt);
      if (now > 20_000) longest = Math.max(longest, now - startedAt);
      if (now < tickDueAt) continue;
      overload.tick(now - tickDueAt, now);
      tickDueAt = now + 10;
    }
    const goodput = (from: number, to: number) =>
      (served.filter((at) => at >= from && at < to).length * SERVE_MS) / (to - from);
    return { overload, goodput, longest };
  };

  it('leaves nine tenths of the capacity for answers, and rounds short', () => {
    const { goodput, longest } = simulate(() => 2 / SERVE_MS, 30_000);
    expect(goodput(6000, 30_000)).toBeGreaterThan(0.9);
    expect(longest).toBeLessThan(600);
  });

  it('leaves as much where callers come back at once, over and over', () => {
    const { goodput } = simulate(() => 40 / SERVE_MS, 30_000);
    expect(goodput(6000, 30_000)).toBeGreaterThan(0.9);
  });

  it('is over for callers five seconds after it is over', () => {
    const { overload, goodput } = simulate((now) => (now < 10_000 ? 2 : 0.6) / SERVE_MS, 20_000);
    expect(overload.isOn).toBe(false);
    expect(goodput(15_000, 20_000)).toBeCloseTo(0.6, 1);
  });
});
