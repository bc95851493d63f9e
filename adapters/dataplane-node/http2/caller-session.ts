// One HTTP/2 connection of a caller: its streams, its windows, what it may cost, and how it ends.
import type { Socket } from 'node:net';
import type { Pipeline } from '#engine/pipeline/exchange.ts';
import type { StreamReader } from '../byte-stream.ts';
import type { CallerConnection, ConnectionHome } from '../downstream/connection-home.ts';
import type { PeerFacts } from '../downstream/request-view.ts';
import { TimedConnection } from '../downstream/timed-connection.ts';
import { enterRead, leaveRead } from '../event-rounds.ts';
import type { PlaneContext } from '../exchange/context.ts';
import { SocketWriter } from '../socket-writer.ts';
import { Allowance } from './allowance.ts';
import { CallerStream, type StreamHome } from './caller-stream.ts';
import {
  ErrorCode,
  FIRST_WINDOW,
  goAwayFrame,
  headersFrames,
  LARGEST_FRAME_SIZE,
  MAX_FRAME_SIZE,
  MAX_WINDOW,
  pingFrame,
  resetFrame,
  SETTINGS_ANSWER,
  Setting,
  settingsFrame,
  windowFrame,
} from './frames.ts';
import { NO_TABLE } from './hpack/encoder.ts';
import { type BodyPart, type Fields, Inbound, type InboundListener } from './inbound.ts';
import { Outbox } from './outbox.ts';
import { ReceiveWindow } from './receive-window.ts';
import {
  CONNECTION_WINDOW,
  MAX_CONCURRENT_STREAMS,
  MAX_HEADER_LIST_SIZE,
} from './session-options.ts';

/** Far more than keep-alive, bandwidth probes and windows need. */
const MAX_CONTROL_FRAMES = 1000;
const CONTROL_FRAMES_PER_MS = 0.5;
/** Callers give back both windows about once for each frame of DATA. */
const CONTROL_FRAMES_PER_DATA = 2;
/** Windows given back in pieces of that size are worth their frames; callers in Go do so for every 4 KB that are read. */
const WORTHWHILE_INCREMENT = 1024;
/** As nghttp2 has it: a thousand at once, 33 per second. */
const MAX_RESETS = 1000;
const RESETS_PER_MS = 0.033;
/** Answers to PING and SETTINGS that wait for a caller who does not read. */
const MAX_UNREAD_ANSWERS = 1000;
/** Streams that were reset: what is still on its way to them means nothing. */
const MAX_REMEMBERED_RESETS = 256;
const DEFAULT_TABLE_SIZE = 4096;
/** How long a caller may take to go after it was told that no more is served. */
const FAREWELL_MS = 5000;
/** Reading on for a moment keeps unread bytes from turning our last words into a reset. */
const LINGER_MS = 1000;
/** The same for a caller who would only use it to send more of what it is sent away for. */
const CALM_MS = 10;
/** Answered once the caller knows that it is to go. */
const FAREWELL = 'farewell';

const GREETING =
  settingsFrame([
    [Setting.MaxConcurrentStreams, MAX_CONCURRENT_STREAMS],
    [Setting.MaxHeaderListSize, MAX_HEADER_LIST_SIZE],
  ]) + windowFrame(0, CONNECTION_WINDOW - FIRST_WINDOW);

export class CallerSession
  extends TimedConnection
  implements CallerConnection, StreamHome, StreamReader, InboundListener
{
  readonly home: ConnectionHome;
  readonly peer: PeerFacts;
  readonly context: PlaneContext;
  readonly outbox: Outbox;
  streamWindow = FIRST_WINDOW;
  isOver = false;
  private readonly socket: Socket;
  private readonly writer: SocketWriter;
  private readonly inbound = new Inbound(this);
  private readonly window = new ReceiveWindow(CONNECTION_WINDOW);
  private readonly streams = new Map<number, CallerStream>();
  private readonly wereReset = new Set<number>();
  private readonly controls = new Allowance(MAX_CONTROL_FRAMES, CONTROL_FRAMES_PER_MS);
  private readonly resets = new Allowance(MAX_RESETS, RESETS_PER_MS);
  private lastStream = 0;
  private served = 0;
  private unreadAnswers = 0;
  /** The caller's decoder waits to be told that its table is not used. */
  private owesTableSize = false;
  /** It has been told to go. */
  private isLeaving = false;
  /** The caller has told us to go. */
  private isParting = false;
  /** Streams after `lastStream` are not looked at. */
  private isFinal = false;
  private isClosed = false;

  constructor(socket: Socket, home: ConnectionHome, peer: PeerFacts, context: PlaneContext) {
    super();
    this.socket = socket;
    this.home = home;
    this.peer = peer;
    this.context = context;
    this.writer = new SocketWriter(socket, () => this.onDrain());
    this.outbox = new Outbox(this.writer);
    this.outbox.write(GREETING);
    this.armIn(home.plan.first.limits.headerTimeoutMs);
  }

  // What the socket says.

  onBytes(bytes: Buffer, length: number): void {
    if (this.isOver) return;
    enterRead();
    this.inbound.read(bytes, length);
    leaveRead();
  }

  onDrain(): void {
    if (this.isOver) this.linger(LINGER_MS);
    this.unreadAnswers = 0;
    this.outbox.pump();
  }

  onEnd(): void {
    this.destroy();
  }

  onClose(): void {
    if (this.isClosed) return;
    this.isClosed = this.isOver = true;
    this.context.deadlines.disarm(this);
    this.closeStreams();
    this.home.forget(this);
  }

  onDue(): void {
    if (this.isOver) this.destroy();
    else if (this.streams.size > 0) return;
    else if (this.isLeaving) this.refuseLater();
    else this.drain();
  }

  /** GOAWAY, in two steps: streams on their way are still served, those after the caller has heard of it are not looked at. */
  drain(): void {
    if (this.isLeaving || this.isOver) return;
    this.isLeaving = true;
    if (this.home.isRetired) {
      this.refuseLater();
      return;
    }
    this.outbox.write(goAwayFrame(MAX_WINDOW, ErrorCode.NoError) + pingFrame(FAREWELL, false));
    if (this.streams.size === 0) this.armIn(FAREWELL_MS);
  }

  cutRevoked(pipeline: Pipeline): void {
    for (const stream of this.streams.values()) stream.cutRevoked(pipeline);
  }

  destroy(): void {
    this.socket.destroy();
    this.onClose();
  }

  // What its streams ask for.

  writeHead(stream: number, block: string, isEnd: boolean): void {
    const prefix = this.owesTableSize ? NO_TABLE : '';
    this.owesTableSize = false;
    this.outbox.write(headersFrames(stream, prefix + block, isEnd));
  }

  onDataSent(length: number, isHeldBack: boolean): void {
    // Who gives windows byte by byte makes the frames small.
    const share = isHeldBack ? Math.min(1, length / WORTHWHILE_INCREMENT) : 1;
    this.controls.regain(CONTROL_FRAMES_PER_DATA * share);
  }

  giveBack(length: number): void {
    const increment = this.window.giveBack(length);
    if (increment > 0 && !this.isOver) this.outbox.write(windowFrame(0, increment));
  }

  reset(stream: number, code: number): void {
    if (this.isOver) return;
    this.outbox.write(resetFrame(stream, code));
    this.wereReset.add(stream);
    if (this.wereReset.size > MAX_REMEMBERED_RESETS) {
      const [oldest] = this.wereReset;
      this.wereReset.delete(oldest as number);
    }
    // Neither an early answer nor one that breaks off is a fault of the caller's.
    if (code !== ErrorCode.NoError && code !== ErrorCode.Internal) this.countReset();
  }

  forget(stream: CallerStream): void {
    this.streams.delete(stream.id);
    if (this.streams.size > 0 || this.isOver) return;
    if (this.isFinal) this.leave();
    else if (this.isParting) this.refuseLater();
    else this.armIn(this.isLeaving ? FAREWELL_MS : this.home.plan.first.limits.idleTimeoutMs);
  }

  // What the caller says.

  onData(id: number, part: BodyPart): void {
    const { length, start, end, isEnd } = part;
    if (!this.window.take(length)) return this.onFault(ErrorCode.FlowControl);
    if (start === end && !isEnd && !this.countControl()) return;
    const stream = this.streams.get(id);
    if (stream?.takesBody(length)) {
      stream.onData(part);
      return;
    }
    this.giveBack(length);
    if (!stream) this.onStray(id);
  }

  onFields(id: number, isEnd: boolean, fields: Fields): void {
    const known = this.streams.get(id);
    if (known) known.onTrailers(isEnd, fields);
    else if (id % 2 === 0 || !this.isIdle(id)) this.onStray(id);
    else this.open(id, isEnd, fields);
  }

  onReset(id: number): void {
    if (this.isIdle(id)) return this.onFault(ErrorCode.Protocol);
    this.streams.get(id)?.close();
    this.countReset();
  }

  onSetting(id: number, value: number): number {
    switch (id) {
      case Setting.HeaderTableSize:
        this.owesTableSize ||= value < DEFAULT_TABLE_SIZE;
        break;
      case Setting.EnablePush:
        if (value > 1) return ErrorCode.Protocol;
        break;
      case Setting.InitialWindowSize:
        return this.moveWindows(value) ? ErrorCode.NoError : ErrorCode.FlowControl;
      case Setting.MaxFrameSize:
        if (value < MAX_FRAME_SIZE || value > LARGEST_FRAME_SIZE) return ErrorCode.Protocol;
        break;
      default:
    }
    return ErrorCode.NoError;
  }

  onSettings(): void {
    if (this.countControl()) this.answer(SETTINGS_ANSWER);
    this.outbox.pump();
  }

  onPing(payload: string, isAnswer: boolean): void {
    if (!this.countControl()) return;
    if (!isAnswer) this.answer(pingFrame(payload, true));
    else if (payload === FAREWELL && this.isLeaving && !this.isFinal) this.refuseLater();
  }

  onGoAway(): void {
    // It speaks of streams that we would open; its own may still come.
    this.isParting = true;
    if (this.streams.size === 0) this.refuseLater();
  }

  onWindow(id: number, increment: number): void {
    if (increment < WORTHWHILE_INCREMENT && !this.countControl()) return;
    const stream = this.streams.get(id);
    if (id === 0) this.widen(increment);
    else if (!stream) {
      if (this.isIdle(id)) this.onFault(ErrorCode.Protocol);
    } else if (increment === 0) stream.cut(ErrorCode.Protocol);
    else stream.widen(increment);
  }

  onIdleFrame(): void {
    this.countControl();
  }

  onFault(code: number): void {
    if (this.isOver) return;
    this.outbox.write(goAwayFrame(this.lastStream, code));
    this.leave();
    this.closeStreams();
    const isCalmed = code === ErrorCode.EnhanceYourCalm;
    if (isCalmed) this.socket.pause();
    this.linger(isCalmed ? CALM_MS : LINGER_MS);
  }

  private open(id: number, isEnd: boolean, fields: Fields): void {
    this.lastStream = id;
    if (this.streams.size >= MAX_CONCURRENT_STREAMS) {
      this.reset(id, ErrorCode.RefusedStream);
      return;
    }
    const stream = new CallerStream(id, this, isEnd);
    this.streams.set(id, stream);
    this.context.deadlines.arm(this, Number.POSITIVE_INFINITY);
    this.served++;
    try {
      stream.start(fields);
    } catch (error) {
      this.context.log('stream failed', error);
      stream.cut(ErrorCode.Internal);
    }
    const most = this.home.plan.first.limits.maxRequestsPerConnection;
    const isLast = most > 0 && this.served >= most;
    // It may have come in after the others were told.
    if (isLast || this.home.isClosing) this.drain();
  }

  /** For a stream that is not there. */
  private onStray(id: number): void {
    if (this.isIdle(id)) this.onFault(ErrorCode.Protocol);
    else if (id <= this.lastStream && !this.wereReset.has(id)) this.onFault(ErrorCode.StreamClosed);
  }

  /** Later ones are not idle any more once they are not looked at. */
  private isIdle(id: number): boolean {
    return id % 2 === 0 || (id > this.lastStream && !this.isFinal);
  }

  private widen(increment: number): void {
    if (increment === 0) this.onFault(ErrorCode.Protocol);
    else if (!this.outbox.widen(increment)) this.onFault(ErrorCode.FlowControl);
    else this.outbox.pump();
  }

  /** Those of streams under way move by as much (RFC 9113 6.9.2). */
  private moveWindows(size: number): boolean {
    if (size > MAX_WINDOW) return false;
    const change = size - this.streamWindow;
    this.streamWindow = size;
    return [...this.streams.values()].every((stream) => stream.moveWindow(change));
  }

  // Limits, and the end.

  /** What has to be dealt with but asks for nothing; who sends nothing else is sent away. */
  private countControl(): boolean {
    const isLawful = this.controls.use(this.context.deadlines.now);
    if (!isLawful) this.onFault(ErrorCode.EnhanceYourCalm);
    return isLawful;
  }

  private countReset(): void {
    if (!this.resets.use(this.context.deadlines.now)) this.onFault(ErrorCode.EnhanceYourCalm);
  }

  private answer(frame: string): void {
    this.outbox.write(frame);
    if (this.outbox.isFull && ++this.unreadAnswers > MAX_UNREAD_ANSWERS) this.destroy();
  }

  /** Later streams may be sent again elsewhere. */
  private refuseLater(): void {
    this.isFinal = true;
    this.outbox.write(goAwayFrame(this.lastStream, ErrorCode.NoError));
    if (this.streams.size === 0) this.leave();
  }

  private leave(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.outbox.flush();
    this.writer.end();
    // Answers may still be on their way to a caller who reads slowly.
    this.armIn(this.writer.isEmpty ? LINGER_MS : this.home.plan.first.limits.bodyStallTimeoutMs);
  }

  private linger(ms: number): void {
    const { deadlines } = this.context;
    if (!this.isClosed) deadlines.arm(this, Math.min(this.dueAt, deadlines.now + ms));
  }

  private closeStreams(): void {
    for (const stream of this.streams.values()) stream.close();
  }
}
