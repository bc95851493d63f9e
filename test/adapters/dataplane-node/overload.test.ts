import { describe, expect, it } from 'vitest';
import { Overload } from '#adapters/dataplane-node/overload.ts';

describe('lateness', () => {
  const watch = (cpuShare: number) => {
    let now = 0;
    let cpu = 0;
    const overload = new Overload({ cpuMs: () => cpu, cores: 1, random: () => 0.5 });
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
    };
  };

  it('of a process that works all the time turns requests away, more and more', () => {
    const { overload, run } = watch(0.98);
    run(150, 2000);
    expect(overload.share).toBeGreaterThan(0.2);
    expect(overload.turnsAway()).toBe(overload.share > 0.5);
    run(400, 20_000);
    expect(overload.share).toBe(0.95);
  });

  it('of a process that is starved by its neighbours turns nobody away', () => {
    const { overload, run } = watch(0.3);
    run(400, 60_000);
    expect(overload.share).toBe(0);
  });

  it('that comes and goes, as at a start, turns nobody away', () => {
    const { overload, run } = watch(1);
    run(600, 600);
    run(2, 300);
    run(2000, 2000);
    expect(overload.share).toBe(0);
  });

  it('is forgotten within three seconds', () => {
    const { overload, run } = watch(1);
    run(500, 60_000);
    run(0, 3300);
    expect(overload.share).toBe(0);
  });

  it('is measured against what a quota leaves of a core', () => {
    let cpu = 0;
    const overload = new Overload({ cpuMs: () => cpu, cores: 0.5, random: () => 0 });
    for (let now = 0; now < 5000; now += 200) {
      cpu += 100;
      overload.tick(190, now);
    }
    expect(overload.share).toBeGreaterThan(0);
  });
});
