// One HTTP/2 stream of a caller: one request and its answer.
import { constants, type ServerHttp2Stream, type ServerStreamResponseOptions } from 'node:http2';
import type { Pipeline } from '#engine/pipeline/exchange.ts';
import { Deadline } from '../deadlines.ts';
import type { ConnectionHome } from '../downstream/connection-home.ts';
import type { Downstream } from '../downstream/downstream.ts';
import { refused } from '../downstream/local-reply.ts';
import { requestIdOf } from '../downstream/request-id.ts';
import { DownstreamRequest, type PeerFacts } from '../downstream/request-view.ts';
import type { PlaneContext } from '../exchange/context.ts';
import { ExchangeRunner } from '../exchange/runner.ts';
import type { FieldSection } from '../http1/field-section.ts';
import { type Refusal, RequestHead, refusals } from '../http1/request-head.ts';
import { keptBytes } from '../shared-buffer.ts';
import {
  type FieldList,
  isOpenEnded,
  isSound,
  requestText,
  trailerFields,
  trailersOf,
  writtenResponse,
} from './head-text.ts';

const ignore = (): void => {};
/** `close` with a code would end the body properly first. */
const cutOff = new Error('the answer cannot be completed');
const malformed: Refusal = { status: 400, reason: 'malformed request' };

/** The upstream's own date is passed on, and no other one made. */
interface RespondOptions extends ServerStreamResponseOptions {
  readonly sendDate: false;
}
const headAlone: RespondOptions = { endStream: true, sendDate: false };
const bodyFollows: RespondOptions = { sendDate: false };
const trailersFollow: RespondOptions = { waitForTrailers: true, sendDate: false };

export interface StreamHome {
  readonly home: ConnectionHome;
  readonly peer: PeerFacts;
  readonly context: PlaneContext;
  forget(stream: CallerStream): void;
}

export class CallerStream extends Deadline implements Downstream {
  readonly request: DownstreamRequest;
  hasWritten = false;
  isReading = false;
  isRequestDone: boolean;
  isRequestPaused = false;
  private readonly stream: ServerHttp2Stream;
  private readonly session: StreamHome;
  private readonly head = new RequestHead();
  private runner: ExchangeRunner | undefined;
  /** Declared bytes of the request body still to come; Infinity when it has not been said. */
  private left = Number.POSITIVE_INFINITY;
  private requestTrailers: FieldSection | undefined;
  private areTrailersBad = false;
  /** Written, but not on its way yet: it may turn out to be the whole answer. */
  private heldHead = '';
  private held: Buffer[] = [];
  private takesTrailers = false;
  private trailers = '';
  /** Bytes of a finished answer that wait for the caller. */
  private leaving = 0;

  constructor(stream: ServerHttp2Stream, session: StreamHome, isEnded: boolean) {
    super();
    this.stream = stream;
    this.session = session;
    this.isRequestDone = isEnded;
    this.request = new DownstreamRequest(this.head, session.peer, session.home.plan.first);
    stream.on('error', ignore);
    stream.on('close', () => this.onClose());
  }

  start(list: FieldList): void {
    const { context } = this.session;
    const refusal = this.read(list);
    if (refusal) {
      this.refuse(refusal);
      return;
    }
    if (!this.isRequestDone) this.listen();
    const runner = new ExchangeRunner(context, this, requestIdOf(this.request));
    this.runner = runner;
    runner.begin();
  }

  /** Ends an answer under way whose caller has been shut out since it began. */
  cutRevoked(pipeline: Pipeline): void {
    const exchange = this.runner?.exchange;
    if (exchange && this.hasWritten && pipeline.isRevoked?.(exchange)) this.stream.destroy(cutOff);
  }

  onDue(now: number): void {
    if (this.runner) this.runner.onDue(now);
    else if (this.stream.bufferSize < this.leaving) this.watchLeaving();
    else this.stream.destroy(cutOff);
  }

  // What the exchange asks for.

  get isFull(): boolean {
    return this.stream.writableNeedDrain;
  }

  keepsOpen(): boolean {
    return true;
  }

  writeHead(text: string): void {
    this.hasWritten = true;
    this.heldHead = text;
    this.takesTrailers = isOpenEnded(text);
  }

  writeInformational(text: string): void {
    if (this.isGone) return;
    const list = writtenResponse(text);
    const fields: Record<string, string | string[]> = {};
    for (let i = 0; i < list.length; i += 2) {
      const name = list[i] as string;
      const value = list[i + 1] as string;
      const known = fields[name];
      fields[name] = known === undefined ? value : [known, value].flat();
    }
    this.stream.additionalHeaders(fields);
  }

  sendContinue(): void {
    if (!this.isGone) this.stream.additionalHeaders({ ':status': 100 });
  }

  writeText(text: string): void {
    this.held.push(Buffer.from(text, 'latin1'));
  }

  writeRun(bytes: Buffer, start: number, end: number): void {
    if (end > start) this.held.push(keptBytes(bytes, start, end));
  }

  writeTrailers(lines: string): void {
    this.trailers = lines;
  }

  flush(): void {
    if (this.isGone) return;
    this.sendHead(false);
    if (this.held.length === 0) return;
    const wasFull = this.isFull;
    if (!this.stream.write(this.takeHeld()) && !wasFull)
      this.stream.once('drain', () => this.runner?.onDownstreamDrain());
  }

  pauseRequest(): void {
    if (this.isRequestPaused) return;
    this.isRequestPaused = true;
    this.stream.pause();
  }

  resumeRequest(): void {
    if (!this.isRequestPaused) return;
    this.isRequestPaused = false;
    this.stream.resume();
  }

  schedule(at: number): void {
    this.session.context.deadlines.arm(this, at);
  }

  finish(): void {
    this.runner = undefined;
    const { stream } = this;
    if (this.isGone) return;
    if (!this.isRequestDone) {
      // The rest of the request body means nothing any more.
      stream.resume();
      if (!this.takesTrailers) stream.once('finish', () => this.resetSoon());
    }
    const isWhole = this.heldHead !== '' && this.held.length === 0 && this.trailers === '';
    this.sendHead(isWhole);
    if (this.held.length > 0) stream.end(this.takeHeld());
    else if (!isWhole) stream.end();
    this.watchLeaving();
  }

  /** A reset overtakes what has not left yet. */
  private resetSoon(): void {
    setImmediate(() => this.stream.close(constants.NGHTTP2_NO_ERROR));
  }

  /** The answer is made, but it is for the caller to take it. */
  private watchLeaving(): void {
    const { deadlines } = this.session.context;
    const { bodyStallTimeoutMs } = this.request.listenerPlan.limits;
    this.leaving = this.stream.bufferSize;
    deadlines.arm(this, deadlines.now + (bodyStallTimeoutMs || Number.POSITIVE_INFINITY));
  }

  abort(lastWords: string): void {
    this.runner = undefined;
    if (lastWords === '' || !this.takesTrailers) this.stream.destroy(cutOff);
    else {
      this.trailers = lastWords;
      this.finish();
    }
  }

  /** Streams never switch to another protocol. */
  becomeRaw(): void {
    this.abort('');
  }

  endRaw(): void {}

  // What the stream says.

  private onClose(): void {
    const { runner } = this;
    this.runner = undefined;
    this.session.context.deadlines.disarm(this);
    this.session.forget(this);
    if (runner) runner.onDisconnect();
    else this.head.fields.release();
  }

  private onBytes(bytes: Buffer): void {
    this.left -= bytes.length;
    if (this.left < 0) {
      this.runner?.refuseBody();
      return;
    }
    this.isReading = true;
    this.runner?.onRequestBytes(bytes, 0, bytes.length);
    this.isReading = false;
    this.runner?.onRequestPause();
  }

  private onEnd(): void {
    // A reset, even one that is no error, is not the end of a request.
    if (this.isGone) return;
    this.isRequestDone = true;
    const isShort = this.left > 0 && this.left !== Number.POSITIVE_INFINITY;
    if (isShort || this.areTrailersBad) this.runner?.refuseBody();
    else {
      this.runner?.onRequestEnd(this.requestTrailers);
      this.requestTrailers?.release();
      this.requestTrailers = undefined;
      this.runner?.onRequestPause();
    }
  }

  // Reading and writing.

  private get isGone(): boolean {
    return this.stream.closed || this.stream.destroyed;
  }

  private read(list: FieldList): Refusal | undefined {
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
    return request.read(plan) ?? this.session.context.active.protection.strip(head);
  }

  /** The end of a stream says where a body without a length ends. */
  private settleLength(): void {
    const { head } = this;
    const isDeclared = head.fields.find('content-length', 0) >= 0;
    if (isDeclared) this.left = head.contentLength;
    else if (!this.isRequestDone) head.contentLength = -1;
  }

  private listen(): void {
    const { stream } = this;
    stream.on('data', (bytes: Buffer) => this.onBytes(bytes));
    stream.on('end', () => this.onEnd());
    stream.on('trailers', (_fields, _flags, list?: FieldList) => {
      this.requestTrailers = trailersOf(list ?? []);
      this.areTrailersBad = this.requestTrailers === undefined;
    });
  }

  private refuse(refusal: Refusal): void {
    const { request, head } = this;
    request.clear();
    head.contentLength = 0;
    if (head.method === '') head.method = 'GET';
    this.runner = new ExchangeRunner(this.session.context, this, requestIdOf(undefined));
    this.runner.reply(refused(refusal));
  }

  private sendHead(isWhole: boolean): void {
    if (this.heldHead === '') return;
    const list = writtenResponse(this.heldHead);
    this.heldHead = '';
    const { stream } = this;
    if (isWhole) stream.respond(withoutEmptyLength(list), headAlone);
    else if (this.takesTrailers) {
      stream.on('wantTrailers', () => {
        stream.sendTrailers(trailerFields(this.trailers));
        if (!this.isRequestDone) setImmediate(() => this.resetSoon());
      });
      stream.respond(list, trailersFollow);
    } else stream.respond(list, bodyFollows);
  }

  private takeHeld(): Buffer {
    const { held } = this;
    this.held = [];
    return held.length === 1 ? (held[0] as Buffer) : Buffer.concat(held);
  }
}

/** The end of the stream says it, and trailers-only answers of gRPC have no length. */
const withoutEmptyLength = (list: string[]): string[] => {
  const at = list.indexOf('content-length');
  if (at % 2 === 0 && list[at + 1] === '0') list.splice(at, 2);
  return list;
};
