// One HTTP/2 stream of a caller: one request and its answer.
import type { Pipeline } from '#engine/pipeline/exchange.ts';
import { Deadline } from '../deadlines.ts';
import type { ConnectionHome } from '../downstream/connection-home.ts';
import type { Downstream } from '../downstream/downstream.ts';
import { refused } from '../downstream/local-reply.ts';
import { requestIdOf } from '../downstream/request-id.ts';
import { DownstreamRequest, type PeerFacts } from '../downstream/request-view.ts';
import type { PlaneContext } from '../exchange/context.ts';
import { ExchangeRunner } from '../exchange/runner.ts';
import { GatheredBytes } from '../gathered-bytes.ts';
import type { FieldSection } from '../http1/field-section.ts';
import { type Refusal, RequestHead, refusals } from '../http1/request-head.ts';
import '../latin1.ts';
import { type AnswerHome, type AnswerListener, AnswerQueue } from './answer-queue.ts';
import { ErrorCode, FIRST_WINDOW, windowFrame } from './frames.ts';
import { isOpenEnded, isSound, requestText, trailersOf } from './head-text.ts';
import type { BodyPart, Fields } from './inbound.ts';
import { ReceiveWindow } from './receive-window.ts';

const malformed: Refusal = { status: 400, reason: 'malformed request' };

/** The connection of a stream. */
export interface StreamHome extends AnswerHome {
  readonly home: ConnectionHome;
  readonly peer: PeerFacts;
  readonly context: PlaneContext;
  /** Bytes of DATA that have been dealt with. */
  giveBack(length: number): void;
  reset(stream: number, code: number): void;
  forget(stream: CallerStream): void;
}

export class CallerStream extends Deadline implements Downstream, AnswerListener {
  readonly id: number;
  readonly request: DownstreamRequest;
  hasWritten = false;
  isReading = false;
  isRequestDone: boolean;
  isRequestPaused = false;
  private readonly session: StreamHome;
  private readonly head = new RequestHead();
  private runner: ExchangeRunner | undefined;
  // The request.
  private readonly received = new ReceiveWindow(FIRST_WINDOW);
  /** Declared bytes of the request body still to come; Infinity when it has not been said. */
  private left = Number.POSITIVE_INFINITY;
  private requestTrailers: FieldSection | undefined;
  private isMalformed = false;
  /** What came while nobody wanted to read. */
  private readonly ahead = new GatheredBytes();
  private isEndAhead = false;
  // The answer.
  private readonly answer: AnswerQueue;
  private takesTrailers = false;
  /** Bytes of a finished answer that wait for the caller. */
  private leaving = 0;
  private isClosed = false;

  constructor(id: number, session: StreamHome, isEnded: boolean) {
    super();
    this.id = id;
    this.session = session;
    this.isRequestDone = isEnded;
    this.answer = new AnswerQueue(session, this);
    this.request = new DownstreamRequest(this.head, session.peer, session.home.plan.first);
  }

  /** Undefined: the fields are more than this proxy reads. */
  start(list: Fields): void {
    const { context } = this.session;
    const refusal = list ? this.read(list) : refusals.tooLarge;
    if (refusal) {
      this.refuse(refusal);
      return;
    }
    const runner = new ExchangeRunner(context, this, requestIdOf(this.request));
    this.runner = runner;
    runner.begin();
  }

  /** Ends an answer under way whose caller has been shut out since it began. */
  cutRevoked(pipeline: Pipeline): void {
    const exchange = this.runner?.exchange;
    if (exchange && this.hasWritten && pipeline.isRevoked?.(exchange)) this.cut(ErrorCode.Internal);
  }

  onDue(now: number): void {
    if (this.runner) this.runner.onDue(now);
    else if (this.answer.size < this.leaving) this.watchLeaving();
    else this.cut(ErrorCode.Internal);
  }

  // What the connection says.

  /** False: not of this stream any more, or more than it may be. */
  takesBody(length: number): boolean {
    if (this.isRequestDone || this.isEndAhead) this.cut(ErrorCode.StreamClosed);
    else if (!this.received.take(length)) this.cut(ErrorCode.FlowControl);
    return !this.isClosed;
  }

  onData({ length, bytes, start, end, isEnd }: BodyPart): void {
    // Padding is dealt with as it comes.
    this.giveBack(length - (end - start));
    if (this.isBehind) {
      this.ahead.append(bytes, start, end);
      this.isEndAhead = isEnd;
      return;
    }
    if (end > start) this.onBytes(bytes, start, end);
    if (isEnd && !this.isClosed) this.onRequestEnd();
  }

  onTrailers(isEnd: boolean, list: Fields): void {
    if (this.isRequestDone || this.isEndAhead) return this.cut(ErrorCode.StreamClosed);
    if (!isEnd) return this.cut(ErrorCode.Protocol);
    this.requestTrailers = list && trailersOf(list);
    this.isMalformed ||= this.requestTrailers === undefined;
    if (this.isBehind) this.isEndAhead = true;
    else this.onRequestEnd();
  }

  widen(increment: number): void {
    const fault = this.answer.widen(increment);
    if (fault === ErrorCode.NoError) this.answer.send();
    else this.cut(fault);
  }

  /** False: no window may be as large as that. */
  moveWindow(change: number): boolean {
    const isSound = this.answer.widen(change) === ErrorCode.NoError;
    if (change > 0) this.session.outbox.await(this.answer);
    return isSound;
  }

  onAnswerDrain(): void {
    this.runner?.onDownstreamDrain();
  }

  /** Ends it before it is whole. */
  cut(code: number): void {
    if (this.isClosed) return;
    this.session.reset(this.id, code);
    this.close();
  }

  /** Nothing comes or goes any more. */
  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    const { runner } = this;
    this.runner = undefined;
    this.session.context.deadlines.disarm(this);
    this.answer.stop();
    this.dropAhead();
    this.session.forget(this);
    if (runner) runner.onDisconnect();
    else this.head.fields.release();
  }

  // What the exchange asks for.

  get isFull(): boolean {
    return this.answer.isFull;
  }

  keepsOpen(): boolean {
    return true;
  }

  writeHead(text: string): void {
    this.hasWritten = true;
    this.answer.setHead(text);
    this.takesTrailers = isOpenEnded(text);
  }

  writeInformational(text: string): void {
    this.answer.inform(text);
  }

  sendContinue(): void {
    this.writeInformational('HTTP/1.1 100 Continue\r\n\r\n');
  }

  writeText(text: string): void {
    this.answer.add(text);
  }

  writeRun(bytes: Buffer, start: number, end: number): void {
    this.answer.add(bytes.latin1Slice(start, end));
  }

  writeTrailers(lines: string): void {
    this.answer.setTrailers(lines);
  }

  flush(): void {
    this.answer.send();
  }

  pauseRequest(): void {
    this.isRequestPaused = true;
  }

  resumeRequest(): void {
    if (!this.isRequestPaused) return;
    this.isRequestPaused = false;
    if (!this.ahead.isEmpty || this.isEndAhead) process.nextTick(() => this.goOn());
  }

  schedule(at: number): void {
    this.session.context.deadlines.arm(this, at);
  }

  finish(): void {
    this.runner = undefined;
    if (this.isClosed) return;
    // The rest of the request body means nothing any more.
    this.isRequestPaused = false;
    this.dropAhead();
    this.answer.end();
    if (!this.isClosed) this.watchLeaving();
  }

  abort(lastWords: string): void {
    this.runner = undefined;
    if (this.isMalformed) this.cut(ErrorCode.Protocol);
    else if (lastWords === '' || !this.takesTrailers) this.cut(ErrorCode.Internal);
    else {
      this.answer.setTrailers(lastWords);
      this.finish();
    }
  }

  /** Streams never switch to another protocol. */
  becomeRaw(): void {
    this.abort('');
  }

  endRaw(): void {}

  // The end.

  /** Nothing more of the request is wanted. */
  onAnswerSent(): void {
    if (this.isMalformed) this.session.reset(this.id, ErrorCode.Protocol);
    else if (!this.isRequestDone) this.session.reset(this.id, ErrorCode.NoError);
    this.close();
  }

  /** The answer is made, but it is for the caller to take it. */
  private watchLeaving(): void {
    const { deadlines } = this.session.context;
    const { bodyStallTimeoutMs } = this.request.listenerPlan.limits;
    this.leaving = this.answer.size;
    deadlines.arm(this, deadlines.now + (bodyStallTimeoutMs || Number.POSITIVE_INFINITY));
  }

  // Reading.

  /** What comes now has to wait for what came before it. */
  private get isBehind(): boolean {
    return this.isRequestPaused || !this.ahead.isEmpty;
  }

  /** Nobody catches what is thrown here. */
  private goOn(): void {
    try {
      this.readAhead();
    } catch (error) {
      this.session.context.log('stream failed', error);
      this.cut(ErrorCode.Internal);
    }
  }

  private readAhead(): void {
    if (this.isRequestPaused || this.isClosed) return;
    if (!this.ahead.isEmpty) {
      const bytes = this.ahead.take();
      this.onBytes(bytes, 0, bytes.length);
    }
    if (this.isRequestPaused || this.isClosed || !this.isEndAhead) return;
    this.isEndAhead = false;
    this.onRequestEnd();
  }

  private dropAhead(): void {
    this.isRequestDone ||= this.isEndAhead;
    this.isEndAhead = false;
    if (this.ahead.isEmpty) return;
    const { length } = this.ahead.take();
    this.left -= length;
    this.giveBack(length);
  }

  private giveBack(length: number): void {
    if (length === 0) return;
    this.session.giveBack(length);
    const increment = this.received.giveBack(length);
    if (increment > 0 && !this.isRequestDone && !this.isClosed)
      this.session.outbox.write(windowFrame(this.id, increment));
  }

  private onBytes(bytes: Buffer, start: number, end: number): void {
    const length = end - start;
    this.left -= length;
    if (this.left < 0) this.refuseBody();
    else if (this.runner) {
      this.isReading = true;
      this.runner.onRequestBytes(bytes, start, end);
      this.isReading = false;
      this.runner?.onRequestPause();
    }
    this.giveBack(length);
  }

  private onRequestEnd(): void {
    this.isRequestDone = true;
    if (this.isShort || this.isMalformed) this.refuseBody();
    else {
      this.runner?.onRequestEnd(this.requestTrailers);
      this.requestTrailers?.release();
      this.requestTrailers = undefined;
      this.runner?.onRequestPause();
    }
  }

  /** Less has come than was said. */
  private get isShort(): boolean {
    return this.left > 0 && this.left !== Number.POSITIVE_INFINITY;
  }

  /** It is not what was said of it. */
  private refuseBody(): void {
    this.isMalformed = true;
    if (this.runner) this.runner.refuseBody();
  }

  private read(list: readonly string[]): Refusal | undefined {
    const refusal = this.readFields(list);
    this.isMalformed = refusal === malformed;
    return refusal;
  }

  private readFields(list: readonly string[]): Refusal | undefined {
    const written = requestText(list);
    if (!written) return malformed;
    const { plan } = this.session.home;
    const { limits } = plan.first;
    if (written.text.length > limits.maxHeaderBytes) return refusals.tooLarge;
    const { head, request } = this;
    const refusal = head.parse(written.text, 0, limits);
    if (refusal) return refusal;
    if (!isSound(written, head.fields)) return malformed;
    this.settleLength();
    // Whoever gets the head would wait for the rest, and take the next request for it.
    if (this.isRequestDone && this.isShort) return malformed;
    return request.read(plan) ?? this.session.context.active.protection.strip(head);
  }

  /** The end of a stream says where a body without a length ends. */
  private settleLength(): void {
    const { head } = this;
    const isDeclared = head.fields.find('content-length', 0) >= 0;
    if (isDeclared) this.left = head.contentLength;
    else if (!this.isRequestDone) {
      head.contentLength = -1;
      // Any other value has been refused.
      head.expectsContinue = head.fields.find('expect', 0) >= 0;
    }
  }

  private refuse(refusal: Refusal): void {
    const { request, head } = this;
    request.clear();
    head.contentLength = 0;
    if (head.method === '') head.method = 'GET';
    this.runner = new ExchangeRunner(this.session.context, this, requestIdOf(undefined));
    this.runner.reply(refused(refusal));
  }
}
