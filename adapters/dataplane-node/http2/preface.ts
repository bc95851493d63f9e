// A plain connection that turns out to speak HTTP/2.
import net from 'node:net';

const PREFACE = 'PRI * HTTP/2.0\r\n\r\n';

export const isPreface = (text: string): boolean => text.startsWith(PREFACE);

interface Handled {
  _handle?: unknown;
}

/** Moves the kernel handle to a new socket, which gives out `bytes` before anything else. The old one closes. */
export const handOver = (socket: net.Socket, bytes: Buffer): net.Socket => {
  const handle = (socket as Handled)._handle;
  (socket as Handled)._handle = null;
  socket.destroy();
  const options: Omit<net.SocketConstructorOpts, 'handle'> & { handle: unknown } = { handle };
  const heir = new net.Socket(options as net.SocketConstructorOpts);
  heir.unshift(Buffer.from(bytes));
  return heir;
};
