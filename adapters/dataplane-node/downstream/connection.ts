// One HTTP/1.1 connection of a caller: reads requests strictly one after the other and answers them in order.
import type { Socket } from 'node:net';
import type { Pipeline } from '#engine/pipeline/exchange.ts';
import type { StreamReader } from '../byte-stream.ts';
import { enterRead, leaveRead } from '../event-rounds.ts';
import type { PlaneContext } from '../exchange/context.ts';
import { ExchangeRunner } from '../exchange/runner.ts';
import { BodyReader } from '../http1/body-reader.ts';
import { type Refusal, RequestHead, refusals } from '../http1/request-head.ts';
import { isPreface, speakHttp2 } from '../http2/preface.ts';
import { SocketWriter } from '../socket-writer.ts';
import type { ConnectionHome } from './connection-home.ts';
import { State } from './connection-state.ts';
import type { Downstream } from './downstream.ts';
import { incompleteFault } from './incomplete-head.ts';
import { refused } from './local-reply.ts';
import { PendingBytes } from './pending-bytes.ts';
import { requestIdOf } from './request-id.ts';
import { DownstreamRequest, type PeerFacts } from './request-view.ts';
import { TimedConnection } from './timed-connection.ts';

const FIRST_LOOK = 2048;
const MAX_AHEAD_BYTES = 65_536;
const MAX_DISCARD_BYTES = 65_536;
/** How long a caller that will send no more may wait for its answer, and how long a closing one may take to hear us out. */
const HALF_CLOSED_MS = 1000;
const LINGER_MS = 1000;
const LAST_GRACE_MS = 1000;

export class DownstreamConnection extends TimedConnection implements StreamReader, Downstream {
  readonly home: ConnectionHome;
  readonly context: PlaneContext;
  readonly request: DownstreamRequest;
  hasWritten = false;
  isReading = false;
  isRequestPaused = false;
  private readonly socket: Socket;
  private readonly writer: SocketWriter;
  private readonly head = new RequestHead();
  private readonly body = new BodyReader();
  private readonly pending = new PendingBytes();
  private runner: ExchangeRunner | undefined;
  private state: number = State.Head;
  private served = 0;
  private mustClose = false;
  /** The caller holds its body back until it is told to go on. */
  private awaitsContinue = false;
  private halfClosedAt = Number.POSITIVE_INFINITY;

  constructor(socket: Socket, home: ConnectionHome, peer: PeerFacts, context: PlaneContext) {
    super();
    this.socket = socket;
    this.writer = new SocketWriter(socket, () => this.onDrain());
    this.home = home;
    this.context = context;
    this.request = new DownstreamRequest(this.head, peer, home.plan.first);
    this.armIn(home.plan.first.limits.headerTimeoutMs);
  }

  get isRequestDone(): boolean {
    return this.body.done;
  }

  get isFull(): boolean {
    return this.writer.isFull;
  }

  // What the socket says.

  onBytes(bytes: Buffer, length: number): void {
    if (this.context.rush.isOn && this.state === State.Head) return this.hold(bytes, length);
    enterRead();
    if (this.pending.isEmpty) this.process(bytes, 0, length);
    else {
      this.pending.append(bytes, 0, length);
      this.processPending();
    }
    leaveRead();
  }

  onRushEnd(): void {
    if (this.state !== State.Head) return;
    this.socket.resume();
    // Not within a read: answers to what is written now may come in this very round.
    this.processPending();
  }

  onDrain(): void {
    if (this.state === State.Closing) this.armIn(LINGER_MS);
    else if (this.runner) this.runner.onDownstreamDrain();
    else if (this.state === State.Busy) this.finish(false);
  }

  onEnd(): void {
    switch (this.state) {
      case State.Raw:
        this.runner?.onRawEnd();
        break;
      case State.Busy:
        // Some callers half-close after the request; most are simply gone. Nobody can tell which.
        this.mustClose = true;
        this.halfClosedAt = this.context.deadlines.now + HALF_CLOSED_MS;
        this.context.deadlines.arm(this, Math.min(this.dueAt, this.halfClosedAt));
        break;
      default:
        this.destroy();
    }
  }

  onClose(): void {
    this.state = State.Closed;
    this.context.deadlines.disarm(this);
    this.home.forget(this);
    const { runner } = this;
    this.runner = undefined;
    runner?.onDisconnect();
  }

  onDue(now: number): void {
    if (this.runner === undefined) {
      if (this.state === State.Head && !this.pending.isEmpty)
        this.refuse({ status: 408, reason: 'the request head did not arrive in time' });
      else if (this.state === State.Head) this.closeGracefully();
      else this.destroy();
    } else if (now >= this.halfClosedAt) this.destroy();
    else this.runner.onDue(now);
  }

  drain(isIdleToo: boolean): void {
    if (!isIdleToo || this.state !== State.Head) return;
    // Who is held in a rush has asked before; the rest of a head would come afterwards.
    const isTooLate = this.home.isRetired && !this.socket.isPaused();
    if (this.pending.isEmpty || isTooLate) this.closeGracefully();
  }

  /** Ends a stream or tunnel whose caller has been shut out since it began. Short answers just finish. */
  cutRevoked(pipeline: Pipeline): void {
    const exchange = this.runner?.exchange;
    if (exchange && this.hasWritten && pipeline.isRevoked?.(exchange)) this.destroy();
  }

  destroy(): void {
    this.socket.destroy();
    if (this.state !== State.Closed) this.onClose();
  }

  // What the exchange asks for.

  keepsOpen(): boolean {
    const { limits } = this.request.listenerPlan;
    const { head, body } = this;
    const mayRead = body.done || (body.remaining <= MAX_DISCARD_BYTES && !this.awaitsContinue);
    const isLast =
      limits.maxRequestsPerConnection > 0 && this.served >= limits.maxRequestsPerConnection;
    this.mustClose ||=
      !head.keepAlive ||
      isLast ||
      !mayRead ||
      head.upgrades ||
      this.context.isDraining ||
      this.home.isClosing;
    return !this.mustClose;
  }

  writeHead(text: string): void {
    this.writer.write(text);
    this.hasWritten = true;
  }

  writeText(text: string): void {
    this.writer.write(text);
  }

  writeInformational(text: string): void {
    this.writer.write(text);
  }

  writeRun(bytes: Buffer, start: number, end: number, chunked: boolean): void {
    this.writer.writeRun(bytes, start, end, chunked);
  }

  writeTrailers(lines: string): void {
    this.writer.write(`0\r\n${this.head.acceptsTrailers ? lines : ''}\r\n`);
  }

  flush(): void {
    this.writer.flush();
  }

  sendContinue(): void {
    this.awaitsContinue = false;
    this.writer.write('HTTP/1.1 100 Continue\r\n\r\n');
    this.flush();
  }

  pauseRequest(): void {
    if (this.isRequestPaused) return;
    this.isRequestPaused = true;
    this.socket.pause();
  }

  resumeRequest(): void {
    if (!this.isRequestPaused) return;
    this.isRequestPaused = false;
    this.socket.resume();
  }

  schedule(at: number): void {
    this.context.deadlines.arm(this, Math.min(at, this.halfClosedAt));
  }

  finish(closes: boolean): void {
    this.runner = undefined;
    if (this.state >= State.Closing) return;
    if (closes || this.mustClose || this.home.isRetired) return this.closeGracefully();
    this.flush();
    this.resumeRequest();
    if (!this.body.done) {
      this.state = State.Discard;
      this.armIn(this.home.plan.first.limits.bodyStallTimeoutMs);
      return;
    }
    this.awaitRequest();
    if (!this.isReading && this.state === State.Head && !this.pending.isEmpty)
      this.processPending();
  }

  abort(): void {
    this.runner = undefined;
    // A reset cannot be taken for the end of an answer.
    if (!this.request.isSecure && this.hasWritten && !this.socket.destroyed)
      this.socket.resetAndDestroy();
    else this.socket.destroy();
  }

  becomeRaw(): void {
    this.state = State.Raw;
    this.resumeRequest();
    if (!this.pending.isEmpty) this.processPending();
  }

  endRaw(): void {
    this.writer.end();
  }

  // Reading.

  private hold(bytes: Buffer, length: number): void {
    if (this.pending.isEmpty) this.armIn(this.home.plan.first.limits.headerTimeoutMs);
    this.pending.append(bytes, 0, length);
    this.socket.pause();
    this.context.rush.hold(this);
  }

  private processPending(): void {
    if (this.state === State.Head && !this.pending.holdsHead(this.home.plan.first.limits)) return;
    const bytes = this.pending.take();
    this.process(bytes, 0, bytes.length);
  }

  private process(bytes: Buffer, start: number, end: number): void {
    this.isReading = true;
    let at = start;
    while (at < end)
      if (this.state === State.Head) at = this.readHead(bytes, at, end);
      else if (this.state === State.Body || this.state === State.Discard)
        at = this.readBody(bytes, at, end);
      else {
        this.takeOther(bytes, at, end);
        at = end;
      }
    this.isReading = false;
    this.runner?.onRequestPause();
  }

  /** Bytes that belong to no request that may be read now. */
  private takeOther(bytes: Buffer, start: number, end: number): void {
    if (this.state === State.Raw) this.runner?.onRequestBytes(bytes, start, end);
    if (this.state !== State.Busy) return;
    this.pending.append(bytes, start, end);
    if (this.pending.size > MAX_AHEAD_BYTES) this.pauseRequest();
  }

  private readHead(bytes: Buffer, start: number, end: number): number {
    // An empty line before a request means nothing (RFC 9112 2.2).
    if (bytes[start] === 13 && start + 1 < end && bytes[start + 1] === 10) return start + 2;
    const { plan } = this.home;
    const { limits } = plan.first;
    const most = limits.maxHeaderBytes;
    let text = bytes.latin1Slice(start, Math.min(end, start + FIRST_LOOK));
    let length = text.indexOf('\r\n\r\n');
    if (length < 0 && end - start > FIRST_LOOK) {
      text = bytes.latin1Slice(start, Math.min(end, start + most + 4));
      length = text.indexOf('\r\n\r\n');
    }
    if (length < 0) return this.awaitRest(bytes, start, end);
    const refusal =
      length > most
        ? refusals.tooLarge
        : (this.head.parse(text, 0, limits) ??
          this.request.read(plan) ??
          this.context.active.protection.strip(this.head));
    const isFirst = this.served === 0 && !this.request.isSecure;
    if (isFirst && refusal === refusals.version && isPreface(text)) {
      this.state = State.Closed;
      speakHttp2(this.socket, bytes.subarray(start, end), this);
      return end;
    }
    this.begin(refusal);
    return start + length + 4;
  }

  private awaitRest(bytes: Buffer, start: number, end: number): number {
    const { limits } = this.home.plan.first;
    const refusal = incompleteFault(bytes, { start, end, known: start }, limits);
    if (refusal) {
      this.refuse(refusal);
      return end;
    }
    this.pending.append(bytes, start, end);
    // Counts from the first byte: dripping does not extend it.
    this.armIn(limits.headerTimeoutMs);
    return end;
  }

  private begin(refusal: Refusal | undefined): void {
    if (refusal) return this.refuse(refusal);
    const { head, body, context, request } = this;
    this.served++;
    this.hasWritten = false;
    this.awaitsContinue = head.expectsContinue;
    body.start(head.contentLength);
    this.state = body.done ? State.Busy : State.Body;
    this.runner = new ExchangeRunner(context, this, requestIdOf(request));
    this.runner.begin();
  }

  private refuse(refusal: Refusal): void {
    this.mustClose = true;
    this.hasWritten = false;
    this.request.clear();
    this.body.start(0);
    this.state = State.Busy;
    this.runner = new ExchangeRunner(this.context, this, requestIdOf(undefined));
    this.runner.reply(refused(refusal));
  }

  private readBody(bytes: Buffer, start: number, end: number): number {
    const { body } = this;
    const at = body.read(bytes, start, end);
    if (body.fault !== undefined) {
      this.breakOff();
      return end;
    }
    const isWanted = this.state === State.Body;
    if (isWanted && body.dataEnd > body.dataStart) {
      this.awaitsContinue = false;
      this.runner?.onRequestBytes(bytes, body.dataStart, body.dataEnd);
    }
    if (!body.done) return at;
    if (isWanted && this.state === State.Body) {
      this.state = State.Busy;
      this.runner?.onRequestEnd(body.trailers);
    } else if (this.state === State.Discard) this.awaitRequest();
    return at;
  }

  /** The request body is not what it claimed to be; where the next request starts nobody knows. */
  private breakOff(): void {
    this.mustClose = true;
    const { runner } = this;
    if (runner && this.state === State.Body) runner.refuseBody();
    else this.destroy();
  }

  private awaitRequest(): void {
    const { limits } = this.home.plan.first;
    // Who asks and asks but does not read is not answered any more, until it does.
    this.state = this.writer.isFull ? State.Busy : State.Head;
    if (this.state === State.Busy) this.armIn(limits.bodyStallTimeoutMs);
    // It has not been told yet that this is the end: another request may be on its way.
    else this.armIn(this.home.isClosing ? LAST_GRACE_MS : limits.idleTimeoutMs);
  }

  private closeGracefully(): void {
    this.state = State.Closing;
    this.writer.end();
    // Reading on for a moment keeps unread bytes from turning our last words into a reset.
    this.resumeRequest();
    this.armIn(this.writer.isEmpty ? LINGER_MS : this.home.plan.first.limits.bodyStallTimeoutMs);
  }
}
