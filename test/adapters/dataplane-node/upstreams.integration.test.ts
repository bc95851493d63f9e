import { afterEach, describe, expect, it } from 'vitest';
import type { AccessEntry } from '#adapters/dataplane-node/access.ts';
import type { RetryPlan, Upstream } from '#engine/model/snapshot.ts';
import { freePorts } from '#test/bench/proxy-ports.ts';
import {
  type Behaviour,
  closeAll,
  fixedUpstream,
  get,
  ok,
  rawCaller,
  rawUpstream,
  startPlane,
  upstream,
  viewOf,
} from './support.ts';

afterEach(closeAll);

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const status = (code: number, headers = '') =>
  `HTTP/1.1 ${code} X\r\ncontent-length: 1\r\n${headers}\r\nx`;

const retry = (changes: Partial<RetryPlan> = {}): RetryPlan => ({
  attempts: 2,
  on: ['connect-failure', '5xx'],
  perTryTimeoutMs: 0,
  backoffMs: 1,
  budgetPercent: 20,
  minRetries: 3,
  ...changes,
});

const run = async (plan: Upstream, behaviour: Behaviour = {}) => {
  const entries: AccessEntry[] = [];
  const running = await startPlane(viewOf([plan]), behaviour, {
    onAccess: (entry) => entries.push(entry),
  });
  const call = async (text = get()): Promise<string> => {
    const caller = await rawCaller(running.port);
    caller.send(text.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'));
    return (await caller.untilClosed()).slice(9, 12);
  };
  return { ...running, entries, call };
};

describe('a try that fails', () => {
  it('for want of a connection is answered with 503 UF', async () => {
    const [port = 0] = await freePorts(1);
    const { call, entries } = await run(upstream([port]));
    expect(await call()).toBe('503');
    expect(entries[0]).toMatchObject({
      status: 503,
      flag: 'UF',
      endpoint: `127.0.0.1:${port}`,
      rule: 'bibby/catalog/0',
    });
  });

  it('for want of endpoints is answered with 503 UH', async () => {
    const { call, entries } = await run(upstream([]));
    expect(await call()).toBe('503');
    expect(entries[0]?.flag).toBe('UH');
  });

  it('for want of time is answered with 504 UT', async () => {
    const server = await rawUpstream(() => false);
    const { call, entries, plane } = await run(upstream([server.port]), {
      action: { timeoutMs: 80 },
    });
    expect(await call()).toBe('504');
    expect(entries[0]).toMatchObject({ flag: 'UT', tries: 1 });
    expect(plane.stats().upstreamConnections).toBe(0);
  });

  it('because the upstream hangs up is answered with 503 UC', async () => {
    const server = await rawUpstream((socket) => {
      socket.destroy();
      return true;
    });
    const { call, entries } = await run(upstream([server.port]));
    expect(await call()).toBe('503');
    expect(entries[0]?.flag).toBe('UC');
  });
});

describe('a retry', () => {
  it('goes to another endpoint', async () => {
    const bad = await fixedUpstream(status(500));
    const good = await fixedUpstream(ok());
    const { call, entries } = await run(upstream([bad.port, good.port]), {
      action: { retry: retry() },
    });
    for (let i = 0; i < 6; i++) expect(await call()).toBe('200');
    expect(entries.some((entry) => entry.tries === 2)).toBe(true);
    expect(entries.every((entry) => entry.tries <= 2)).toBe(true);
  });

  it('happens as often as allowed, and then the last answer counts', async () => {
    const bad = await fixedUpstream(status(503));
    const { call, entries } = await run(upstream([bad.port]), {
      action: { retry: retry({ attempts: 3 }) },
    });
    expect(await call()).toBe('503');
    expect(entries[0]).toMatchObject({ tries: 4, flag: 'URX' });
  });

  it('repeats a POST only when nothing was sent', async () => {
    const bad = await fixedUpstream(status(503));
    const post = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc';
    const first = await run(upstream([bad.port]), { action: { retry: retry() } });
    expect(await first.call(post)).toBe('503');
    expect(first.entries[0]?.tries).toBe(1);
    const [closed = 0] = await freePorts(1);
    const good = await fixedUpstream(ok());
    const second = await run(upstream([closed, good.port]), { action: { retry: retry() } });
    for (let i = 0; i < 4; i++) expect(await second.call(post)).toBe('200');
    expect(good.received.join('').match(/abc/g)).toHaveLength(4);
  });

  it.each([
    ['a new', false],
    ['a used', true],
  ])('sends the body of a PUT again after %s connection', async (_, isWarm) => {
    let answers = 0;
    const server = await rawUpstream((socket, text) => {
      if (text.startsWith('GET')) {
        socket.write(ok());
        return true;
      }
      if (!text.endsWith('hello')) return false;
      socket.write(answers++ === 0 ? status(500) : ok());
      return true;
    });
    const { call } = await run(upstream([server.port]), { action: { retry: retry() } });
    if (isWarm) await call();
    expect(await call('PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello')).toBe('200');
    expect(server.received.join('').match(/hello/g)).toHaveLength(2);
  });

  it('comes when one try takes too long', async () => {
    let calls = 0;
    const server = await rawUpstream((socket) => {
      if (calls++ > 0) socket.write(ok());
      return true;
    });
    const { call, entries } = await run(upstream([server.port]), {
      action: { retry: retry({ on: ['reset'], perTryTimeoutMs: 50 }) },
    });
    expect(await call()).toBe('200');
    expect(entries[0]?.tries).toBe(2);
  });

  it('stays inside the budget', async () => {
    const server = await rawUpstream((socket) => {
      setTimeout(() => socket.write(status(500)), 20);
      return true;
    });
    const { call, entries } = await run(upstream([server.port]), {
      action: { retry: retry({ attempts: 1, backoffMs: 60, minRetries: 2, budgetPercent: 0 }) },
    });
    await Promise.all(Array.from({ length: 20 }, () => call()));
    expect(entries.filter((entry) => entry.tries > 1)).toHaveLength(2);
  });

  it('waits as long as Retry-After says, or not at all when that is too long', async () => {
    let calls = 0;
    const server = await rawUpstream((socket) => {
      socket.write(calls++ === 0 ? status(503, 'retry-after: 3600\r\n') : ok());
      return true;
    });
    const { call, entries } = await run(upstream([server.port]), { action: { retry: retry() } });
    expect(await call()).toBe('503');
    expect(entries[0]?.tries).toBe(1);
  });
});

describe('a connection from the pool', () => {
  it('that turns out stale is replaced once, for what may be repeated', async () => {
    let first = true;
    const server = await rawUpstream((socket, text) => {
      if (text.startsWith('GET /warm')) socket.write(ok());
      else if (first) {
        first = false;
        socket.destroy();
      } else socket.write(ok());
      return true;
    });
    const { call, entries } = await run(upstream([server.port]));
    expect(await call(get('/warm'))).toBe('200');
    expect(await call(get('/stale'))).toBe('200');
    expect(entries[1]).toMatchObject({ flag: '-', tries: 1 });
  });

  it('is closed before the upstream closes it', async () => {
    const server = await fixedUpstream(ok('ok', 'keep-alive: timeout=1\r\n'));
    const { call, plane } = await run(upstream([server.port]));
    await call();
    expect(plane.stats().upstreamConnections).toBe(1);
    await sleep(700);
    expect(plane.stats().upstreamConnections).toBe(0);
  });

  it('is not risked twice with a POST', async () => {
    const server = await rawUpstream((socket, text) => {
      if (text.startsWith('GET')) socket.write(ok());
      else socket.destroy();
      return true;
    });
    const { call } = await run(upstream([server.port]));
    await call();
    expect(await call('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx')).toBe('503');
    expect(server.received.join('').match(/POST/g)).toHaveLength(1);
  });

  it('serves as many requests as policy says', async () => {
    const server = await fixedUpstream(ok());
    const { call } = await run(
      upstream([server.port], { pool: { ...upstream([]).pool, maxRequestsPerConnection: 2 } }),
    );
    for (let i = 0; i < 4; i++) await call();
    expect(server.connections).toBe(2);
    expect(server.received[0]).toMatch(/connection: close\r\n/);
  });

  it('is waited for, up to the limits', async () => {
    const server = await rawUpstream((socket) => {
      setTimeout(() => socket.write(ok()), 60);
      return true;
    });
    const pool = { ...upstream([]).pool, maxConnections: 2, maxPendingRequests: 3 };
    const { call, entries } = await run(upstream([server.port], { pool }));
    const codes = await Promise.all(Array.from({ length: 9 }, () => call()));
    expect(codes.filter((code) => code === '200')).toHaveLength(5);
    expect(entries.filter((entry) => entry.flag === 'UO')).toHaveLength(4);
    expect(server.connections).toBe(2);
  });

  it('makes room for another endpoint', async () => {
    const servers = [await fixedUpstream(ok('a')), await fixedUpstream(ok('b'))];
    const pool = { ...upstream([]).pool, maxConnections: 1 };
    const { call, plane } = await run(
      upstream(
        servers.map((each) => each.port),
        { pool },
      ),
    );
    for (let i = 0; i < 4; i++) expect(await call()).toBe('200');
    expect(plane.stats().upstreamConnections).toBe(1);
  });

  it('is bounded in requests under way', async () => {
    const server = await rawUpstream((socket) => {
      setTimeout(() => socket.write(ok()), 60);
      return true;
    });
    const pool = { ...upstream([]).pool, maxRequests: 2 };
    const { call } = await run(upstream([server.port], { pool }));
    const codes = await Promise.all(Array.from({ length: 5 }, () => call()));
    expect(codes.filter((code) => code === '503')).toHaveLength(3);
  });
});

describe('an endpoint', () => {
  const outlierDetection = {
    consecutive5xxErrors: 3,
    consecutiveGatewayErrors: 0,
    intervalMs: 60,
    baseEjectionTimeMs: 150,
    maxEjectionTimeMs: 1000,
    maxEjectionPercent: 50,
    minHealthPercent: 0,
    shared: false,
  };

  it('that fails three times in a row is ejected, and comes back', async () => {
    let healthy = false;
    const bad = await rawUpstream((socket) => {
      socket.write(healthy ? ok() : status(500));
      return true;
    });
    const good = await fixedUpstream(ok());
    const { call, entries } = await run(upstream([bad.port, good.port], { outlierDetection }));
    for (let i = 0; i < 12; i++) await call();
    expect(entries.filter((entry) => entry.status === 500)).toHaveLength(3);
    healthy = true;
    await sleep(400);
    entries.length = 0;
    for (let i = 0; i < 10; i++) await call();
    expect(entries.filter((entry) => entry.endpoint.endsWith(`:${bad.port}`))).toHaveLength(5);
  });

  it('that fails its health checks gets no traffic until it passes them again', async () => {
    let healthy = false;
    const sick = await rawUpstream((socket, text) => {
      socket.write(text.startsWith('GET /healthz') && !healthy ? status(500) : ok());
      return true;
    });
    const well = await fixedUpstream(ok());
    const healthCheck = {
      type: 'HTTP' as const,
      path: '/healthz',
      intervalMs: 30,
      timeoutMs: 500,
      unhealthyThreshold: 2,
      healthyThreshold: 2,
      expectedStatuses: [200],
    };
    const { call, entries } = await run(upstream([sick.port, well.port], { healthCheck }));
    await sleep(250);
    for (let i = 0; i < 6; i++) await call();
    expect(new Set(entries.map((entry) => entry.endpoint))).toEqual(
      new Set([`127.0.0.1:${well.port}`]),
    );
    healthy = true;
    await sleep(250);
    for (let i = 0; i < 6; i++) await call();
    expect(new Set(entries.map((entry) => entry.endpoint)).size).toBe(2);
  });

  it('that nobody can connect to fails a TCP check', async () => {
    const [closed = 0] = await freePorts(1);
    const well = await fixedUpstream(ok());
    const healthCheck = {
      type: 'TCP' as const,
      path: '/',
      intervalMs: 30,
      timeoutMs: 500,
      unhealthyThreshold: 1,
      healthyThreshold: 1,
      expectedStatuses: [200],
    };
    const { call } = await run(upstream([closed, well.port], { healthCheck }));
    await sleep(150);
    for (let i = 0; i < 4; i++) expect(await call()).toBe('200');
  });

  it('is used although ejected when too few are left', async () => {
    const bad = await fixedUpstream(status(500));
    const { call } = await run(
      upstream([bad.port], {
        outlierDetection: { ...outlierDetection, maxEjectionPercent: 100 },
        panicThreshold: 50,
      }),
    );
    for (let i = 0; i < 6; i++) expect(await call()).toBe('500');
  });
});

describe('a mirror', () => {
  it('gets a copy of a GET, and nobody waits for it', async () => {
    const main = await fixedUpstream(ok('main'));
    const shadow = await rawUpstream(() => false);
    const plans = [upstream([main.port]), upstream([shadow.port], { id: 'bibby/shadow' })];
    const { port } = await startPlane(viewOf(plans), {
      handle: (_request, forward) => ({ ...forward, mirror: plans[1] }),
    });
    const caller = await rawCaller(port);
    caller.send(get('/copy'));
    await caller.until('main');
    while (!shadow.received[0]) await sleep(2);
    expect(shadow.received[0]).toContain('GET /copy HTTP/1.1');
    caller.send('POST /once HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx');
    await caller.until(/(main[^]*){2}/);
    expect(shadow.received.join('')).not.toContain('/once');
  });
});

describe('a delay', () => {
  it('comes before the first try', async () => {
    const server = await fixedUpstream(ok());
    const { call, entries } = await run(upstream([server.port]), { forward: { delayMs: 80 } });
    expect(await call()).toBe('200');
    expect(entries[0]?.durationMs).toBeGreaterThanOrEqual(79);
    expect(entries[0]?.flag).toBe('DI');
  });
});
