// Asks at a fixed rate, whether answered or not; a request's time counts from when it was due. Run by proxy-load.ts.
import { once } from 'node:events';
import net from 'node:net';

const load = JSON.parse(process.argv[2] ?? '{}') as {
  readonly url: string;
  readonly connections: number;
  readonly seconds: number;
  readonly rate: number;
};
const { hostname, port } = new URL(load.url);

const REQUEST = 'GET /catalog/books/1 HTTP/1.1\r\nHost: api.bibby.com\r\n\r\n';
const TICK_MS = 1;

const times: number[] = [];
const idle: net.Socket[] = [];
const dueAt = new Map<net.Socket, number>();
/** Due, but no connection is free. */
const waiting: number[] = [];

const answered = (socket: net.Socket, bytes: Buffer): void => {
  const due = dueAt.get(socket);
  if (due === undefined || bytes.latin1Slice(9, 12) !== '200') throw new Error('not a success');
  times.push(performance.now() - due);
  dueAt.delete(socket);
  const next = waiting.shift();
  if (next === undefined) idle.push(socket);
  else ask(socket, next);
};

const ask = (socket: net.Socket, due: number): void => {
  dueAt.set(socket, due);
  socket.write(REQUEST);
};

for (let i = 0; i < load.connections; i++) {
  const socket = net.connect({ host: hostname, port: Number(port), noDelay: true });
  await once(socket, 'connect');
  // Answers are short and come in one piece.
  socket.on('data', (bytes: Buffer) => answered(socket, bytes));
  idle.push(socket);
}

const start = performance.now();
let sent = 0;
const timer = setInterval(() => {
  const elapsed = performance.now() - start;
  if (elapsed > load.seconds * 1000) {
    clearInterval(timer);
    finish();
    return;
  }
  for (; sent < (elapsed * load.rate) / 1000; sent++) {
    const due = start + (sent * 1000) / load.rate;
    const socket = idle.pop();
    if (socket) ask(socket, due);
    else waiting.push(due);
  }
}, TICK_MS);

const finish = (): void => {
  const requests = times.length;
  times.sort((a, b) => a - b);
  const [p50Ms, p99Ms] = [times[requests >> 1], times[Math.floor(requests * 0.99)]];
  console.log(JSON.stringify({ requests, rate: requests / load.seconds, p50Ms, p99Ms }));
  process.exit(0);
};
