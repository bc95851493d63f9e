import { describe, expect, it } from 'vitest';
import { Deadlines } from '#adapters/dataplane-node/deadlines.ts';
import { EndpointState } from '#adapters/dataplane-node/upstream/endpoint.ts';
import { OutlierDetector } from '#adapters/dataplane-node/upstream/outlier.ts';
import type { OutlierPlan } from '#engine/model/snapshot.ts';

const plan = (changes: Partial<OutlierPlan> = {}): OutlierPlan => ({
  consecutive5xxErrors: 5,
  consecutiveGatewayErrors: 0,
  intervalMs: 30_000,
  baseEjectionTimeMs: 30_000,
  maxEjectionTimeMs: 300_000,
  maxEjectionPercent: 50,
  minHealthPercent: 0,
  shared: false,
  ...changes,
});

const fixture = (count: number, settings: OutlierPlan) => {
  let now = 0;
  const deadlines = new Deadlines(
    () => now,
    10,
    undefined,
    (run) => run(),
  );
  const list = Array.from(
    { length: count },
    (_, i) => new EndpointState({ address: `10.0.0.${i}`, port: 80, weight: 1 }, 0),
  );
  const all = new Map(list.map((each) => [each.name, each]));
  let changes = 0;
  const detector = new OutlierDetector({ deadlines, monotonic: () => now }, () => changes++);
  return {
    list,
    report: (index: number, ...statuses: number[]) => {
      for (const status of statuses)
        detector.report(settings, all, { endpoint: list[index] as EndpointState, status, now });
    },
    ejected: () => list.map((each) => (each.isEjected ? 1 : 0)).join(''),
    at: (to: number) => {
      while (now < to) {
        now = Math.min(to, now + 1000);
        deadlines.tick();
      }
    },
    changes: () => changes,
  };
};

describe('outlier detection', () => {
  it('counts a run, not a rate, and ejects at once', () => {
    const { report, ejected, changes } = fixture(4, plan());
    report(0, 500, 500, 500, 500, 200, 500, 500, 500, 500);
    expect(ejected()).toBe('0000');
    report(0, 502);
    expect(ejected()).toBe('1000');
    expect(changes()).toBe(1);
  });

  it('takes no answer for a gateway error', () => {
    const { report, ejected } = fixture(
      4,
      plan({ consecutive5xxErrors: 0, consecutiveGatewayErrors: 3 }),
    );
    report(0, 500, 500, 500, 500);
    report(1, 0, 503, 504);
    expect(ejected()).toBe('0100');
  });

  it('brings an endpoint back after base time times ejections, at a sweep', () => {
    const { report, ejected, at } = fixture(4, plan({ intervalMs: 10_000 }));
    report(0, 500, 500, 500, 500, 500);
    at(29_000);
    expect(ejected()).toBe('1000');
    at(31_000);
    expect(ejected()).toBe('0000');
    report(0, 500, 500, 500, 500, 500);
    at(99_000);
    expect(ejected()).toBe('1000');
    at(101_000);
    expect(ejected()).toBe('0000');
  });

  it('never ejects longer than the longest time', () => {
    const { report, ejected, at } = fixture(
      2,
      plan({ intervalMs: 1000, maxEjectionTimeMs: 40_000 }),
    );
    let now = 0;
    for (let i = 0; i < 5; i++) {
      report(0, 500, 500, 500, 500, 500);
      expect(ejected()).toBe('10');
      at((now += 42_000));
      expect(ejected()).toBe('00');
    }
  });

  it('leaves most endpoints in, but one may always go', () => {
    const half = fixture(4, plan());
    for (const index of [0, 1, 2, 3]) half.report(index, 500, 500, 500, 500, 500);
    expect(half.ejected()).toBe('1100');
    const few = fixture(4, plan({ maxEjectionPercent: 10 }));
    for (const index of [0, 1]) few.report(index, 500, 500, 500, 500, 500);
    expect(few.ejected()).toBe('1000');
  });

  it('stops when too few are healthy', () => {
    const { report, ejected, list } = fixture(4, plan({ minHealthPercent: 60 }));
    for (const each of list.slice(2)) each.isHealthy = false;
    report(0, 500, 500, 500, 500, 500);
    expect(ejected()).toBe('0000');
  });

  it('finds by success rate who is worse than the others', () => {
    const { report, ejected, at } = fixture(
      6,
      plan({
        consecutive5xxErrors: 0,
        intervalMs: 10_000,
        successRate: { minimumHosts: 5, requestVolume: 100, stdevFactor: 1.9 },
      }),
    );
    for (let i = 0; i < 6; i++)
      for (let n = 0; n < 100; n++) report(i, i === 3 && n % 2 === 0 ? 500 : 200);
    expect(ejected()).toBe('000000');
    at(10_000);
    expect(ejected()).toBe('000100');
  });

  it('finds by failure percentage who fails too often', () => {
    const { report, ejected, at } = fixture(
      5,
      plan({
        consecutive5xxErrors: 0,
        intervalMs: 10_000,
        failurePercentage: { threshold: 85, minimumHosts: 5, requestVolume: 50 },
      }),
    );
    for (let i = 0; i < 5; i++)
      for (let n = 0; n < 50; n++) report(i, i === 1 && n % 10 !== 0 ? 503 : 200);
    at(10_000);
    expect(ejected()).toBe('01000');
  });
});
