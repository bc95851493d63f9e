// One connection whose bytes are nobody's business: chooses an endpoint, connects, and carries both ways until both sides are done.
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Pipeline } from '#engine/pipeline/exchange.ts';
import { connectStream, type StreamReader } from '../byte-stream.ts';
import { Deadline } from '../deadlines.ts';
import type { CallerConnection } from '../downstream/connection-home.ts';
import type { ActiveView, PlaneContext } from '../exchange/context.ts';
import { SocketWriter } from '../socket-writer.ts';
import type { EndpointState } from '../upstream/endpoint.ts';
import type { UpstreamState } from '../upstream/upstream-state.ts';
import { proxyHeader } from './proxy-protocol.ts';
import { recordConnect, recordTunnel } from './record.ts';
import type { TunnelEntry, TunnelFacts } from './tunnel-facts.ts';

/** Endpoints that one connection tries before it is given up; nothing has been sent, so each of them is safe. */
const MAX_TRIES = 3;

/** One of the two sockets, and what has been said on it. */
interface Side {
  readonly socket: Socket;
  readonly writer: SocketWriter;
  hasEnded: boolean;
  isClosed: boolean;
}

export class Tunnel extends Deadline implements StreamReader, CallerConnection, TunnelFacts {
  readonly entry: TunnelEntry;
  readonly context: PlaneContext;
  readonly startedAt: number;
  readonly revision: number;
  upstream: UpstreamState | undefined;
  /** Of the last try. */
  endpoint: EndpointState | undefined;
  status = 0;
  flag = '';
  notes: TunnelFacts['notes'];
  tries = 0;
  requestBytes = 0;
  responseBytes = 0;
  private readonly view: ActiveView;
  private readonly caller: Side;
  private callee: Side | undefined;
  private isConnected = false;
  private reserved: EndpointState | undefined;
  private isOver = false;
  /** Came before there was somebody to send it to. */
  private first: Buffer | undefined;
  private tryStartedAt = 0;
  private progressAt = 0;

  /** Nothing is read before there is an upstream. */
  constructor(socket: Socket, entry: TunnelEntry, context: PlaneContext) {
    super();
    this.entry = entry;
    this.context = context;
    this.view = context.active;
    this.revision = this.view.pipeline.revision;
    this.startedAt = context.clock.monotonic();
    this.caller = sideOf(socket, () => this.onDrain());
    socket.pause();
  }

  start(): void {
    const revocation = this.revocationIn(this.view.pipeline);
    const { isLetIn, notes } = this.view.admission(this.entry);
    this.notes = revocation === undefined ? notes : { policy: revocation };
    if (!isLetIn || revocation !== undefined) {
      this.refuse('UAEX', 403);
      return;
    }
    const chosen = this.view.targets.choose(this.entry.service, this.context.random);
    this.upstream = chosen && this.view.upstreams.get(chosen.id);
    this.tryOnce(undefined);
  }

  onBytes(bytes: Buffer, length: number): void {
    this.progressAt = this.context.deadlines.now;
    this.requestBytes += length;
    if (!this.callee || !this.isConnected) {
      const copy = Buffer.from(bytes.subarray(0, length));
      this.first = this.first ? Buffer.concat([this.first, copy]) : copy;
    } else this.carry(this.caller, this.callee, bytes, length);
  }

  /** The caller has taken what it was sent. */
  onDrain(): void {
    this.progressAt = this.context.deadlines.now;
    this.callee?.socket.resume();
  }

  onEnd(): void {
    this.caller.hasEnded = true;
    if (this.isConnected) endSide(this.callee);
  }

  onDefect(error: unknown): void {
    this.context.log('tunnel failed', error);
    this.destroy();
  }

  onClose(error: Error | undefined): void {
    this.caller.isClosed = true;
    if (!this.isConnected) this.leave('DC');
    else if (error || !this.caller.hasEnded) this.breakOff('DC');
    else this.concludeIfDone();
  }

  onDue(now: number): void {
    if (this.isConnected) {
      const idleMs = this.entry.listener.limits.idleTimeoutMs;
      if (now - this.progressAt >= idleMs) this.breakOff('SI');
      else this.context.deadlines.arm(this, this.progressAt + idleMs);
    } else this.callee?.socket.destroy();
  }

  /** What is under way here is the whole connection. */
  drain(): void {}

  cutRevoked(pipeline: Pipeline): void {
    if (this.revocationIn(pipeline) !== undefined) this.destroy();
  }

  destroy(): void {
    this.breakOff(this.isConnected ? '' : 'DC');
  }

  private revocationIn(pipeline: Pipeline): string | undefined {
    const { principal } = this.entry;
    return principal === undefined ? undefined : pipeline.revocationOf?.(principal);
  }

  private tryOnce(avoid: EndpointState | undefined): void {
    this.tries++;
    const hashKey = this.entry.addresses.source.address;
    const chosen = this.upstream?.reserve({ hashKey, avoid }) ?? 'no-endpoint';
    if (chosen === 'no-endpoint') this.refuse('UH');
    else if (chosen === 'overflow') this.refuse('UO');
    else this.connect(this.upstream as UpstreamState, chosen);
  }

  private connect(upstream: UpstreamState, endpoint: EndpointState): void {
    const { context } = this;
    this.endpoint = this.reserved = endpoint;
    this.tryStartedAt = context.clock.monotonic();
    const { address, port } = endpoint;
    const reader = new UpstreamReader(this);
    const socket = connectStream({ address, port, tls: upstream.tlsOptions }, reader, () =>
      this.connected(),
    );
    this.callee = sideOf(socket, () => reader.onDrain());
    context.deadlines.arm(this, context.deadlines.now + upstream.connectTimeoutMs);
  }

  private connected(): void {
    const { upstream, endpoint, callee, context, entry } = this;
    if (!upstream || !endpoint || !callee) return;
    this.isConnected = true;
    this.status = 200;
    this.reportTry(200);
    recordConnect(this);
    this.progressAt = context.deadlines.now;
    const { idleTimeoutMs } = entry.listener.limits;
    if (idleTimeoutMs > 0) context.deadlines.arm(this, this.progressAt + idleTimeoutMs);
    else context.deadlines.disarm(this);
    const version = upstream.plan.proxyProtocol;
    const header = version && proxyHeader(version, entry.addresses);
    for (const bytes of [header, this.first])
      if (bytes) callee.writer.writeRun(bytes, 0, bytes.length, false);
    this.first = undefined;
    callee.writer.flush();
    if (this.caller.hasEnded) endSide(callee);
    if (!callee.writer.isFull) this.caller.socket.resume();
  }

  // The upstream's side.

  onUpstreamBytes(bytes: Buffer, length: number): void {
    if (!this.callee) return;
    this.progressAt = this.context.deadlines.now;
    this.responseBytes += length;
    this.carry(this.callee, this.caller, bytes, length);
  }

  onUpstreamDrain(): void {
    this.progressAt = this.context.deadlines.now;
    if (this.isConnected) this.caller.socket.resume();
  }

  onUpstreamEnd(): void {
    if (!this.callee) return;
    this.callee.hasEnded = true;
    endSide(this.caller);
  }

  onUpstreamClose(error: Error | undefined): void {
    const { callee } = this;
    if (!callee || this.isOver) return;
    callee.isClosed = true;
    if (!this.isConnected) this.onConnectFailed();
    else if (error || !callee.hasEnded) this.breakOff('UC');
    else this.concludeIfDone();
  }

  private onConnectFailed(): void {
    const { upstream, endpoint } = this;
    this.reportTry(0);
    this.letGo();
    const isWorthIt = this.tries < MAX_TRIES && (upstream?.choices.size ?? 0) > 1;
    if (isWorthIt) this.tryOnce(endpoint);
    else this.refuse('UF');
  }

  private carry(from: Side, to: Side, bytes: Buffer, length: number): void {
    to.writer.writeRun(bytes, 0, length, false);
    to.writer.flush();
    if (to.writer.isFull) from.socket.pause();
  }

  private reportTry(status: number): void {
    if (!this.endpoint) return;
    const now = this.context.clock.monotonic();
    this.upstream?.report({ endpoint: this.endpoint, status, now }, now - this.tryStartedAt);
  }

  /** The caller gets no connection. */
  private refuse(flag: string, status = 503): void {
    if (this.isOver) return;
    this.status = status;
    this.leave(flag);
    recordConnect(this);
  }

  /** Before there was a connection to carry anything. */
  private leave(flag: string): void {
    if (this.isOver) return;
    this.flag = flag;
    if (this.status === 0) this.status = 499;
    this.conclude();
    this.callee?.socket.destroy();
    this.caller.socket.destroy();
  }

  /** Nobody must take what has been carried so far for the whole. */
  private breakOff(flag: string): void {
    if (this.isOver) return;
    if (!this.isConnected) {
      this.leave(flag);
      return;
    }
    this.flag = flag;
    this.conclude();
    for (const side of [this.caller, this.callee]) if (side && !side.isClosed) cut(side);
  }

  private concludeIfDone(): void {
    if (this.caller.isClosed && this.callee?.isClosed) this.conclude();
  }

  private conclude(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.context.deadlines.disarm(this);
    this.letGo();
    recordTunnel(this);
    this.entry.onClosed(this);
  }

  private letGo(): void {
    if (this.reserved) this.upstream?.release(this.reserved);
    this.reserved = undefined;
  }
}

const sideOf = (socket: Socket, onDrain: () => void): Side => ({
  socket,
  writer: new SocketWriter(socket, onDrain),
  hasEnded: false,
  isClosed: false,
});

const endSide = (side: Side | undefined): void => {
  side?.writer.end();
};

/** An end without a farewell: a reset, or TLS without its close_notify. */
const cut = ({ socket }: Side): void => {
  if (socket instanceof TLSSocket) socket.destroy();
  else socket.resetAndDestroy();
};

class UpstreamReader implements StreamReader {
  private readonly tunnel: Tunnel;

  constructor(tunnel: Tunnel) {
    this.tunnel = tunnel;
  }

  onBytes(bytes: Buffer, length: number): void {
    this.tunnel.onUpstreamBytes(bytes, length);
  }

  onDrain(): void {
    this.tunnel.onUpstreamDrain();
  }

  onEnd(): void {
    this.tunnel.onUpstreamEnd();
  }

  onDefect(error: unknown): void {
    this.tunnel.onDefect(error);
  }

  onClose(error: Error | undefined): void {
    this.tunnel.onUpstreamClose(error);
  }
}
