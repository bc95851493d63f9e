// What an idle keep-alive connection costs the proxy: opens many, asks one request on each, and looks at the memory of the
// proxy's process before and after. The last line is JSON.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { proxyEnvironment } from './proxy-environment.ts';
import { freePorts, waitForPort } from './proxy-ports.ts';

const { values } = parseArgs({ options: { connections: { type: 'string', default: '10000' } } });

/** A burst of callers at a time, so that no SYN is lost. */
const BURST = 100;
const SETTLE_MS = 1500;

const hardLimit = (): number =>
  Number(
    /Max open files\s+\d+\s+(\d+)/.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1] ?? Infinity,
  );

const wanted = Number(values.connections);
const count = Math.min(wanted, hardLimit() - 200);
if (count < wanted) console.log(`only ${count} connections: \`ulimit -Hn\` allows no more`);

const rssKb = (pid: number): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);

const REQUEST = 'GET /catalog/books/1 HTTP/1.1\r\nHost: api.bibby.com\r\nUser-Agent: bench\r\n\r\n';

const open = async (port: number): Promise<net.Socket> => {
  const socket = net.connect({ host: '127.0.0.1', port });
  socket.write(REQUEST);
  await once(socket, 'data');
  return socket;
};

const openAll = async (port: number, number: number): Promise<net.Socket[]> => {
  const sockets: net.Socket[] = [];
  while (sockets.length < number)
    sockets.push(
      ...(await Promise.all(
        Array.from({ length: Math.min(BURST, number - sockets.length) }, () => open(port)),
      )),
    );
  return sockets;
};

const backend = http.createServer((_request, response) => response.end('{"id":1}'));
backend.keepAliveTimeout = 0;
backend.listen(0, '127.0.0.1');
await once(backend, 'listening');
const upstreamPort = (backend.address() as net.AddressInfo).port;
const [port = 0] = await freePorts(1);
const child = spawn(
  process.execPath,
  [
    '--max-semi-space-size=4',
    '--heap-growing-percent=100',
    '--expose-gc',
    join(import.meta.dirname, 'proxy-plane.ts'),
    JSON.stringify({ port, upstreamPort, routes: 1 }),
  ],
  { stdio: ['ignore', 'ignore', 'inherit'], env: proxyEnvironment },
);
const pid = child.pid ?? 0;

/** Garbage of the requests is no cost of idling. */
const settle = async (): Promise<void> => {
  await sleep(SETTLE_MS);
  child.kill('SIGUSR2');
  await sleep(SETTLE_MS);
};

try {
  await waitForPort(port);
  for (const socket of await openAll(port, BURST)) socket.destroy();
  await settle();
  const before = rssKb(pid);
  const sockets = await openAll(port, count);
  const full = rssKb(pid);
  await settle();
  const idle = rssKb(pid);
  const again = await open(port);
  const kb = (idle - before) / count;
  console.log(
    `${count} idle connections: ${(before / 1024).toFixed(0)} MB before, ${(full / 1024).toFixed(0)} MB when they came, ` +
      `${(idle / 1024).toFixed(0)} MB idle; ${kb.toFixed(1)} KB each`,
  );
  for (const socket of [...sockets, again]) socket.destroy();
  console.log(
    JSON.stringify({
      connections: count,
      beforeMb: Math.round(before / 1024),
      idleMb: Math.round(idle / 1024),
      bytesPerConnection: Math.round(kb * 1024),
    }),
  );
} finally {
  child.kill('SIGTERM');
  backend.close();
  backend.closeAllConnections();
}
