// One request from its head to the end of its answer: asks the pipeline, tries upstreams, streams both bodies.
import type { Exchange, Forward, Outcome, Respond } from '#engine/pipeline/exchange.ts';
import type { Downstream, RequestSink } from '../downstream/downstream.ts';
import { failure } from '../downstream/local-reply.ts';
import type { DownstreamRequest } from '../downstream/request-view.ts';
import type { FieldSection } from '../http1/field-section.ts';
import type { ResponseHead } from '../http1/response-head.ts';
import type { UpstreamFailure } from '../upstream/client.ts';
import type { UpstreamConnection } from '../upstream/connection.ts';
import type { EndpointState } from '../upstream/endpoint.ts';
import type { PoolClient, UpstreamState } from '../upstream/upstream-state.ts';
import type { ActiveView, PlaneContext } from './context.ts';
import { informationalHead, localReply, switchingHead } from './downstream-head.ts';
import { FAILURES, type TryFailure } from './failures.ts';
import { recordExchange } from './record.ts';
import { MAX_KEPT_BYTES, RequestBody } from './request-body.ts';
import { ResponseWriter } from './response-writer.ts';
import { backoffMs, isIdempotent, retriesFailure, retriesResponse, retryAfterMs } from './retry.ts';
import { upstreamHead } from './upstream-head.ts';

/** In order: everything from Waiting to Raw has a connection. */
const Phase = {
  Deciding: 0,
  /** Fault delay or retry pause. */
  Pausing: 1,
  Connecting: 2,
  /** The request is on its way, no final head yet. */
  Waiting: 3,
  Responding: 4,
  Raw: 5,
  Done: 6,
} as const;

const NEVER = Number.POSITIVE_INFINITY;

export class ExchangeRunner implements RequestSink, PoolClient {
  readonly context: PlaneContext;
  readonly downstream: Downstream;
  readonly request: DownstreamRequest;
  readonly requestId: string;
  readonly startedAt: number;
  exchange: Exchange | undefined;
  forward: Forward | undefined;
  endpoint: EndpointState | undefined;
  connection: UpstreamConnection | undefined;
  hashKey: string | undefined;
  avoid: EndpointState | undefined;
  wantsFresh = false;
  /** What the caller was told; 499 if it went away before. */
  status = 0;
  flag = '';
  tries = 0;
  requestBytes = 0;
  responseBytes = 0;

  private readonly view: ActiveView;
  private phase: number = Phase.Deciding;
  private upstream: UpstreamState | undefined;
  private isTrying = false;
  private isRetry = false;
  private retries = 0;
  private isReused = false;
  private body: RequestBody | undefined;
  private response: ResponseWriter | undefined;
  private tryStartedAt = 0;
  private routeDueAt = NEVER;
  private tryDueAt = NEVER;
  private pauseDueAt = NEVER;
  private progressAt: number;

  constructor(context: PlaneContext, downstream: Downstream, requestId: string) {
    this.context = context;
    this.view = context.active;
    this.downstream = downstream;
    this.request = downstream.request;
    this.requestId = requestId;
    this.startedAt = this.progressAt = context.clock.monotonic();
    context.exchanges++;
  }

  get method(): string {
    return this.request.head.method;
  }

  get revision(): number {
    return this.view.pipeline.revision;
  }

  start(): void {
    try {
      const outcome = this.view.pipeline.handle(this.request, this.requestId);
      if (!(outcome instanceof Promise)) this.decide(outcome);
      else
        outcome.then(
          (settled) => this.decide(settled),
          (error: unknown) => this.fault(error),
        );
    } catch (error) {
      this.fault(error);
    }
  }

  /** Without the pipeline: refusals, shedding, failures. */
  reply(reply: Respond): void {
    const { downstream, request } = this;
    this.exchange ??= reply.exchange;
    if (this.flag === '') this.flag = reply.flag;
    this.status = reply.status;
    if (reply.exchange)
      this.view.pipeline.respond(reply.exchange, { status: reply.status, header: () => undefined });
    const { text, bytes } = localReply(reply, {
      method: request.head.method,
      minor: request.head.minor,
      staysOpen: downstream.keepsOpen(),
      requestId: this.requestId,
      nowMs: this.context.clock.now(),
    });
    this.responseBytes = bytes;
    downstream.write(text);
    this.finish(false);
  }

  // The caller's side.

  onRequestBytes(bytes: Buffer, start: number, end: number): void {
    this.requestBytes += end - start;
    this.progressAt = this.context.deadlines.now;
    const { connection } = this;
    if (connection === undefined || this.phase < Phase.Waiting) {
      if (this.phase === Phase.Done) return;
      this.body ??= new RequestBody();
      this.body.keep(bytes, start, end);
      if (this.body.size > MAX_KEPT_BYTES) this.downstream.pauseRequest();
      return;
    }
    const isChunked = this.request.head.contentLength < 0 && this.phase !== Phase.Raw;
    connection.writeRun(bytes, start, end, isChunked);
    if (connection.isFull) this.downstream.pauseRequest();
    if (!this.body?.isWhole) return;
    if (this.body.size + end - start > MAX_KEPT_BYTES) this.body.forget();
    else this.body.keep(bytes, start, end);
  }

  onRequestEnd(): void {
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
      this.downstream.abort();
      this.conclude();
    } else this.reply(failure(400, 'malformed request body', 'DPE'));
  }

  onDisconnect(): void {
    if (this.phase === Phase.Done) return;
    if (this.phase !== Phase.Raw) {
      this.flag = 'DC';
      if (this.status === 0) this.status = 499;
    }
    this.abandonTry();
    this.conclude();
  }

  onDue(now: number): void {
    if (this.phase === Phase.Done) return;
    if (now >= this.routeDueAt) this.endBadly('timeout');
    else if (this.isStalled(now)) this.giveUpOnCaller();
    else if (now >= this.pauseDueAt) {
      this.pauseDueAt = NEVER;
      this.tryOnce();
    } else if (now >= this.tryDueAt) this.onTryFailure('timeout');
    else this.schedule();
  }

  // The upstream's side.

  onConnected(connection: UpstreamConnection, reused: boolean): void {
    const { request, downstream } = this;
    this.phase = Phase.Waiting;
    this.isReused = reused;
    connection.write(
      upstreamHead(request, this.forward as Forward, this.requestId, connection.isLastRequest),
    );
    if (request.head.contentLength === 0) {
      if (!request.head.upgrades) connection.endRequest();
      connection.flush();
      return;
    }
    this.sendKeptBody(connection);
    if (downstream.isRequestDone) this.endRequest();
    else if (request.head.expectsContinue && this.requestBytes === 0) downstream.sendContinue();
    downstream.resumeRequest();
    if (!downstream.isReading) connection.flush();
  }

  onInformational(head: ResponseHead): void {
    if (this.request.head.minor === 1) this.downstream.write(informationalHead(head));
  }

  onResponseHead(head: ResponseHead): void {
    this.report(head.status);
    const { connection } = this;
    const forward = this.forward as Forward;
    const plan = forward.action.retry;
    if (plan && retriesResponse(plan, head, this.method)) {
      const waitMs = retryAfterMs(head);
      if (this.mayRetry(waitMs)) {
        connection?.discard();
        this.endTry();
        this.pauseBeforeRetry(waitMs);
        return;
      }
    }
    this.phase = Phase.Responding;
    this.tryDueAt = NEVER;
    this.body?.forget();
    this.status = head.status;
    this.response = new ResponseWriter(this.downstream, this.view.pipeline, forward, head);
    try {
      this.response.start();
    } catch (error) {
      this.fault(error);
    }
  }

  onResponseBytes(bytes: Buffer, start: number, end: number): void {
    if (this.phase === Phase.Raw) {
      this.progressAt = this.context.deadlines.now;
      this.responseBytes += end - start;
      this.downstream.writeRun(bytes, start, end, false);
    } else this.response?.run(bytes, start, end);
  }

  onResponsePause(): void {
    if (this.phase !== Phase.Responding && this.phase !== Phase.Raw) return;
    this.downstream.flush();
    if (!this.downstream.isFull) return;
    this.connection?.pause();
    this.progressAt = this.context.deadlines.now;
    this.schedule();
  }

  onResponseEnd(trailers: FieldSection | undefined): void {
    this.endTry();
    const response = this.response as ResponseWriter;
    try {
      response.end(trailers);
    } catch (error) {
      this.fault(error);
      return;
    }
    this.finish(response.endsByClose);
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
    this.view.pipeline.respond(exchange, head);
    downstream.write(switchingHead(head, exchange));
    if (end > start) this.onResponseBytes(bytes, start, end);
    downstream.flush();
    this.schedule();
    downstream.becomeRaw();
  }

  onUpstreamFailure(kind: UpstreamFailure): void {
    this.onTryFailure(kind);
  }

  onUpstreamDrain(): void {
    this.progressAt = this.context.deadlines.now;
    this.downstream.resumeRequest();
  }

  onUpstreamEnd(): void {
    this.downstream.endRaw();
  }

  // Tries.

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
    const { timeoutMs } = outcome.action;
    if (timeoutMs > 0) this.routeDueAt = this.startedAt + timeoutMs;
    this.tryStartedAt = this.startedAt;
    if (outcome.delayMs > 0) {
      this.flag = 'DI';
      this.pause(outcome.delayMs);
    } else this.tryOnce();
  }

  private tryOnce(): void {
    const { upstream, forward } = this;
    this.tries++;
    this.phase = Phase.Connecting;
    if (this.tries > 1) this.tryStartedAt = this.context.clock.monotonic();
    const perTryMs = forward?.action.retry?.perTryTimeoutMs ?? 0;
    if (perTryMs > 0) this.tryDueAt = this.tryStartedAt + perTryMs;
    this.schedule();
    this.isTrying = true;
    const acquired = upstream?.acquire(this) ?? 'no-endpoint';
    if (acquired === 'started') return;
    this.isTrying = false;
    this.endBadly(acquired);
  }

  private onTryFailure(kind: TryFailure): void {
    const { forward, phase } = this;
    if (phase === Phase.Done) return;
    if (phase >= Phase.Responding || !forward) {
      this.endBadly(kind);
      return;
    }
    // The endpoint had closed the idle connection before it could see the request.
    const isStale =
      kind === 'reset' && this.isReused && !this.wantsFresh && isIdempotent(this.method);
    if (!isStale) this.report(0);
    this.abandonTry();
    if (isStale && this.canRepeat) {
      this.wantsFresh = true;
      this.tries--;
      this.tryOnce();
      return;
    }
    const plan = forward.action.retry;
    if (plan && retriesFailure(plan, kind, this.method) && this.mayRetry(0))
      this.pauseBeforeRetry(0);
    else this.endBadly(kind);
  }

  /** Everything that would have to be sent again is still here. */
  private get canRepeat(): boolean {
    return this.requestBytes === 0 || this.body?.isWhole === true;
  }

  private mayRetry(waitMs: number): boolean {
    const plan = this.forward?.action.retry;
    const { upstream } = this;
    if (!plan || !upstream || plan.attempts === 0) return false;
    if (this.retries >= plan.attempts) {
      this.flag = 'URX';
      return false;
    }
    if (!this.canRepeat || !upstream.retries.admits(plan, upstream.active)) return false;
    return this.context.clock.monotonic() + waitMs < this.routeDueAt;
  }

  private pauseBeforeRetry(waitMs: number): void {
    const plan = this.forward?.action.retry;
    if (!plan || !this.upstream) return;
    this.retries++;
    this.upstream.retries.active++;
    this.isRetry = true;
    this.avoid = this.endpoint;
    this.tryDueAt = NEVER;
    this.pause(Math.max(waitMs, backoffMs(plan, this.retries, this.context.random)));
  }

  private pause(ms: number): void {
    this.phase = Phase.Pausing;
    this.pauseDueAt = this.context.clock.monotonic() + ms;
    this.schedule();
  }

  private report(status: number): void {
    if (!this.endpoint || !this.upstream || !this.isTrying) return;
    const latencyMs = this.context.clock.monotonic() - this.tryStartedAt;
    this.upstream.report(this.endpoint, status, latencyMs);
  }

  private abandonTry(): void {
    this.connection?.abandon();
    this.endTry();
  }

  private endTry(): void {
    if (this.isTrying) {
      this.isTrying = false;
      this.upstream?.end(this);
    }
    if (this.isRetry && this.upstream) {
      this.isRetry = false;
      this.upstream.retries.active--;
    }
  }

  private endRequest(): void {
    const { connection } = this;
    if (this.request.head.contentLength < 0) connection?.write('0\r\n\r\n');
    connection?.endRequest();
  }

  private sendKeptBody(connection: UpstreamConnection): void {
    const { body } = this;
    if (!body) return;
    for (const run of body.runs)
      connection.writeRun(run, 0, run.length, this.request.head.contentLength < 0);
    const mayRepeat = isIdempotent(this.method) || this.forward?.action.retry !== undefined;
    if (!mayRepeat || body.size > MAX_KEPT_BYTES) body.forget();
  }

  // Ends.

  private endBadly(kind: TryFailure): void {
    const [status, reason, flag] = FAILURES[kind];
    this.abandonTry();
    if (this.phase >= Phase.Responding) {
      if (this.phase === Phase.Responding) this.flag = flag;
      this.downstream.abort();
      this.conclude();
      return;
    }
    this.reply({
      ...failure(status, reason, flag),
      ...(this.exchange && { exchange: this.exchange }),
    });
  }

  private giveUpOnCaller(): void {
    this.abandonTry();
    if (this.phase < Phase.Responding && !this.downstream.isRequestDone) {
      this.reply(failure(408, 'the request body did not arrive', 'DT'));
      return;
    }
    if (this.phase === Phase.Responding) this.flag = 'DT';
    this.downstream.abort();
    this.conclude();
  }

  /** A defect, in a filter or here: said once, answered with 500. */
  private fault(error: unknown): void {
    if (this.phase === Phase.Done) return;
    this.context.log('exchange failed', error);
    this.abandonTry();
    if (this.downstream.hasWritten) {
      this.downstream.abort();
      this.conclude();
    } else this.reply(failure(500, 'internal error', ''));
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

  // Time.

  private schedule(): void {
    let at = Math.min(this.routeDueAt, this.tryDueAt, this.pauseDueAt);
    const stallMs = this.stallMs;
    if (stallMs > 0) at = Math.min(at, this.progressAt + stallMs);
    this.downstream.schedule(at);
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
