// The whole data plane from bytes to bytes without sockets: fakes take the place of those in front and of those behind.
import net from 'node:net';
import { afterAll } from 'vitest';
import type { AccessEntry } from '#adapters/dataplane-node/access.ts';
import { createNodePlane } from '#adapters/dataplane-node/plane.ts';
import type { Pipeline } from '#engine/pipeline/exchange.ts';
import type { PlaneView } from '#engine/ports/data-plane.ts';

interface OnRead {
  readonly buffer: Buffer;
  readonly callback: (length: number) => boolean;
}

type Listener = (...args: unknown[]) => void;

class FakeEmitter {
  private readonly listeners = new Map<string, Listener[]>();

  on(event: string, listener: Listener): this {
    this.listeners.set(event, [...(this.listeners.get(event) ?? []), listener]);
    return this;
  }

  once(event: string, listener: Listener): this {
    return this.on(event, listener);
  }

  emit(event: string, ...args: unknown[]): void {
    for (const listener of this.listeners.get(event) ?? []) listener(...args);
  }

  removeListener(): this {
    return this;
  }

  removeAllListeners(event: string): this {
    this.listeners.delete(event);
    return this;
  }
}

/** As much of a socket as the proxy touches. */
class FakeSocket extends FakeEmitter {
  readonly remoteAddress = '10.0.0.1';
  readonly localPort = 8080;
  readonly writableNeedDrain = false;
  readonly writableLength = 0;
  readonly connecting = false;
  private putBack: Buffer | null = null;
  readonly onread: OnRead | undefined;
  destroyed = false;
  /** The proxy has said that it will send no more. */
  ended = false;
  written = '';
  onWritten: (() => void) | undefined;
  /** For writes past the stream. */
  _handle: unknown = {
    writeLatin1String: (_request: null, text: string): number => {
      this.write(text);
      return 0;
    },
  };

  constructor(options: { readonly onread?: OnRead } = {}) {
    super();
    this.onread = options.onread;
  }

  /** The other side has sent this. */
  hear(text: string): void {
    const { onread } = this;
    if (onread) onread.callback(onread.buffer.write(text, 'latin1'));
    else this.emit('data', Buffer.from(text, 'latin1'));
  }

  write(data: string | Buffer): boolean {
    this.written += typeof data === 'string' ? data : data.latin1Slice();
    this.onWritten?.();
    return true;
  }

  end(): void {
    this.ended = true;
  }

  destroy(): void {
    this.destroyed = true;
  }

  resetAndDestroy(): void {
    this.destroyed = true;
  }

  get readableLength(): number {
    return this.putBack?.length ?? 0;
  }

  unshift(bytes: Buffer): void {
    this.putBack = bytes;
  }

  read(): Buffer | null {
    const bytes = this.putBack;
    this.putBack = null;
    return bytes;
  }

  pause(): void {}
  resume(): void {}
  setNoDelay(): void {}
}

class FakeServer extends FakeEmitter {
  listen(_options: object, onListening: () => void): void {
    onListening();
  }

  address(): object {
    return { address: '127.0.0.1', port: 8080 };
  }

  close(): void {}
}

export interface Conversation {
  /** All that the upstream was sent, in the order of the connections. */
  readonly sent: string;
  /** The same, each connection for itself. */
  readonly sentOn: readonly string[];
  readonly answers: string;
  readonly closed: boolean;
}

export interface InMemoryProxy {
  /** One connection of a caller that says this, in these pieces, and hears what comes back. */
  talk(pieces: readonly string[]): Conversation;
}

export interface InMemoryOptions {
  /** What an upstream says, in these pieces, to the text that it has got so far; undefined to wait for more. */
  readonly answer: (text: string) => readonly string[] | undefined;
  readonly view: PlaneView;
  readonly pipeline: Pipeline;
  readonly onAccess?: (entry: AccessEntry) => void;
}

const { createServer, Socket, connect } = net;
const restore = (): void => {
  Object.assign(net, { createServer, Socket, connect });
};

/** Puts the fakes into `net` for as long as the proxy is at work, so that no other test of the process meets them. */
export const inMemoryProxy = async (options: InMemoryOptions): Promise<InMemoryProxy> => {
  const { answer, view, pipeline, onAccess } = options;
  let due: (() => void)[] = [];
  let upstreams: FakeSocket[] = [];
  let accepted: FakeSocket[] = [];
  const server = new FakeServer();
  const fakes = {
    createServer: () => server,
    // The kernel handle of what was accepted moves to a socket that reads as the proxy likes.
    Socket: class {
      constructor(socketOptions: { readonly onread: OnRead }) {
        const socket = new FakeSocket(socketOptions);
        accepted.push(socket);
        return socket;
      }
    },
    connect: (socketOptions: { readonly onread: OnRead }) => {
      const socket = new FakeSocket(socketOptions);
      let read = 0;
      socket.onWritten = () => {
        const pieces = answer(socket.written.slice(read));
        if (pieces === undefined) return;
        read = socket.written.length;
        for (const piece of pieces)
          due.push(() => {
            if (!socket.destroyed && piece !== '') socket.hear(piece);
          });
      };
      upstreams.push(socket);
      due.push(() => socket.emit('connect'));
      return socket;
    },
  };
  const plane = createNodePlane({
    pipeline: () => pipeline,
    reporter: 'source',
    clock: { now: () => 0, monotonic: () => 0 },
    random: () => 0,
    log: (message, error) => {
      throw new Error(message, { cause: error });
    },
    ...(onAccess && { onAccess }),
  });
  afterAll(async () => {
    await plane.close();
  });
  Object.assign(net, fakes);
  // Turns of the event loop are taken by `settle`.
  const { setImmediate } = globalThis;
  const turns = ((act: () => void) => due.push(act)) as never;
  globalThis.setImmediate = turns;
  await plane.activate(view).finally(() => {
    globalThis.setImmediate = setImmediate;
    restore();
  });
  const settle = (): void => {
    while (due.length > 0) {
      const now = due;
      due = [];
      for (const act of now) act();
    }
  };
  const talk: InMemoryProxy['talk'] = (pieces) => {
    upstreams = [];
    accepted = [];
    server.emit('connection', new FakeSocket());
    settle();
    // Another one takes over once HTTP/2 is spoken.
    const latest = (): FakeSocket => {
      const socket = accepted.at(-1);
      if (!socket) throw new Error('the connection was not accepted');
      return socket;
    };
    for (const piece of pieces) {
      const socket = latest();
      if (piece === '' || socket.destroyed) continue;
      socket.hear(piece);
      settle();
    }
    const socket = latest();
    const sentOn = upstreams.map(({ written }) => written);
    const said = {
      sent: sentOn.join(''),
      sentOn,
      answers: socket.written,
      closed: socket.ended || socket.destroyed,
    };
    for (const each of accepted) {
      each.destroyed = true;
      each.emit('close');
    }
    settle();
    for (const each of upstreams) each.emit('close');
    if (plane.stats().exchanges !== 0) throw new Error('an exchange was left behind');
    return said;
  };
  return {
    talk(pieces) {
      Object.assign(net, fakes);
      globalThis.setImmediate = turns;
      try {
        return talk(pieces);
      } finally {
        globalThis.setImmediate = setImmediate;
        restore();
      }
    },
  };
};
