// Sends a message on each connection, and the next one when it comes back. Run by proxy-load.ts.
import { once } from 'node:events';
import net from 'node:net';

const load = JSON.parse(process.argv[2] ?? '{}') as {
  readonly url: string;
  readonly connections: number;
  readonly seconds: number;
};
const { hostname, port } = new URL(load.url);

const PAYLOAD = 100;
/** A text frame of a client, masked with zeros. */
const MESSAGE = Buffer.concat([
  Buffer.from([0x81, 0x80 | PAYLOAD, 0, 0, 0, 0]),
  Buffer.alloc(PAYLOAD, 'x'),
]);
/** The same from a server. */
const ECHO_BYTES = 2 + PAYLOAD;

const UPGRADE = [
  'GET /catalog/chat HTTP/1.1',
  'Host: api.bibby.com',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  '\r\n',
].join('\r\n');

const times: number[] = [];
let isOver = false;

const talk = async (): Promise<net.Socket> => {
  const socket = net.connect({ host: hostname, port: Number(port), noDelay: true });
  socket.write(UPGRADE);
  const [answer] = (await once(socket, 'data')) as [Buffer];
  if (!answer.includes('HTTP/1.1 101 ') || !answer.toString('latin1').endsWith('\r\n\r\n'))
    throw new Error(`not upgraded: ${answer.toString('latin1')}`);
  let received = 0;
  let sentAt = 0;
  const send = (): void => {
    sentAt = performance.now();
    socket.write(MESSAGE);
  };
  socket.on('data', (bytes: Buffer) => {
    received += bytes.length;
    if (received < ECHO_BYTES) return;
    received -= ECHO_BYTES;
    times.push(performance.now() - sentAt);
    if (!isOver) send();
  });
  socket.on('close', () => {
    if (!isOver) throw new Error('a connection was closed');
  });
  send();
  return socket;
};

const sockets = await Promise.all(Array.from({ length: load.connections }, talk));
setTimeout(() => {
  isOver = true;
  for (const socket of sockets) socket.destroy();
  const requests = times.length;
  times.sort((a, b) => a - b);
  const [p50Ms, p99Ms] = [times[requests >> 1], times[Math.floor(requests * 0.99)]];
  console.log(JSON.stringify({ requests, rate: requests / load.seconds, p50Ms, p99Ms }));
}, load.seconds * 1000);
