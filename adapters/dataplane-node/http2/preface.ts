// A plain connection that turns out to speak HTTP/2.
import net from 'node:net';
import { adopt } from '../byte-stream.ts';
import type { ConnectionHome } from '../downstream/connection-home.ts';
import type { PeerFacts } from '../downstream/request-view.ts';
import type { PlaneContext } from '../exchange/context.ts';
import { CallerSession } from './caller-session.ts';
import { PREFACE } from './frames.ts';

/** What looks like the head of a request: the rest may not have been read yet. */
const PREFACE_HEAD = PREFACE.slice(0, PREFACE.indexOf('SM'));

export const isPreface = (text: string): boolean => text.startsWith(PREFACE_HEAD);

interface Handled {
  _handle?: unknown;
}

/** Moves the kernel handle to a new socket, which gives out `bytes` before anything else. The old one closes. */
const handOver = (socket: net.Socket, bytes: Buffer): net.Socket => {
  const handle = (socket as Handled)._handle;
  (socket as Handled)._handle = null;
  socket.destroy();
  const options: Omit<net.SocketConstructorOpts, 'handle'> & { handle: unknown } = { handle };
  const heir = new net.Socket(options as net.SocketConstructorOpts);
  heir.unshift(Buffer.from(bytes));
  return heir;
};

export interface Speaker {
  readonly home: ConnectionHome;
  readonly request: { readonly peer: PeerFacts };
  readonly context: PlaneContext;
}

/** `bytes` have been read already; the socket is not the caller's any more. */
export const speakHttp2 = (
  socket: net.Socket,
  bytes: Buffer,
  { home, request, context }: Speaker,
): void =>
  adopt(handOver(socket, bytes), (heir) =>
    home.remember(new CallerSession(heir, home, request.peer, context)),
  );
