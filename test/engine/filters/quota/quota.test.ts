import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CounterTable } from '#engine/filters/quota/counter-table.ts';
import { advance, newCounter, remaining, waitMs } from '#engine/filters/quota/window.ts';
import type { QuotaPlan } from '#engine/model/snapshot.ts';
import { pipelineDeps } from '#test/support/pipeline-deps.ts';
import { answered, answerHeaders, forwarded, serve } from '#test/support/serve.ts';
import { rule } from '#test/support/snapshot.ts';

const HOUR = 3_600_000;
const MINUTE = 60_000;
/** The start of an hour. */
const START = 500_000 * HOUR;

const quota = (facts: Partial<QuotaPlan> = {}): QuotaPlan => ({
  id: 'bibby/per-user',
  origin: { resource: 'Quota/bibby/per-user' },
  mode: 'enforce',
  by: 'address',
  limits: [{ requests: 3, windowMs: MINUTE }],
  scope: 'local',
  algorithm: 'fixed',
  headers: true,
  status: 429,
  ...facts,
});
const limited = (plan: Partial<QuotaPlan>, time = { nowMs: START }) =>
  serve({ rules: [rule({ quotas: ['q'] })], quotas: { q: quota(plan) } }, pipelineDeps({ time }));
const admits = async (request: ReturnType<typeof serve>, count: number) => {
  let admitted = 0;
  for (let i = 0; i < count; i += 1) if ((await request()).type === 'forward') admitted += 1;
  return admitted;
};

describe('a quota', () => {
  it('refuses after the limit and admits again in the next window', async () => {
    const time = { nowMs: START + 10_000 };
    const request = limited({}, time);
    expect(await admits(request, 5)).toBe(3);
    time.nowMs = START + MINUTE - 1;
    expect(await admits(request, 1)).toBe(0);
    time.nowMs = START + MINUTE;
    expect(await admits(request, 5)).toBe(3);
  });

  it('says how much is left and when to come again', async () => {
    const time = { nowMs: START + 10_500 };
    const request = limited({}, time);
    expect(answerHeaders(await request())).toEqual({
      'ratelimit-policy': '"per-user";q=3;w=60',
      ratelimit: '"per-user";r=2;t=50',
      'x-ratelimit-limit-minute': '3',
      'x-ratelimit-remaining-minute': '2',
    });
    await request();
    await request();
    const refused = answered(await request());
    expect(refused).toMatchObject({ status: 429, error: 'Too Many Requests', flag: 'RL' });
    expect(answerHeaders(refused)).toMatchObject({
      ratelimit: '"per-user";r=0;t=50',
      'retry-after': '50',
    });
  });

  it('holds several limits at once, and a refused request counts for none', async () => {
    const time = { nowMs: START };
    const limits = [
      { requests: 2, windowMs: 1000 },
      { requests: 3, windowMs: MINUTE },
    ];
    const request = limited({ limits }, time);
    expect(await admits(request, 10)).toBe(2);
    time.nowMs += 1000;
    expect(await admits(request, 10)).toBe(1);
    expect(answerHeaders(await request())).toMatchObject({
      'ratelimit-policy': '"per-user-second";q=2;w=1, "per-user-minute";q=3;w=60',
      'x-ratelimit-remaining-second': '1',
      'x-ratelimit-remaining-minute': '0',
      'retry-after': '59',
    });
  });

  it('speaks with others on its route in one list', async () => {
    const request = serve(
      {
        rules: [rule({ quotas: ['a', 'b'] })],
        quotas: {
          a: quota({ id: 'bibby/per-address', limits: [{ requests: 9, windowMs: MINUTE }] }),
          b: quota({ by: 'all' }),
        },
      },
      pipelineDeps({ time: { nowMs: START } }),
    );
    expect(answerHeaders(await request())).toEqual({
      'ratelimit-policy': '"per-address";q=9;w=60, "per-user";q=3;w=60',
      ratelimit: '"per-address";r=8;t=60, "per-user";r=2;t=60',
      'x-ratelimit-limit-minute': '3',
      'x-ratelimit-remaining-minute': '2',
    });
  });

  it('tells nothing where headers are off', async () => {
    const request = limited({ headers: false, limits: [{ requests: 1, windowMs: MINUTE }] });
    expect(answerHeaders(await request())).toEqual({});
    expect(answerHeaders(answered(await request()))).toEqual({});
  });

  it('only writes down in audit mode, and does nothing when off', async () => {
    const audit = limited({ mode: 'audit', limits: [{ requests: 1, windowMs: MINUTE }] });
    await audit();
    expect(forwarded(await audit()).exchange.notes?.['audit']).toContain('would refuse');
    expect(answerHeaders(await audit())).toEqual({});
    expect(await admits(limited({ mode: 'off' }), 10)).toBe(10);
  });

  it('goes on counting through a new snapshot, with the new limit', async () => {
    const time = { nowMs: START };
    const request = limited({}, time);
    expect(await admits(request, 5)).toBe(3);
    request.replace({
      rules: [rule({ quotas: ['q'] })],
      quotas: { q: quota({ limits: [{ requests: 5, windowMs: MINUTE }] }) },
    });
    expect(await admits(request, 5)).toBe(2);
  });

  it('does not trust a wall clock that jumps', async () => {
    const time = { nowMs: START };
    const wall = { nowMs: START };
    const deps = pipelineDeps({
      clock: { now: () => wall.nowMs, monotonic: () => time.nowMs - START },
    });
    const request = serve({ rules: [rule({ quotas: ['q'] })], quotas: { q: quota() } }, deps);
    expect(await admits(request, 5)).toBe(3);
    wall.nowMs += 2 * HOUR;
    expect(await admits(request, 5)).toBe(0);
    time.nowMs += MINUTE;
    expect(await admits(request, 5)).toBe(3);
  });
});

describe('the key of a quota', () => {
  const count = async (
    plan: Partial<QuotaPlan>,
    requests: readonly Parameters<ReturnType<typeof serve>>[0][],
  ) => {
    const request = limited({ limits: [{ requests: 1, windowMs: MINUTE }], ...plan });
    let admitted = 0;
    for (const facts of requests) if ((await request(facts)).type === 'forward') admitted += 1;
    return admitted;
  };
  const from = (clientAddress: string) => ({ clientAddress });
  const tenant = (value: string | readonly string[]) => ({ headers: { 'x-tenant': value } });

  it.each([
    ['addresses apart', { by: 'address' }, [from('192.0.2.1'), from('192.0.2.2')], 2],
    [
      'an IPv6 network together',
      { by: 'address' },
      [from('2001:db8::1'), from('2001:db8::2:1')],
      1,
    ],
    ['IPv6 networks apart', { by: 'address' }, [from('2001:db8::1'), from('2001:db8:0:1::1')], 2],
    [
      'both forms of an IPv4 address together',
      { by: 'address' },
      [from('::ffff:192.0.2.1'), from('::ffff:c000:201')],
      1,
    ],
    [
      'header values apart',
      { by: 'header', header: 'x-tenant' },
      [tenant('a'), tenant('b'), tenant('a')],
      2,
    ],
    [
      'header lines as one value',
      { by: 'header', header: 'x-tenant' },
      [tenant('a'), tenant(['a', 'b'])],
      2,
    ],
    [
      'callers without the header by address',
      { by: 'header', header: 'x-tenant' },
      [from('192.0.2.1'), from('192.0.2.1')],
      1,
    ],
    [
      'header __proto__',
      { by: 'header', header: 'x-tenant' },
      [tenant('__proto__'), tenant('__proto__')],
      1,
    ],
    ['everybody together', { by: 'all' }, [from('192.0.2.1'), from('192.0.2.2')], 1],
    [
      'nobody in particular by address',
      { by: 'caller' },
      [from('192.0.2.1'), from('192.0.2.2')],
      2,
    ],
  ] as const)('keeps %s', async (_name, plan, requests, admitted) => {
    expect(await count(plan, requests)).toBe(admitted);
  });

  it('keeps routes apart', async () => {
    const at = (value: string) => ({
      id: value,
      match: { path: { type: 'exact' as const, value } },
      quotas: ['q'],
    });
    const request = serve({
      rules: [rule(at('/a')), rule(at('/b'))],
      quotas: { q: quota({ by: 'route', limits: [{ requests: 1, windowMs: MINUTE }] }) },
    });
    expect((await request({ url: '/a' })).type).toBe('forward');
    expect((await request({ url: '/b' })).type).toBe('forward');
    expect((await request({ url: '/a' })).type).toBe('respond');
  });
});

describe('a sliding window', () => {
  it('gives no double helping across its edge', async () => {
    const time = { nowMs: START + MINUTE - 1 };
    const limits = [{ requests: 100, windowMs: MINUTE }];
    const sliding = limited({ algorithm: 'sliding', limits }, time);
    expect(await admits(sliding, 200)).toBe(100);
    time.nowMs += 1;
    expect(await admits(sliding, 200)).toBe(0);
    time.nowMs += MINUTE / 2;
    expect(await admits(sliding, 200)).toBe(50);
  });

  it('never admits more than the limit in a window plus what the last one left', () => {
    const events = fc.array(fc.nat(3 * MINUTE), { maxLength: 400 });
    fc.assert(
      fc.property(events, fc.integer({ min: 1, max: 20 }), (offsets, requests) => {
        const limit = { requests, windowMs: MINUTE };
        const counter = newCounter();
        const perWindow = new Map<number, number>();
        for (const offset of offsets.toSorted((a, b) => a - b)) {
          const now = START + offset;
          advance(counter, limit, now);
          if (remaining(counter, limit, 'sliding', now) < 1) continue;
          counter.current += 1;
          const window = Math.floor(now / MINUTE);
          perWindow.set(window, (perWindow.get(window) ?? 0) + 1);
        }
        for (const count of perWindow.values()) expect(count).toBeLessThanOrEqual(requests);
      }),
    );
  });

  it('admits a request after Retry-After, and not a millisecond before', () => {
    const algorithm = fc.constantFrom('sliding' as const, 'fixed' as const);
    fc.assert(
      fc.property(
        algorithm,
        fc.record({
          requests: fc.integer({ min: 1, max: 1000 }),
          windowMs: fc.constantFrom(1000, 7000, MINUTE, HOUR),
        }),
        fc.record({
          previous: fc.nat(2000),
          current: fc.nat(2000),
          elapsed: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        }),
        (algorithm, limit, { previous, current, elapsed }) => {
          const startMs = START - (START % limit.windowMs);
          const counter = {
            startMs,
            current: Math.min(current, limit.requests),
            previous: Math.min(previous, limit.requests),
          };
          const now = startMs + Math.floor(elapsed * limit.windowMs);
          const wait = waitMs(counter, limit, algorithm, now);
          const at = (ms: number) => {
            const copy = { ...counter };
            advance(copy, limit, ms);
            return remaining(copy, limit, algorithm, ms);
          };
          expect(at(now + wait)).toBeGreaterThanOrEqual(1);
          if (wait > 1) expect(at(now + wait - 1)).toBe(0);
        },
      ),
      { numRuns: 1000 },
    );
  });
});

describe('the counter table', () => {
  const limits = [{ requests: 100, windowMs: MINUTE }];

  it('stays within its bound', () => {
    const table = new CounterTable(limits, 50);
    for (let i = 0; i < 1000; i += 1) table.of(`key-${i}`, START);
    expect(table.size).toBe(50);
  });

  it('remembers who has asked most while others pass by', () => {
    const table = new CounterTable(limits, 50);
    const count = (key: string, times: number) => {
      const [counter] = table.of(key, START);
      if (!counter || !limits[0]) return 0;
      advance(counter, limits[0], START);
      counter.current += times;
      return counter.current;
    };
    count('greedy', 99);
    for (let i = 0; i < 5000; i += 1) count(`passer-${i}`, 1);
    expect(count('greedy', 1)).toBe(100);
  });

  it('lets idle keys go first', () => {
    const table = new CounterTable(limits, 10);
    for (let i = 0; i < 10; i += 1) {
      const [counter] = table.of(`old-${i}`, START);
      if (counter) Object.assign(counter, { startMs: START, current: 100 });
    }
    for (let i = 0; i < 10; i += 1) table.of(`new-${i}`, START + 3 * MINUTE);
    expect(table.size).toBe(10);
    expect(table.of('old-0', START + 3 * MINUTE)[0]?.current).toBe(0);
  });
});
