// Callers that hold on to the proxy by being slow: they are cut, memory stays bounded, and nobody else notices.
import http from 'node:http';
import net from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import {
  closeAll,
  closing,
  get,
  listener,
  type Running,
  rawCaller,
  startPlane,
  upstream,
  viewOf,
} from '#test/adapters/dataplane-node/support.ts';

afterEach(closeAll);

const limits = {
  ...listener().limits,
  headerTimeoutMs: 700,
  bodyStallTimeoutMs: 700,
  idleTimeoutMs: 3000,
};

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** `/large` is 20 MB, made as fast as it is taken; everything else is `ok`. */
const server = async (): Promise<number> => {
  const run = Buffer.alloc(65_536, 'x');
  const upstreamServer = http.createServer((request, response) => {
    request.resume();
    if (!request.url?.startsWith('/large')) {
      const size = Number(/\?(\d+)/.exec(request.url ?? '')?.[1] ?? 2);
      request.on('end', () => response.end('ok'.padEnd(size)));
      return;
    }
    let left = 320;
    const more = (): void => {
      while (left-- > 0) if (!response.write(run)) return void response.once('drain', more);
      response.end();
    };
    more();
  });
  await new Promise<void>((resolve) => upstreamServer.listen(0, '127.0.0.1', resolve));
  closing(() => {
    upstreamServer.closeAllConnections();
    upstreamServer.close();
  });
  return (upstreamServer.address() as net.AddressInfo).port;
};

const proxy = async (changes: Partial<typeof limits> = {}, timeoutMs = 3000): Promise<Running> =>
  startPlane(
    viewOf([upstream([await server()])], [listener({ limits: { ...limits, ...changes } })]),
    {
      action: { timeoutMs },
      // Who behaves may be slow where the machine is.
      handle: ({ path }, forward) =>
        path === '/good'
          ? { ...forward, action: { ...forward.action, timeoutMs: 60_000 } }
          : forward,
    },
  );

interface Attackers {
  readonly sockets: readonly net.Socket[];
  readonly open: number;
}

/** `say` is called when connected, and every 50 ms. */
const attack = (
  port: number,
  count: number,
  say: (socket: net.Socket, turn: number) => void,
): Attackers => {
  let open = count;
  const sockets = Array.from({ length: count }, () => {
    const socket = net.connect({ host: '127.0.0.1', port });
    let turn = 0;
    socket.on('connect', () => say(socket, turn++));
    const drip = setInterval(() => {
      if (socket.writable && !socket.connecting) say(socket, turn++);
    }, 50);
    socket.on('error', () => {});
    socket.on('close', () => {
      open--;
      clearInterval(drip);
    });
    closing(() => {
      socket.destroy();
    });
    return socket;
  });
  return {
    sockets,
    get open() {
      return open;
    },
  };
};

/** A good caller asks one request after the other until `isOver`; how many were answered, and the slowest. */
const goodCaller = async (port: number, isOver: () => boolean) => {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  closing(() => agent.destroy());
  const ask = () =>
    new Promise<number>((resolve, reject) => {
      http
        .get({ host: '127.0.0.1', port, agent, path: '/good' }, (response) => {
          response.resume();
          response.on('end', () => resolve(response.statusCode ?? 0));
        })
        .on('error', reject);
    });
  let answered = 0;
  let slowestMs = 0;
  while (!isOver()) {
    const start = performance.now();
    expect(await ask()).toBe(200);
    slowestMs = Math.max(slowestMs, performance.now() - start);
    answered++;
    await sleep(5);
  }
  return { answered, slowestMs };
};

const rssMb = (): number => process.memoryUsage.rss() / 2 ** 20;

describe('callers that are slow', () => {
  it.each<[string, string, (socket: net.Socket, turn: number) => void]>([
    [
      'with their heads',
      '408',
      (socket, turn) => socket.write(turn === 0 ? 'GET /slow HTTP/1.1\r\nHost: a\r\n' : 'X: y\r\n'),
    ],
    [
      'with their heads, a byte at a time',
      '408',
      (socket, turn) => socket.write('GET /slow HTTP/1.1\r\nHost: a\r\nX: y'.charAt(turn)),
    ],
    ['to say anything', '', () => {}],
    [
      'with their bodies',
      '408',
      (socket, turn) => {
        if (turn === 0)
          socket.write('POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nx');
      },
    ],
    [
      'with their bodies, a byte at a time',
      '504',
      (socket, turn) =>
        socket.write(
          turn === 0
            ? 'POST /slow HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n'
            : '1\r\nx\r\n',
        ),
    ],
  ])('%s are cut', async (_, status, say) => {
    const { port, plane } = await proxy({}, 1200);
    const before = rssMb();
    let texts = '';
    const attackers = attack(port, 300, say);
    for (const socket of attackers.sockets)
      socket.on('data', (chunk) => {
        texts += chunk.toString('latin1');
      });
    const good = await goodCaller(port, () => attackers.open === 0);
    expect(good.answered).toBeGreaterThan(0);
    expect(texts.match(/HTTP\/1\.1 (\d+)/g)?.length ?? 0).toBe(status === '' ? 0 : 300);
    expect(texts).not.toMatch(new RegExp(`HTTP/1\\.1 (?!${status})`));
    expect(rssMb() - before).toBeLessThan(100);
    while (plane.stats().connections > 1) await sleep(5);
  });

  it('to read are cut', async () => {
    const { port, plane } = await proxy({}, 10_000);
    const before = rssMb();
    const attackers = attack(port, 60, (socket, turn) => {
      if (turn > 0) return;
      socket.pause();
      socket.write(get('/large'));
    });
    let most = 0;
    // Connections of paused sockets end for us only when we look; the proxy counts for itself.
    await sleep(100);
    const good = await goodCaller(port, () => {
      most = Math.max(most, rssMb());
      return plane.stats().exchanges === 0;
    });
    expect(good.answered).toBeGreaterThan(0);
    expect(most - before).toBeLessThan(150);
    expect(attackers.sockets).toHaveLength(60);
  });

  it('to read, but ask and ask, are made to wait and then cut', async () => {
    const { port, plane } = await startPlane(
      viewOf([upstream([1])], [listener({ limits: { ...limits, bodyStallTimeoutMs: 1500 } })]),
      {
        handle: () => ({
          type: 'respond',
          status: 200,
          error: '',
          reason: '',
          flag: '',
          headers: [],
          body: 'x'.repeat(5000),
          contentType: 'text/plain',
        }),
      },
    );
    const before = rssMb();
    const ask = get().repeat(200);
    // As often as they can: each turn is worth a megabyte.
    const attackers = attack(port, 10, (socket, turn) => {
      socket.pause();
      for (let i = 0; i < 20 && (turn === 0 || socket.writableLength === 0); i++) socket.write(ask);
    });
    let most = 0;
    await goodCaller(port, () => {
      most = Math.max(most, rssMb());
      return (
        attackers.sockets.every(({ connecting }) => !connecting) && plane.stats().connections <= 1
      );
    });
    expect(most - before).toBeLessThan(150);
  });

  it('to read go on where they were', async () => {
    const { port } = await proxy({}, 10_000);
    const caller = await rawCaller(port);
    caller.socket.pause();
    const count = 400;
    for (let i = 0; i < count; i++) caller.send(get(`/${i}?20000`));
    caller.send(get('/last', 'Connection: close\r\n'));
    await sleep(300);
    caller.socket.resume();
    const text = await caller.untilClosed();
    expect(text.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(count + 1);
  });
});

describe('more callers than allowed', () => {
  it('are shut out at once, and the others are served', async () => {
    const { port, plane } = await proxy({ maxConnections: 50 });
    const inside = await Promise.all(Array.from({ length: 50 }, () => rawCaller(port)));
    const outside = await Promise.all(Array.from({ length: 100 }, () => rawCaller(port)));
    for (const caller of outside) expect(await caller.untilClosed()).toBe('');
    for (const caller of inside) caller.send(get());
    for (const caller of inside) await caller.until('ok');
    expect(plane.stats().connections).toBe(50);
    inside[0]?.socket.destroy();
    while (plane.stats().connections > 49) await sleep(2);
    const late = await rawCaller(port);
    late.send(get());
    await late.until('ok');
  });
});
