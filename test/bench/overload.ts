// What an overloaded proxy still does: capacity, then twice as much by the clock, then half. `npm run bench:overload`.
// Every request costs the proxy WEIR_WORK_MS (0.4) beside the way through it, as long chains of policies do.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { createNodePlane } from '#adapters/dataplane-node/plane.ts';
import {
  closeAll,
  listener,
  simplePipeline,
  upstream,
  viewOf,
} from '../adapters/dataplane-node/support.ts';

const CONNECTIONS = 1000;
const REQUEST = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';

const servePlane = async (backend: number): Promise<void> => {
  const workMs = Number(process.env['WEIR_WORK_MS'] ?? 0.4);
  const work = (): undefined => {
    const until = performance.now() + workMs;
    while (performance.now() < until);
  };
  const plane = createNodePlane({
    pipeline: (view) => simplePipeline(view, { handle: (_, forward) => work() ?? forward }),
    reporter: 'source',
    listenPorts: new Map([[8080, 0]]),
  });
  const plan = upstream([backend]);
  const pool = { ...plan.pool, maxRequests: 100_000, maxPendingRequests: 100_000 };
  await plane.activate(viewOf([{ ...plan, pool }], [listener()]));
  process.send?.(plane.addresses()[0]?.port);
};

interface Counts {
  served: number;
  refused: number;
  failed: number;
}

class Caller {
  isFree = true;
  private readonly socket: net.Socket;
  private readonly counts: Counts;
  private readonly onFree: (caller: Caller) => void;

  constructor(port: number, counts: Counts, onFree: (caller: Caller) => void) {
    this.counts = counts;
    this.onFree = onFree;
    this.socket = net.connect({ host: '127.0.0.1', port, noDelay: true });
    this.socket.on('data', (chunk: Buffer) => this.hear(chunk.toString('latin1')));
    this.socket.on('error', () => {});
  }

  ask(): void {
    this.isFree = false;
    this.socket.write(REQUEST);
  }

  close(): void {
    this.socket.destroy();
  }

  private hear(text: string): void {
    if (!text.startsWith('HTTP/1.1 ')) return;
    if (text.startsWith('HTTP/1.1 200')) this.counts.served++;
    else if (text.includes('overloaded')) this.counts.refused++;
    else this.counts.failed++;
    this.isFree = true;
    this.onFree(this);
  }
}

/** Answers per second of a few callers that ask again as soon as they are answered. */
const capacityOf = async (port: number): Promise<number> => {
  const counts = { served: 0, refused: 0, failed: 0 };
  const callers = Array.from({ length: 16 }, () => new Caller(port, counts, (one) => one.ask()));
  for (const caller of callers) caller.ask();
  await sleep(2000);
  const before = counts.served;
  await sleep(4000);
  for (const caller of callers) caller.close();
  return (counts.served - before) / 4;
};

/** Asks by the clock, whatever comes of it; what finds no connection free is dropped on this side. */
const offer = async (callers: Caller[], counts: Counts, rate: number, seconds: number) => {
  const startedAt = performance.now();
  const { served, refused, failed } = counts;
  let sent = 0;
  let dropped = 0;
  while (performance.now() - startedAt < seconds * 1000) {
    for (const due = ((performance.now() - startedAt) * rate) / 1000; sent + dropped < due; ) {
      const caller = callers.pop();
      if (caller) {
        caller.ask();
        sent++;
      } else dropped++;
    }
    await sleep(1);
  }
  return {
    offered: Math.round((sent + dropped) / seconds),
    served: Math.round((counts.served - served) / seconds),
    refused: Math.round((counts.refused - refused) / seconds),
    failed: Math.round((counts.failed - failed) / seconds),
    dropped: Math.round(dropped / seconds),
  };
};

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

const measure = async (): Promise<void> => {
  const backend = http.createServer((_, response) => response.end('ok')).listen(0, '127.0.0.1');
  await once(backend, 'listening');
  const { port: backendPort } = backend.address() as net.AddressInfo;
  const child = fork(import.meta.filename, [String(backendPort)]);
  const [port] = (await once(child, 'message')) as [number];
  const capacity = await capacityOf(port);
  const counts = { served: 0, refused: 0, failed: 0 };
  const free: Caller[] = [];
  for (let i = 0; i < CONNECTIONS; i++)
    free.push(new Caller(port, counts, (one) => free.push(one)));
  await sleep(500);
  await offer(free, counts, capacity * 2, 3);
  const overload = await offer(free, counts, capacity * 2, 8);
  await offer(free, counts, capacity / 2, 5);
  const after = await offer(free, counts, capacity / 2, 3);
  console.log({ capacity: Math.round(capacity), overload, after });
  console.log(
    JSON.stringify({
      goodput: overload.served / capacity,
      recovered: after.served / after.offered,
    }),
  );
  child.kill();
  backend.closeAllConnections();
  backend.close();
  for (const caller of free) caller.close();
  await closeAll();
};

const [backend] = process.argv.slice(2);
await (backend === undefined ? measure() : servePlane(Number(backend)));
