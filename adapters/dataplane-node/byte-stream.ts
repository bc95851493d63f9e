// Plain and TLS sockets behind one callback. Plain sockets read into one buffer that all of them share: a read costs no
// allocation and an idle connection no memory. What a reader wants to keep it copies before it returns.
import net from 'node:net';
import tls from 'node:tls';
import './latin1.ts';
import { readInto } from './raw-read.ts';
import { sharedBuffer as shared } from './shared-buffer.ts';

export interface StreamReader {
  /** `bytes[0, length)` are valid during the call only. */
  onBytes(bytes: Buffer, length: number): void;
  /** All that was written has left. */
  onDrain(): void;
  /** The peer will send no more. */
  onEnd(): void;
  /** `onBytes` threw: the connection cannot be trusted any more, the process lives on. */
  onDefect(error: unknown): void;
  /** Last call; the socket is gone. */
  onClose(error: Error | undefined): void;
}

const feed = (reader: StreamReader, bytes: Buffer, length: number): void => {
  try {
    reader.onBytes(bytes, length);
  } catch (error) {
    reader.onDefect(error);
  }
};

const watch = (socket: net.Socket, reader: StreamReader): void => {
  let failure: Error | undefined;
  socket.on('drain', () => reader.onDrain());
  socket.on('end', () => reader.onEnd());
  socket.on('error', (error) => {
    failure = error;
  });
  socket.on('close', () => reader.onClose(failure));
};

const readEvents = (socket: net.Socket, reader: StreamReader): void => {
  socket.on('data', (chunk: Buffer) => feed(reader, chunk, chunk.length));
};

/** What net.Socket takes beside the documented options; net.Server and cluster use it. */
interface AdoptOptions extends Omit<net.SocketConstructorOpts, 'handle'> {
  readonly handle: unknown;
}
interface Handled {
  _handle?: unknown;
}

/**
 * Starts to read a socket that a server accepted paused; what has been put back on it is read first. The kernel handle moves to a socket that reads into the shared
 * buffer; where the runtime does not let it, the accepted socket reads by events.
 */
export const adopt = (
  accepted: net.Socket,
  readerOf: (socket: net.Socket) => StreamReader,
): void => {
  const handle = (accepted as Handled)._handle;
  const first: Buffer | null = accepted.readableLength > 0 ? accepted.read() : null;
  if (accepted instanceof tls.TLSSocket || !handle) {
    const reader = readerOf(accepted);
    watch(accepted, reader);
    if (first) feed(reader, first, first.length);
    const isDirect =
      accepted instanceof tls.TLSSocket &&
      readInto(accepted, shared, (length) => feed(reader, shared, length));
    if (!isDirect) readEvents(accepted, reader);
    // A reader that wants nothing yet said so before there was a buffer to keep from it.
    else if (accepted.isPaused()) accepted.pause();
    return;
  }
  (accepted as Handled)._handle = null;
  accepted.destroy();
  let reader: StreamReader | undefined;
  const options: AdoptOptions = {
    handle,
    allowHalfOpen: true,
    onread: {
      buffer: shared,
      callback: (length: number) => {
        if (reader) feed(reader, shared, length);
        return true;
      },
    },
  };
  const socket = new net.Socket(options as net.SocketConstructorOpts);
  reader = readerOf(socket);
  watch(socket, reader);
  if (first) feed(reader, first, first.length);
};

const into = (reader: StreamReader): net.OnReadOpts => ({
  buffer: shared,
  callback: (length) => {
    feed(reader, shared, length);
    return true;
  },
});

export interface ConnectTarget {
  readonly address: string;
  readonly port: number;
  /** Made once per upstream; undefined for plain connections. */
  readonly tls: tls.ConnectionOptions | undefined;
}

/** `onConnect` comes once the stream may be written to, after the handshake with TLS. */
export const connectStream = (
  target: ConnectTarget,
  reader: StreamReader,
  onConnect: () => void,
): net.Socket => {
  if (target.tls) {
    const { address: host, port } = target;
    const options = { ...target.tls, host, port, allowHalfOpen: true, onread: into(reader) };
    const socket = tls.connect(options);
    socket.setNoDelay(true);
    socket.on('secureConnect', onConnect);
    watch(socket, reader);
    return socket;
  }
  const socket = net.connect({
    host: target.address,
    port: target.port,
    noDelay: true,
    allowHalfOpen: true,
    onread: into(reader),
  });
  socket.on('connect', onConnect);
  watch(socket, reader);
  return socket;
};
