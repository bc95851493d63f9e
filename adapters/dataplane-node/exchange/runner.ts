// One request from its head to the end of its answer: asks the pipeline, tries upstreams, streams both bodies.
import type { Exchange, Forward, Outcome, Respond } from '#engine/pipeline/exchange.ts';
import type { Downstream, RequestSink } from '../downstream/downstream.ts';
import { failure, httpsRedirect, overloaded } from '../downstream/local-reply.ts';
import type { DownstreamRequest } from '../downstream/request-view.ts';
import type { FieldSection } from '../http1/field-section.ts';
import type { ResponseHead } from '../http1/response-head.ts';
import type { ClientConnection } from '../upstream/client.ts';
import type { ActiveView, PlaneContext } from './context.ts';
import { informationalHead, localReply, switchingHead, trailerLines } from './downstream-head.ts';
import { FAILURES, type TryFailure } from './failures.ts';
import { GrpcCall } from './grpc.ts';
import { measureHead, measureTrailers } from './measure.ts';
import { Mirror, mayMirror } from './mirror.ts';
import { type Concluded, recordExchange } from './record.ts';
import { MAX_KEPT_BYTES } from './request-body.ts';
import { ResponseWriter } from './response-writer.ts';
import { isIdempotent } from './retry.ts';
import { NEVER, Phase, Tries } from './tries.ts';
import { upstreamHead } from './upstream-head.ts';

export class ExchangeRunner extends Tries implements RequestSink, Concluded {
  readonly downstream: Downstream;
  readonly request: DownstreamRequest;
  readonly requestId: string;
  exchange: Exchange | undefined;
  /** What the caller was told; 499 if it went away before. */
  status = 0;
  responseBytes = 0;

  private readonly view: ActiveView;
  private response: ResponseWriter | undefined;
  private progressAt: number;
  /** Of the request, as field lines. */
  private trailers = '';

  constructor(context: PlaneContext, downstream: Downstream, requestId: string) {
    super(context);
    this.view = context.active;
    this.downstream = downstream;
    this.request = downstream.request;
    this.requestId = requestId;
    this.progressAt = this.startedAt;
    context.exchanges++;
  }

  get method(): string {
    return this.request.head.method;
  }

  get revision(): number {
    return this.view.pipeline.revision;
  }

  begin(): void {
    const { context, request } = this;
    this.grpc = GrpcCall.of(request);
    if (request.listenerPlan.redirectToHttps && request.scheme === 'http')
      this.reply(httpsRedirect(request));
    else if (context.isOverloaded()) this.reply(overloaded);
    else this.start();
  }

  private start(): void {
    try {
      const outcome = this.view.pipeline.handle(this.request, this.requestId);
      if (!(outcome instanceof Promise)) this.decide(outcome);
      else
        outcome
          .then((settled) => this.decide(settled))
          .catch((error: unknown) => this.fault(error));
    } catch (error) {
      this.fault(error);
    }
  }

  /** Weir's own answer. */
  reply(own: Respond): void {
    const { downstream, request } = this;
    const reply = this.grpc?.reply(own) ?? own;
    this.exchange ??= reply.exchange;
    if (reply.flag !== '') this.flag = reply.flag;
    this.status = reply.status;
    this.filterReply(reply);
    const { head, body } = localReply(reply, {
      method: request.head.method,
      minor: request.head.minor,
      staysOpen: downstream.keepsOpen(),
      requestId: this.requestId,
      nowMs: this.context.clock.now(),
    });
    this.responseBytes = body.length;
    downstream.writeHead(head);
    if (body !== '') downstream.writeText(body);
    this.finish(false);
  }

  /** A defect in a response filter must not cost the answer. */
  private filterReply({ exchange, status }: Respond): void {
    if (!exchange) return;
    try {
      this.view.pipeline.respond(exchange, { status, header: () => undefined });
    } catch (error) {
      this.context.log('a response filter failed', error);
    }
  }

  // The caller's side.

  onRequestBytes(bytes: Buffer, start: number, end: number): void {
    if (this.phase === Phase.Done) return;
    this.requestBytes += end - start;
    this.progressAt = this.context.deadlines.now;
    const { connection, phase } = this;
    if (connection && phase >= Phase.Waiting) {
      connection.writeRun(bytes, start, end, this.isChunked && phase !== Phase.Raw);
      if (connection.isFull) this.downstream.pauseRequest();
    }
    this.keepBody(bytes, start, end);
    if (phase < Phase.Waiting && (this.body?.size ?? 0) > MAX_KEPT_BYTES)
      this.downstream.pauseRequest();
  }

  onRequestEnd(trailers: FieldSection | undefined): void {
    if (trailers) {
      this.view.protection.stripFields(trailers);
      this.trailers = trailerLines(trailers);
    }
    if (this.phase === Phase.Waiting || this.phase === Phase.Responding) this.endRequest();
  }

  onRequestPause(): void {
    if (this.phase >= Phase.Waiting) this.connection?.flush();
  }

  onDownstreamDrain(): void {
    this.progressAt = this.context.deadlines.now;
    this.connection?.resume();
  }

  onRawEnd(): void {
    this.connection?.endRaw();
  }

  /** The request body broke the rules of its framing. */
  refuseBody(): void {
    this.abandonTry();
    if (this.downstream.hasWritten) {
      this.flag = 'DPE';
      this.breakOff();
    } else this.reply(failure(400, 'malformed request body', 'DPE'));
  }

  onDisconnect(): void {
    if (this.phase === Phase.Done) return;
    if (this.phase === Phase.Deciding) this.request.leave();
    if (this.phase !== Phase.Raw) {
      this.flag = 'DC';
      if (this.status === 0) this.status = 499;
    }
    this.abandonTry();
    this.conclude();
  }

  onDue(now: number): void {
    if (this.phase === Phase.Done) return;
    if (now >= this.routeDueAt) this.runOut();
    else if (this.isStalled(now)) this.giveUpOnCaller();
    else if (now >= this.pauseDueAt) this.tryOnce();
    else if (now >= this.tryDueAt) this.onTryFailure('timeout');
    else if (now >= this.hedgeDueAt) this.startHedge();
    else this.schedule();
  }

  // The upstream's side.

  onInformational(head: ResponseHead): void {
    if (this.request.head.minor === 1) this.downstream.writeInformational(informationalHead(head));
  }

  onResponseBytes(bytes: Buffer, start: number, end: number): void {
    if (this.phase === Phase.Raw) {
      this.progressAt = this.context.deadlines.now;
      this.responseBytes += end - start;
      this.downstream.writeRun(bytes, start, end, false);
    } else this.response?.run(bytes, start, end);
  }

  onResponsePause(): void {
    if (this.phase < Phase.Waiting || this.phase === Phase.Done) return;
    this.downstream.flush();
    if (!this.downstream.isFull) return;
    this.connection?.pause();
    this.progressAt = this.context.deadlines.now;
    this.schedule();
  }

  onResponseEnd(trailers: FieldSection | undefined): void {
    if (this.grpc?.isOpen) this.report(this.grpc.onEnd(trailers), this.headAt);
    this.endTry();
    const { response } = this;
    if (!response || this.phase === Phase.Done) return;
    measureTrailers(this, this.forward?.upstream, trailers);
    try {
      response.end(trailers);
      this.finish(response.endsByClose);
    } catch (error) {
      this.fault(error);
    }
  }

  onSwitched(head: ResponseHead, bytes: Buffer, start: number, end: number): void {
    const { exchange, downstream } = this;
    if (!this.request.head.upgrades || !exchange) {
      this.onTryFailure('protocol');
      return;
    }
    this.report(101);
    this.phase = Phase.Raw;
    this.status = 101;
    this.routeDueAt = this.tryDueAt = NEVER;
    this.progressAt = this.context.deadlines.now;
    if (this.forward) measureHead(this, this.forward.upstream, head);
    this.view.pipeline.respond(exchange, head);
    downstream.writeHead(switchingHead(head, exchange));
    if (end > start) this.onResponseBytes(bytes, start, end);
    downstream.flush();
    this.schedule();
    downstream.becomeRaw();
  }

  onUpstreamDrain(): void {
    this.progressAt = this.context.deadlines.now;
    this.downstream.resumeRequest();
  }

  onUpstreamEnd(): void {
    this.downstream.endRaw();
  }

  protected sendRequest(connection: ClientConnection): void {
    const { request, downstream } = this;
    const { head } = request;
    const { forward } = this;
    if (!forward) return;
    connection.writeHead(upstreamHead(request, forward, this.requestId, connection.isLastRequest));
    if (head.contentLength === 0) {
      // After an Upgrade the connection is not free for others before the answer has been seen.
      if (!head.upgrades) connection.endRequest();
      connection.flush();
      return;
    }
    this.sendKeptBody(connection, this.isChunked);
    if (downstream.isRequestDone) this.endRequest();
    else if (head.expectsContinue && this.requestBytes === 0) downstream.sendContinue();
    downstream.resumeRequest();
    if (!downstream.isReading) connection.flush();
  }

  protected acceptHead(head: ResponseHead): void {
    const { forward } = this;
    if (!forward) return;
    this.status = head.status;
    measureHead(this, forward.upstream, head);
    this.response = new ResponseWriter(this.downstream, this.view.pipeline, forward, head);
    try {
      this.response.start();
    } catch (error) {
      this.fault(error);
    }
  }

  protected endBadly(kind: TryFailure): void {
    const [status, reason, flag] = FAILURES[kind];
    this.abandonTry();
    if (this.phase === Phase.Raw) this.finish(true);
    else if (this.downstream.hasWritten) {
      this.flag = flag;
      this.breakOff(this.grpc?.lastWords(status, reason));
    } else {
      const reply = failure(status, reason, flag);
      this.reply(this.exchange ? { ...reply, exchange: this.exchange } : reply);
    }
  }

  protected schedule(): void {
    let at = Math.min(this.routeDueAt, this.tryDueAt, this.pauseDueAt, this.hedgeDueAt);
    const { stallMs } = this;
    if (stallMs > 0) at = Math.min(at, this.progressAt + stallMs);
    this.downstream.schedule(at);
  }

  protected hedgeWriter(): ((isLast: boolean) => string) | undefined {
    const { request, forward, requestId } = this;
    const { head } = request;
    const isPlain = head.contentLength === 0 && !head.upgrades && this.grpc === undefined;
    if (!forward || !isPlain || !isIdempotent(this.method)) return undefined;
    return (isLast) => upstreamHead(request, forward, requestId, isLast);
  }

  private get isChunked(): boolean {
    return this.request.head.contentLength < 0;
  }

  private decide(outcome: Outcome): void {
    if (this.phase !== Phase.Deciding) return;
    if (outcome.type === 'respond') {
      this.reply(outcome);
      return;
    }
    this.forward = outcome;
    this.exchange = outcome.exchange;
    this.hashKey = outcome.hashKey;
    this.upstream = this.view.upstreams.get(outcome.upstream.id);
    if (outcome.mirror) this.mirror(outcome, outcome.mirror.id);
    const routeMs = outcome.action.timeoutMs;
    const timeoutMs = this.grpc?.deadlineMs(routeMs, outcome.exchange.setHeaders) ?? routeMs;
    if (timeoutMs > 0) this.routeDueAt = this.startedAt + timeoutMs;
    if (outcome.delayMs > 0) {
      this.flag = 'DI';
      this.pause(outcome.delayMs);
    } else this.tryOnce();
  }

  private mirror(forward: Forward, id: string): void {
    const upstream = this.view.upstreams.get(id);
    if (!upstream || !mayMirror(this.context, this.request.head)) return;
    const head = upstreamHead(this.request, forward, this.requestId, false);
    const { method } = this;
    new Mirror(this.context, upstream, { method, rule: forward.exchange.rule.id, head }).start();
  }

  private endRequest(): void {
    if (this.isChunked) this.connection?.writeTrailers(this.trailers);
    this.connection?.endRequest();
  }

  private giveUpOnCaller(): void {
    this.abandonTry();
    if (!this.downstream.hasWritten) {
      this.reply(failure(408, 'the request body did not arrive', 'DT'));
      return;
    }
    if (this.phase !== Phase.Raw) this.flag = 'DT';
    this.breakOff();
  }

  /** A defect, in a filter or here: said once, answered with 500. */
  private fault(error: unknown): void {
    if (this.phase === Phase.Done) return;
    this.context.log('exchange failed', error);
    this.abandonTry();
    if (this.downstream.hasWritten) this.breakOff();
    else this.reply(failure(500, 'internal error', ''));
  }

  private breakOff(lastWords = ''): void {
    this.downstream.abort(lastWords);
    this.conclude();
  }

  private finish(closes: boolean): void {
    this.conclude();
    this.downstream.finish(closes);
  }

  private conclude(): void {
    this.phase = Phase.Done;
    this.context.exchanges--;
    if (this.response) this.responseBytes = this.response.bytes;
    recordExchange(this);
  }

  /** How long nothing may move; 0 while nobody has to move. */
  private get stallMs(): number {
    const { limits } = this.request.listenerPlan;
    if (this.phase === Phase.Raw) return limits.idleTimeoutMs;
    const { downstream } = this;
    const waitsForCaller = !downstream.isRequestDone && !downstream.isRequestPaused;
    return waitsForCaller || downstream.isFull ? limits.bodyStallTimeoutMs : 0;
  }

  private isStalled(now: number): boolean {
    const { stallMs } = this;
    return stallMs > 0 && now - this.progressAt >= stallMs;
  }
}
