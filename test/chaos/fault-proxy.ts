// A TCP proxy that spoils what passes through it: late, in drips, cut at a byte, with bytes that nobody sent.
import net from 'node:net';

export interface Fault {
  /** Every run of the answer is so late. */
  readonly latencyMs?: number;
  /** The answer comes so many bytes at a time. */
  readonly dripBytes?: number;
  /** What happens after so many bytes of the answer. */
  readonly cutAt?: number;
  /** Default `reset`. `halfClose` says that no more comes, and listens on. */
  readonly cut?: 'reset' | 'close' | 'halfClose';
  /** Said right after the answer, or so much later, when nobody asks. */
  readonly stray?: string;
  readonly strayAfterMs?: number;
  /** The connection is reset after so many bytes of the request. */
  readonly requestCutAt?: number;
}

export interface FaultProxy {
  readonly port: number;
  /** For connections to come, by their number. */
  faultOf: (connection: number) => Fault;
  connections: number;
  close(): void;
}

class FaultyStream {
  private readonly caller: net.Socket;
  private readonly fault: Fault;
  private written = 0;
  private isCut = false;
  private queue: Buffer = Buffer.alloc(0);
  private timer: NodeJS.Timeout | undefined;

  constructor(caller: net.Socket, fault: Fault) {
    this.caller = caller;
    this.fault = fault;
  }

  answer(run: Buffer): void {
    const { latencyMs = 0, dripBytes = 0, stray = '', strayAfterMs = 0 } = this.fault;
    this.queue = Buffer.concat([this.queue, run, Buffer.from(strayAfterMs === 0 ? stray : '')]);
    if (strayAfterMs > 0) setTimeout(() => this.caller.write(stray), strayAfterMs);
    if (latencyMs === 0 && dripBytes === 0) this.pass();
    else this.timer ??= setInterval(() => this.pass(), Math.max(1, latencyMs));
  }

  stop(): void {
    clearInterval(this.timer);
  }

  private pass(): void {
    const { dripBytes = Number.POSITIVE_INFINITY, cutAt = Number.POSITIVE_INFINITY } = this.fault;
    const size = Math.min(this.queue.length, dripBytes, cutAt - this.written);
    if (size > 0 && !this.isCut) this.caller.write(this.queue.subarray(0, size));
    this.queue = this.queue.subarray(size);
    this.written += size;
    if (this.written >= cutAt) this.end();
  }

  private end(): void {
    if (this.isCut) return;
    this.isCut = true;
    const { cut = 'reset' } = this.fault;
    if (cut === 'halfClose') this.caller.end();
    else if (cut === 'close') this.caller.destroySoon();
    // What was written leaves before the reset.
    else setImmediate(() => this.caller.resetAndDestroy());
  }
}

const join = (caller: net.Socket, target: number, fault: Fault): void => {
  const server = net.connect({ host: '127.0.0.1', port: target, noDelay: true });
  const stream = new FaultyStream(caller, fault);
  let asked = 0;
  caller.on('data', (run: Buffer) => {
    asked += run.length;
    const { requestCutAt = Number.POSITIVE_INFINITY } = fault;
    if (asked <= requestCutAt) server.write(run);
    else {
      server.write(run.subarray(0, run.length - (asked - requestCutAt)));
      caller.resetAndDestroy();
    }
  });
  server.on('data', (run: Buffer) => stream.answer(run));
  for (const [one, other] of [
    [caller, server],
    [server, caller],
  ] as const) {
    one.on('error', () => other.destroy());
    one.on('close', () => {
      stream.stop();
      other.destroy();
    });
  }
};

export const faultProxy = async (target: number): Promise<FaultProxy> => {
  const sockets = new Set<net.Socket>();
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (caller) => {
    sockets.add(caller);
    caller.on('close', () => sockets.delete(caller));
    join(caller, target, proxy.faultOf(proxy.connections++));
  });
  const proxy: FaultProxy & { port: number } = {
    port: 0,
    faultOf: () => ({}),
    connections: 0,
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  proxy.port = (server.address() as net.AddressInfo).port;
  return proxy;
};
