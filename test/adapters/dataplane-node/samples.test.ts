import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Samples } from '#adapters/dataplane-node/samples.ts';
import { bucketOf, type Outcome } from '#adapters/dataplane-node/tally.ts';

const outcome: Outcome = {
  rule: 'r',
  service: 's',
  version: 'v',
  source: 'a',
  protocol: 'http',
  isMutual: false,
  grpcStatus: undefined,
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
      flags: { '503 UF': 1 },
      statuses: { 200: 1, 503: 1 },
      retries: 2,
      latency: { buckets: [-1, 2] },
    });
  });

  it('counts every pair of code and flag, and what was turned away', async () => {
    const counts = samples();
    for (const [status, flag, grpcStatus] of [
      [200, '', undefined],
      [503, 'UF', undefined],
      [503, 'UO', undefined],
      [503, 'UO', undefined],
      [503, '', undefined],
      [504, 'UT', undefined],
      [200, '', 14],
    ] as const)
      counts.record({ ...outcome, status, flag, grpcStatus, responseBytes: 10 });
    counts.close();
    const [window] = await Array.fromAsync(counts.read());
    expect(window?.series).toMatchObject([
      {
        requests: 7,
        statuses: { 200: 2, 503: 4, 504: 1 },
        flags: { '503 UF': 1, '503 UO': 2, '504 UT': 1 },
        sheds: 2,
        responseBytes: 70,
        latency: { buckets: [-1, 7] },
      },
    ]);
    expect(
      window?.outcomes?.map(({ status, flag, grpcStatus, requests, latency, responseBytes }) => [
        `${status} ${flag} ${grpcStatus}`,
        requests,
        latency.buckets[1],
        responseBytes.sum,
      ]),
    ).toEqual([
      ['200  undefined', 1, 1, 10],
      ['503 UF undefined', 1, 1, 10],
      ['503 UO undefined', 2, 2, 20],
      ['503  undefined', 1, 1, 10],
      ['504 UT undefined', 1, 1, 10],
      ['200  14', 1, 1, 10],
    ]);
  });

  it('bounds the codes that a service may choose', async () => {
    const counts = samples();
    for (let status = 200; status < 600; status += 1) counts.record({ ...outcome, status });
    counts.close();
    const [window] = await Array.fromAsync(counts.read());
    expect(window?.outcomes?.length).toBeLessThan(60);
    expect(window?.series[0]?.requests).toBe(400);
    expect(window?.series[0]?.statuses['500']).toBe(100);
  });

  it('tells the bytes of a connection when it has ended', async () => {
    const counts = samples();
    const connection: Outcome = { ...outcome, protocol: 'tcp' };
    counts.record(connection);
    counts.flush();
    counts.recordEnd({ ...connection, requestBytes: 5, responseBytes: 7 });
    counts.close();
    const windows = await Array.fromAsync(counts.read());
    expect(windows.map(({ series: [one] }) => one)).toMatchObject([
      { requests: 1, requestBytes: 0 },
      { requests: 0, requestBytes: 5, responseBytes: 7, statuses: {} },
    ]);
    expect(windows[1]?.outcomes).toMatchObject([{ requests: 0, closed: 1 }]);
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

describe('errors of callers who stay with their version', () => {
  it('are counted by group, and nobody is named', async () => {
    const counts = samples();
    for (const [stickyPoint, status] of [
      [0, 500],
      [0.001, 503],
      [0.5, 200],
      [0.999, 504],
      [undefined, 500],
    ] as const)
      counts.record({ ...outcome, stickyPoint, status });
    counts.close();
    const [window] = await Array.fromAsync(counts.read());
    expect(window?.sticky).toEqual([{ service: 's', errors: [0, 2, 255, 1] }]);
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

  it('are told in words that control takes, as are rehearsals of them', async () => {
    const counts = samples();
    counts.record({ ...outcome, policy: 'p'.repeat(600), audit: 'a'.repeat(600) });
    counts.record({ ...outcome, audit: 'a'.repeat(600) });
    counts.close();
    const [window] = await Array.fromAsync(counts.read());
    expect(window?.denials).toEqual([{ policy: 'p'.repeat(500), rule: '', requests: 1 }]);
    expect(window?.audits).toEqual([{ says: 'a'.repeat(500), requests: 2 }]);
  });
});
