// Ports of this machine's loopback.
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { EngineError } from '#engine/model/errors.ts';

/** The port if it is free, 0 for any; undefined if it is taken. */
const tryPort = async (port: number): Promise<number | undefined> => {
  const server = createServer();
  try {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    return address !== null && typeof address === 'object' ? address.port : undefined;
  } catch {
    return undefined;
  } finally {
    server.close();
  }
};

/** `wanted` or nothing; else `preferred` if it is free; else any. */
export const chooseLocalPort = async (choice: {
  readonly wanted: number | undefined;
  readonly preferred: number | undefined;
}): Promise<number> => {
  const port = await tryPort(choice.wanted ?? choice.preferred ?? 0);
  if (port !== undefined) return port;
  if (choice.wanted !== undefined)
    throw new EngineError('ERR_PORT_TAKEN', `port ${choice.wanted} is taken by another program`, {
      source: 'caller',
    });
  const any = await tryPort(0);
  if (any === undefined) throw new EngineError('ERR_PORT_TAKEN', 'no port is free on 127.0.0.1');
  return any;
};

const hears = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const end = (heard: boolean) => {
      socket.destroy();
      resolve(heard);
    };
    socket.setTimeout(1000, () => end(false));
    socket.once('data', () => end(true));
    socket.once('error', () => end(false));
    socket.once('close', () => end(false));
  });

/** Undefined once the server says hello; a reason if it has not by the deadline. */
export const greets = async (port: number, timeoutMs: number): Promise<string | undefined> => {
  const deadline = performance.now() + timeoutMs;
  while (performance.now() < deadline) {
    if (await hears(port)) return undefined;
    await sleep(20);
  }
  return `silent for ${timeoutMs} ms`;
};
