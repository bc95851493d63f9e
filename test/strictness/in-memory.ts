// The proxy's HTTP/1.1 path from bytes to bytes without sockets: callers' connections in front, one fake upstream behind.
import net from 'node:net';
import { Deadlines } from '#adapters/dataplane-node/deadlines.ts';
import { DownstreamConnection } from '#adapters/dataplane-node/downstream/connection.ts';
import { portPlanOf } from '#adapters/dataplane-node/downstream/listener-plan.ts';
import { activeView, type PlaneContext } from '#adapters/dataplane-node/exchange/context.ts';
import { Samples } from '#adapters/dataplane-node/samples.ts';
import { Upstreams } from '#adapters/dataplane-node/upstream/upstreams.ts';
import type { Pipeline } from '#engine/pipeline/exchange.ts';
import type { PlaneView } from '#engine/ports/data-plane.ts';
import { listener } from '#test/adapters/dataplane-node/support.ts';

interface OnRead {
  readonly buffer: Buffer;
  readonly callback: (length: number) => boolean;
}

/** As much of a socket as the proxy touches. */
class FakeSocket {
  readonly writableNeedDrain = false;
  readonly writableLength = 0;
  readonly connecting = false;
  destroyed = false;
  /** The proxy has said that it will send no more. */
  ended = false;
  written = '';
  onWritten: (() => void) | undefined;
  private readonly listeners = new Map<string, (() => void)[]>();
  /** For writes past the stream. */
  readonly _handle = {
    writeLatin1String: (_request: null, text: string): number => {
      this.write(text);
      return 0;
    },
  };

  write(data: string | Buffer): boolean {
    this.written += typeof data === 'string' ? data : data.latin1Slice();
    this.onWritten?.();
    return true;
  }

  on(event: string, listener: () => void): this {
    this.listeners.set(event, [...(this.listeners.get(event) ?? []), listener]);
    return this;
  }

  emit(event: string): void {
    for (const listener of this.listeners.get(event) ?? []) listener();
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

  pause(): void {}
  resume(): void {}
}

export interface Conversation {
  /** All that the upstream was sent, over all connections, in the order of the connections. */
  readonly sent: string;
  readonly answers: string;
  readonly closed: boolean;
}

export interface InMemoryProxy {
  /** One connection of a caller that says this, in these pieces, and hears what comes back. */
  talk(pieces: readonly string[]): Conversation;
}

/** What an upstream says to the text that it has got so far; undefined to wait for more. */
export type Answering = (text: string) => string | undefined;

export interface InMemoryOptions {
  readonly answer: Answering;
  readonly view: PlaneView;
  readonly pipeline: Pipeline;
}

/** `net.connect` is the fake's from here on. */
export const inMemoryProxy = ({ answer, view, pipeline }: InMemoryOptions): InMemoryProxy => {
  let due: (() => void)[] = [];
  let upstreams: FakeSocket[] = [];
  Object.assign(net, {
    connect: ({ onread }: { readonly onread: OnRead }) => {
      const socket = new FakeSocket();
      let read = 0;
      socket.onWritten = () => {
        const text = answer(socket.written.slice(read));
        if (text === undefined) return;
        read = socket.written.length;
        due.push(() => {
          if (socket.destroyed) return;
          onread.buffer.write(text, 'latin1');
          onread.callback(text.length);
        });
      };
      upstreams.push(socket);
      due.push(() => socket.emit('connect'));
      return socket;
    },
  });
  const clock = { now: () => 0, monotonic: () => 0 };
  const log = (message: string, error?: unknown): never => {
    throw new Error(message, { cause: error });
  };
  const deadlines = new Deadlines(clock.monotonic);
  const prepared = new Upstreams({ deadlines, monotonic: clock.monotonic, random: () => 0, log });
  const context: PlaneContext = {
    clock,
    random: () => 0,
    deadlines,
    samples: new Samples({ clock, reporter: 'source', revision: () => 1 }),
    onAccess: undefined,
    log,
    isOverloaded: () => false,
    active: activeView(pipeline, prepared.prepare(view.snapshot).commit()),
    reusePort: false,
    isDraining: false,
    exchanges: 0,
    mirrors: 0,
  };
  const home = { plan: portPlanOf([listener()]), isClosing: false, forget: () => {} };
  const peer = { address: '10.0.0.1', principal: undefined, scheme: 'http', localPort: 1 } as const;
  // As in life: one buffer for all, full of what was read before.
  const buffer = Buffer.alloc(65_536, '\n');
  const settle = (): void => {
    while (due.length > 0) {
      const now = due;
      due = [];
      for (const act of now) act();
    }
  };
  return {
    talk(pieces) {
      upstreams = [];
      const socket = new FakeSocket();
      const connection = new DownstreamConnection(
        socket as unknown as net.Socket,
        home,
        peer,
        context,
      );
      for (const piece of pieces) {
        if (piece === '' || socket.destroyed) continue;
        connection.onBytes(buffer, buffer.write(piece, 'latin1'));
        settle();
      }
      const said = {
        sent: upstreams.map(({ written }) => written).join(''),
        answers: socket.written,
        closed: socket.ended || socket.destroyed,
      };
      connection.destroy();
      settle();
      for (const each of upstreams) each.emit('close');
      if (context.exchanges !== 0) throw new Error('an exchange was left behind');
      return said;
    },
  };
};
