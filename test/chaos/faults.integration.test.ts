// A good upstream behind a bad wire: an answer is right, or says 502, 503 or 504, or is visibly broken off.
import http from 'node:http';
import type net from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { RetryPlan, Upstream } from '#engine/model/snapshot.ts';
import {
  closeAll,
  closing,
  startPlane,
  upstream,
  viewOf,
} from '#test/adapters/dataplane-node/support.ts';
import { type FaultProxy, faultProxy } from './fault-proxy.ts';

afterEach(closeAll);

const retry: RetryPlan = {
  attempts: 2,
  on: ['connect-failure', 'reset', 'unavailable'],
  perTryTimeoutMs: 0,
  backoffMs: 5,
  budgetPercent: 20,
  minRetries: 3,
};

interface World {
  readonly wire: FaultProxy;
  readonly port: number;
  /** Requests that reached the upstream, by path. */
  readonly asked: Map<string, number>;
  readonly exchanges: () => number;
}

interface WorldOptions {
  readonly chunked?: boolean;
  readonly retry?: RetryPlan;
  readonly timeoutMs?: number;
  readonly pool?: Partial<Upstream['pool']>;
}

const world = async (options: WorldOptions = {}): Promise<World> => {
  const asked = new Map<string, number>();
  const server = http.createServer((request, response) => {
    const url = request.url ?? '';
    asked.set(url, (asked.get(url) ?? 0) + 1);
    request.resume();
    request.on('end', () => {
      response.sendDate = false;
      if (options.chunked) response.write(url.slice(0, 3));
      else response.setHeader('content-length', url.length);
      response.end(options.chunked ? url.slice(3) : url);
    });
  });
  server.on('clientError', (_error, socket) => socket.destroy());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing(() => {
    server.closeAllConnections();
    server.close();
  });
  const wire = await faultProxy((server.address() as net.AddressInfo).port);
  closing(() => wire.close());
  const pool = { ...upstream([]).pool, ...options.pool };
  const { port, plane } = await startPlane(viewOf([upstream([wire.port], { pool })]), {
    action: {
      timeoutMs: options.timeoutMs ?? 10_000,
      ...(options.retry && { retry: options.retry }),
    },
  });
  return { wire, port, asked, exchanges: () => plane.stats().exchanges };
};

const agent = new http.Agent({ keepAlive: true, maxSockets: 64 });

/** `right`, a status, `broken`, or what was wrong. */
const ask = (port: number, path: string, method = 'GET'): Promise<string> =>
  new Promise((resolve) => {
    const request = http.request({ host: '127.0.0.1', port, path, agent, method }, (response) => {
      let text = '';
      response.on('data', (chunk) => {
        text += chunk;
      });
      response.on('error', () => resolve('broken'));
      response.on('end', () => {
        if (response.statusCode !== 200) resolve(String(response.statusCode));
        else resolve(text === path ? 'right' : `wrong: ${text}`);
      });
    });
    request.on('error', () => resolve('broken'));
    request.end(method === 'POST' ? 'body' : undefined);
  });

const countsOf = (list: readonly string[]): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const each of list) counts[each] = (counts[each] ?? 0) + 1;
  return counts;
};

/** Answers of the wire cut at each byte, each on a connection of its own. */
const cutEverywhere = async (
  { wire, port }: World,
  cut: 'reset' | 'close' | 'halfClose',
  bytes: number,
) => {
  const results: string[] = [];
  for (let at = 0; at < bytes; at++) {
    wire.faultOf = () => ({ cutAt: at, cut });
    results.push(await ask(port, '/cut-at-a-byte'));
  }
  return results;
};

/** How many bytes the whole answer has, by listening to the wire. */
const sizeOf = async ({ wire, port }: World): Promise<number> => {
  let low = 1;
  let high = 1024;
  while (low < high) {
    const middle = (low + high) >> 1;
    wire.faultOf = () => ({ cutAt: middle, cut: 'close' });
    if ((await ask(port, '/cut-at-a-byte')) === 'right') high = middle;
    else low = middle + 1;
  }
  return low;
};

describe('an answer', () => {
  it.each([
    ['reset', false],
    ['reset', true],
    ['close', false],
    ['close', true],
    ['halfClose', false],
    ['halfClose', true],
  ] as const)(
    'cut by %s at any byte is never taken for whole (chunks: %s)',
    async (cut, chunked) => {
      const here = await world({ chunked, pool: { maxRequestsPerConnection: 1 } });
      const size = await sizeOf(here);
      expect(size).toBeGreaterThan(60);
      const results = await cutEverywhere(here, cut, size);
      const counts = countsOf(results);
      expect(Object.keys(counts).filter((kind) => !/^(?:50[23]|broken)$/.test(kind))).toEqual([]);
      // Before the end of the head there is somebody to tell.
      expect(results[0]).toBe('503');
      expect(results.at(-1)).toBe('broken');
      here.wire.faultOf = () => ({ cutAt: size, cut: 'close' });
      expect(await ask(here.port, '/cut-at-a-byte')).toBe('right');
    },
  );

  it('that is late, or comes byte by byte, is right', async () => {
    const here = await world({ chunked: true });
    here.wire.faultOf = (number) => (number % 2 === 0 ? { latencyMs: 30 } : { dripBytes: 1 });
    const results = await Promise.all(
      Array.from({ length: 40 }, (_, i) => ask(here.port, `/late-${i}`)),
    );
    expect(countsOf(results)).toEqual({ right: 40 });
  });

  it('that is too late is a 504, and reaches nobody else', async () => {
    const here = await world({ timeoutMs: 150 });
    here.wire.faultOf = (number) => (number % 2 === 0 ? { latencyMs: 600 } : {});
    const results: string[] = [];
    for (let round = 0; round < 5; round++)
      results.push(
        ...(await Promise.all(
          Array.from({ length: 8 }, (_, i) => ask(here.port, `/slow-${round}-${i}`)),
        )),
      );
    expect(Object.keys(countsOf(results)).sort()).toEqual(['504', 'right']);
  });

  it('that nobody asked for reaches nobody', async () => {
    const here = await world();
    const stray = 'HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil';
    here.wire.faultOf = (number) => (number % 2 === 0 ? { stray } : { stray, strayAfterMs: 5 });
    const results: string[] = [];
    for (let round = 0; round < 30; round++) {
      const together = [1, 2, 3].map((i) => ask(here.port, `/stray-${round}-${i}`));
      results.push(...(await Promise.all(together)));
      // Until what comes late has come.
      await new Promise((resolve) => setTimeout(resolve, 15));
    }
    expect(countsOf(results)).toEqual({ right: 90 });
    expect(here.wire.connections).toBeGreaterThan(30);
  });
});

describe('a request', () => {
  it('that may have been heard is not sent again when that could do harm', async () => {
    const here = await world({ retry });
    for (let at = 0; at < 220; at += 3) {
      here.wire.faultOf = (number) => (number % 2 === 0 ? { requestCutAt: at } : { cutAt: 0 });
      await ask(here.port, `/post-${at}`, 'POST');
    }
    expect(Math.max(...here.asked.values())).toBe(1);
  });

  it('fails where its connection fails, and is asked again at most a fifth as often', async () => {
    const here = await world({ retry, pool: { maxRequestsPerConnection: 1 } });
    here.wire.faultOf = () => ({ cutAt: 0 });
    const total = 1200;
    let next = 0;
    const results: string[] = [];
    await Promise.all(
      Array.from({ length: 60 }, async () => {
        while (next < total) results.push(await ask(here.port, `/fails-${next++}`));
      }),
    );
    expect(countsOf(results)).toEqual({ '503': total });
    expect(here.wire.connections).toBeGreaterThan(total);
    expect(here.wire.connections).toBeLessThanOrEqual(total * 1.2);
    expect(here.exchanges()).toBe(0);
  });

  it('is saved by a retry when connections fail now and then', async () => {
    const here = await world({ retry, pool: { maxRequestsPerConnection: 1 } });
    here.wire.faultOf = (number) => (number % 20 === 7 ? { cutAt: number % 3 === 0 ? 0 : 20 } : {});
    const total = 400;
    let next = 0;
    const results: string[] = [];
    await Promise.all(
      Array.from({ length: 10 }, async () => {
        while (next < total) results.push(await ask(here.port, `/saved-${next++}`));
      }),
    );
    expect(countsOf(results)['right']).toBeGreaterThan(total * 0.97);
    expect(here.wire.connections).toBeLessThanOrEqual(total * 1.2);
  });
});
