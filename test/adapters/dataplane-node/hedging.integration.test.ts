// A second try beside a slow one: who wins, who is cancelled, and when there is none.
import { afterEach, describe, expect, it } from 'vitest';
import type { AccessEntry } from '#adapters/dataplane-node/access.ts';
import type { ForwardAction } from '#engine/model/snapshot.ts';
import {
  closeAll,
  closing,
  get,
  ok,
  type RawUpstream,
  rawCaller,
  rawUpstream,
  startPlane,
  upstream,
  viewOf,
} from './support.ts';

afterEach(closeAll);

/** Answers every request by what it is told now, after a while; `never`, or by `hang up`. */
const backend = async (answer: () => string, afterMs = 0): Promise<RawUpstream> =>
  await rawUpstream((socket, text) => {
    if (!text.includes('\r\n\r\n')) return false;
    const said = answer();
    if (said === 'never') return true;
    const timer = setTimeout(() => {
      if (said === 'hang up') socket.destroy();
      else socket.write(said);
    }, afterMs);
    closing(() => clearTimeout(timer));
    return true;
  });
const failure = 'HTTP/1.1 500 X\r\ncontent-length: 1\r\n\r\nx';
const requests = (server: RawUpstream) => server.received.join('').split('\r\n\r\n').length - 1;

const run = async (servers: readonly RawUpstream[], action: Partial<ForwardAction> = {}) => {
  const entries: AccessEntry[] = [];
  const plan = upstream(servers.map(({ port }) => port));
  const { plane, port } = await startPlane(
    viewOf([plan]),
    { action: { hedge: { afterMs: 40 }, timeoutMs: 5000, ...action } },
    // The first draw is always the first endpoint.
    { random: () => 0, onAccess: (entry) => entries.push(entry) },
  );
  const call = async (text = get()): Promise<string> => {
    const caller = await rawCaller(port);
    caller.send(text.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'));
    return await caller.untilClosed();
  };
  return { plane, call, entries };
};
const isSettled = async (plane: { stats(): { upstreamConnections: number } }, count: number) => {
  for (let i = 0; i < 500 && plane.stats().upstreamConnections !== count; i++)
    await new Promise((resolve) => setTimeout(resolve, 10));
  return plane.stats().upstreamConnections;
};

describe('a request that is slow', () => {
  it('is sent to another endpoint too; the first answer wins and the other try is cancelled', async () => {
    const [slow, quick] = [await backend(() => 'never'), await backend(() => ok('quick'))];
    const { call, entries, plane } = await run([slow, quick]);
    expect(await call()).toContain('quick');
    expect(entries[0]).toMatchObject({
      status: 200,
      tries: 2,
      endpoint: `127.0.0.1:${quick.port}`,
      flag: '-',
    });
    // The slow connection is gone, the other is kept for later.
    expect(await isSettled(plane, 1)).toBe(1);
    expect(await call()).toContain('quick');
  });

  it('keeps its first try when that answers after all', async () => {
    const [first, second] = [await backend(() => ok('first'), 120), await backend(() => 'never')];
    const { call, entries, plane } = await run([first, second]);
    expect(await call()).toContain('first');
    expect(entries[0]).toMatchObject({ tries: 2, endpoint: `127.0.0.1:${first.port}` });
    expect(await isSettled(plane, 1)).toBe(1);
  });

  it('does not take an error for an answer while the other try may do better', async () => {
    const [slow, bad] = [await backend(() => ok('slow'), 150), await backend(() => failure)];
    const one = await run([slow, bad]);
    expect(await one.call()).toContain('slow');
    const [broken, late] = [await backend(() => failure, 60), await backend(() => ok('late'), 120)];
    const two = await run([broken, late]);
    expect(await two.call()).toContain('late');
    const [gone, last] = [await backend(() => 'hang up', 60), await backend(() => ok('last'), 120)];
    const three = await run([gone, last]);
    expect(await three.call()).toContain('last');
  });

  it('is answered with the error when both have failed', async () => {
    const [a, b] = [await backend(() => failure, 60), await backend(() => 'hang up', 120)];
    const { call, entries, plane } = await run([a, b]);
    expect(await call()).toMatch(/^HTTP\/1.1 503 /);
    expect(entries[0]).toMatchObject({ tries: 2, flag: 'UC' });
    expect(plane.stats().exchanges).toBe(0);
  });

  it('is given up at the deadline, both tries of it', async () => {
    const [a, b] = [await backend(() => 'never'), await backend(() => 'never')];
    const { call, plane } = await run([a, b], { timeoutMs: 150 });
    expect(await call()).toMatch(/^HTTP\/1.1 504 /);
    expect(await isSettled(plane, 0)).toBe(0);
  });
});

describe('there is no second try', () => {
  const post = 'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi';

  it.each([
    ['for a quick one', get(), 0, {}],
    ['for what may not be done twice', post.replace('2\r\n\r\nhi', '0\r\n\r\n'), 120, {}],
    ['for one with a body', post.replace('POST', 'PUT'), 120, {}],
    [
      'where the budget has no room',
      get(),
      120,
      {
        retry: {
          attempts: 1,
          on: ['connect-failure'],
          perTryTimeoutMs: 0,
          backoffMs: 1,
          budgetPercent: 0,
          minRetries: 0,
        },
      },
    ],
  ] as const)('%s', async (_why, text, afterMs, action) => {
    const [first, second] = [await backend(() => ok('first'), afterMs), await backend(() => ok())];
    const { call, entries } = await run([first, second], action);
    expect(await call(text)).toContain('first');
    expect(entries[0]?.tries).toBe(1);
    expect(requests(second)).toBe(0);
  });
});
