import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bucketOf, Samples } from '#adapters/dataplane-node/samples.ts';

const outcome = {
  rule: 'r',
  service: 's',
  version: 'v',
  source: 'a',
  status: 200,
  flag: '',
  latencyMs: 1,
  requestBytes: 0,
  responseBytes: 0,
  retries: 0,
};

const samples = () =>
  new Samples({
    clock: { now: () => 1000, monotonic: () => 5 },
    reporter: 'source',
    revision: () => 3,
  });

describe('the latency histogram', () => {
  it('puts a value into the bucket (2^(i/8), 2^((i+1)/8)]', () => {
    fc.assert(
      fc.property(fc.double({ min: 0.002, max: 1e7, noNaN: true }), (ms) => {
        const index = bucketOf(ms);
        expect(ms).toBeGreaterThan(2 ** (index / 8) * (1 - 1e-9));
        expect(ms).toBeLessThanOrEqual(2 ** ((index + 1) / 8) * (1 + 1e-9));
      }),
    );
    expect(bucketOf(1)).toBe(-1);
  });
});

describe('a window', () => {
  it('adds up by series and starts anew', async () => {
    const counts = samples();
    counts.record(outcome);
    counts.record({ ...outcome, status: 503, flag: 'UF', retries: 2 });
    counts.record({ ...outcome, version: 'w' });
    counts.flush();
    counts.flush();
    counts.record(outcome);
    counts.close();
    const windows = [];
    for await (const window of counts.read()) windows.push(window);
    expect(
      windows.map((window) =>
        window.series.map((each) => `${each.version}:${each.requests}:${each.errors}`),
      ),
    ).toEqual([['v:2:1', 'w:1:0'], ['v:1:0']]);
    expect(windows[0]?.series[0]).toMatchObject({
      flags: { UF: 1 },
      statuses: { 200: 1, 503: 1 },
      retries: 2,
      latency: { buckets: [-1, 2] },
    });
  });

  it('bounds the number of sources', async () => {
    const counts = samples();
    for (let i = 0; i < 1000; i++) counts.record({ ...outcome, source: `caller-${i}` });
    counts.close();
    for await (const window of counts.read()) {
      expect(window.series.length).toBe(257);
      expect(window.series.find((each) => each.source === 'other')?.requests).toBe(1000 - 256);
    }
  });
});

describe('denials', () => {
  it('are counted by policy and rule, and in bounded number', async () => {
    const counts = samples();
    for (let i = 0; i < 100; i += 1)
      counts.record({ ...outcome, policy: `p${i}`, policyRule: '1' });
    counts.record({ ...outcome, policy: 'p0', policyRule: '1' });
    counts.close();
    const [window] = await Array.fromAsync(counts.read());
    expect(window?.denials).toHaveLength(64);
    expect(window?.denials?.[0]).toEqual({ policy: 'p0', rule: '1', requests: 2 });
    expect(window?.denials?.at(-1)).toEqual({ policy: 'others', rule: '', requests: 37 });
  });
});
