// Tries of one request at an upstream: a connection each, what of the body may have to be sent again, retries and their limits.
import type { Forward } from '#engine/pipeline/exchange.ts';
import type { FieldSection } from '../http1/field-section.ts';
import type { ResponseHead } from '../http1/response-head.ts';
import type { ClientConnection, UpstreamFailure } from '../upstream/client.ts';
import type { EndpointState } from '../upstream/endpoint.ts';
import type { PoolClient, UpstreamState } from '../upstream/upstream-state.ts';
import type { PlaneContext } from './context.ts';
import type { TryFailure } from './failures.ts';
import type { GrpcCall } from './grpc.ts';
import { Hedge, type Hedged } from './hedge.ts';
import { MAX_KEPT_BYTES, RequestBody } from './request-body.ts';
import { backoffMs, isIdempotent, retriesFailure, retriesResponse, retryAfterMs } from './retry.ts';

/** In order: everything from Waiting to Raw has a connection. */
export const Phase = {
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

export const NEVER = Number.POSITIVE_INFINITY;

/** For hedges of routes that do not retry. */
const HEDGE_BUDGET = { budgetPercent: 20, minRetries: 3 };

export abstract class Tries implements PoolClient, Hedged {
  readonly context: PlaneContext;
  readonly startedAt: number;
  forward: Forward | undefined;
  endpoint: EndpointState | undefined;
  connection: ClientConnection | undefined;
  hashKey: string | undefined;
  avoid: EndpointState | undefined;
  wantsFresh = false;
  /** Envoy's response flag. */
  flag = '';
  tries = 0;
  /** Set when the request is one. */
  grpc: GrpcCall | undefined;
  requestBytes = 0;

  protected phase: number = Phase.Deciding;
  protected upstream: UpstreamState | undefined;
  protected body: RequestBody | undefined;
  /** Monotonic milliseconds. */
  protected routeDueAt = NEVER;
  protected tryDueAt = NEVER;
  protected pauseDueAt = NEVER;
  protected hedgeDueAt = NEVER;
  private tryStartedAt: number;
  /** When a gRPC answer began whose status is still to come. */
  protected headAt = 0;
  isTrying = false;
  private hedge: Hedge | undefined;
  private isReused = false;
  /** The body is worth keeping. */
  private mayRepeat = true;
  /** This try is a retry, counted in the upstream's budget. */
  private isRetry = false;
  private retries = 0;

  constructor(context: PlaneContext) {
    this.context = context;
    this.startedAt = this.tryStartedAt = context.clock.monotonic();
  }

  abstract get method(): string;
  protected abstract sendRequest(connection: ClientConnection): void;
  /** A head that no retry is made for. */
  protected abstract acceptHead(head: ResponseHead): void;
  /** No further try is made. */
  protected abstract endBadly(failure: TryFailure): void;
  protected abstract schedule(): void;
  /** Writes the head for one more try beside this one; undefined if the request may not be sent twice. */
  protected abstract hedgeWriter(): ((isLast: boolean) => string) | undefined;
  abstract onInformational(head: ResponseHead): void;
  abstract onResponseBytes(bytes: Buffer, start: number, end: number): void;
  abstract onResponseEnd(trailers: FieldSection | undefined): void;
  abstract onResponsePause(): void;
  abstract onSwitched(head: ResponseHead, bytes: Buffer, start: number, end: number): void;
  abstract onUpstreamDrain(): void;
  abstract onUpstreamEnd(): void;

  onConnected(connection: ClientConnection, reused: boolean): void {
    this.phase = Phase.Waiting;
    this.isReused = reused;
    // Once something has been sent, only what is idempotent is ever sent again, or what was refused unseen.
    this.mayRepeat =
      this.upstream?.isHttp2 === true ||
      (isIdempotent(this.method) && (reused || this.forward?.action.retry !== undefined));
    this.sendRequest(connection);
  }

  onResponseHead(head: ResponseHead): void {
    const status = this.grpc ? this.grpc.onHead(head) : head.status;
    if (status !== undefined) this.report(status);
    else this.headAt = this.context.clock.monotonic();
    if (this.hedge && head.status >= 500) {
      this.connection?.discard();
      this.waitForHedge();
      return;
    }
    this.dropHedge();
    const plan = this.forward?.action.retry;
    if (plan && retriesResponse(plan, head, this.grpc !== undefined || isIdempotent(this.method))) {
      const waitMs = retryAfterMs(head);
      if (this.mayRetry(waitMs)) {
        this.connection?.discard();
        this.endTry();
        this.pauseBeforeRetry(waitMs);
        return;
      }
    }
    this.phase = Phase.Responding;
    this.tryDueAt = this.hedgeDueAt = NEVER;
    this.body?.forget();
    this.acceptHead(head);
  }

  onUpstreamFailure(failure: UpstreamFailure): void {
    this.onTryFailure(failure);
  }

  protected tryOnce(): void {
    this.tries++;
    this.phase = Phase.Connecting;
    this.pauseDueAt = NEVER;
    if (this.tries > 1) this.tryStartedAt = this.context.clock.monotonic();
    else this.prepareFirst();
    const perTryMs = this.forward?.action.retry?.perTryTimeoutMs ?? 0;
    if (perTryMs > 0) this.tryDueAt = this.tryStartedAt + perTryMs;
    this.schedule();
    this.isTrying = true;
    const acquired = this.upstream?.acquire(this) ?? 'no-endpoint';
    if (acquired === 'started') return;
    this.isTrying = false;
    this.endBadly(acquired);
  }

  private prepareFirst(): void {
    if (!this.wantsFresh) this.upstream?.retries.earn();
    const afterMs = this.forward?.action.hedge?.afterMs ?? 0;
    if (afterMs > 0) this.hedgeDueAt = this.tryStartedAt + afterMs;
  }

  protected pause(ms: number): void {
    this.phase = Phase.Pausing;
    this.pauseDueAt = this.context.clock.monotonic() + ms;
    this.schedule();
  }

  protected onTryFailure(failure: TryFailure): void {
    if (this.phase === Phase.Done) return;
    if (this.phase >= Phase.Responding) {
      if (this.grpc?.isOpen) this.report(0, this.headAt);
      this.endBadly(failure);
      return;
    }
    const isStale = this.isUnseen(failure);
    if (!isStale) this.report(0);
    this.connection?.abandon();
    if (this.hedge) {
      this.waitForHedge();
      return;
    }
    this.endTry();
    if (isStale && this.canRepeat) {
      this.wantsFresh = true;
      this.tries--;
      this.tryOnce();
      return;
    }
    this.retryOrEnd(failure);
  }

  private retryOrEnd(failure: TryFailure): void {
    const plan = this.forward?.action.retry;
    if (plan && retriesFailure(plan, failure, this.method) && this.mayRetry(0))
      this.pauseBeforeRetry(0);
    else this.endBadly(failure);
  }

  /** The try is slow: one more beside it, if the budget of retries has room. */
  protected startHedge(): void {
    this.hedgeDueAt = NEVER;
    this.schedule();
    const { upstream, context } = this;
    const write = this.hedgeWriter();
    if (!write || !upstream || !this.isTrying) return;
    const limits = this.forward?.action.retry ?? HEDGE_BUDGET;
    if (!upstream.retries.admits(limits, upstream.active)) return;
    const now = () => context.clock.monotonic();
    const hedge = new Hedge(this, { upstream, avoid: this.endpoint, now, write });
    this.hedge = hedge;
    this.tries++;
    if (!hedge.start()) this.hedge = undefined;
  }

  /** The hedge has answered first: the exchange goes on with it. */
  adopt(hedge: Hedge, head: ResponseHead): void {
    this.hedge = undefined;
    if (this.isTrying) {
      const { endpoint, context } = this;
      const now = context.clock.monotonic();
      endpoint?.observe(now - this.tryStartedAt, now);
      this.abandonTry();
    }
    this.endpoint = hedge.endpoint;
    this.connection = hedge.connection;
    this.tryStartedAt = hedge.startedAt;
    this.isTrying = this.isRetry = true;
    this.phase = Phase.Waiting;
    this.onResponseHead(head);
  }

  onHedgeLost(failure: UpstreamFailure): void {
    this.hedge = undefined;
    if (!this.isTrying && this.phase === Phase.Waiting) this.retryOrEnd(failure);
  }

  private waitForHedge(): void {
    this.endTry();
    this.phase = Phase.Waiting;
    this.tryDueAt = NEVER;
    this.schedule();
  }

  private dropHedge(): void {
    this.hedge?.cancel();
    this.hedge = undefined;
    this.hedgeDueAt = NEVER;
  }

  /** The endpoint had closed the idle connection before it could see the request, or says that it has not looked at it. */
  private isUnseen(failure: TryFailure): boolean {
    if (this.wantsFresh) return false;
    return (
      failure === 'refused' || (failure === 'reset' && this.isReused && isIdempotent(this.method))
    );
  }

  /** The caller's time is up, and the endpoint had its chance. */
  protected runOut(): void {
    if (this.phase === Phase.Waiting) this.report(0);
    this.endBadly('timeout');
  }

  /** `answeredAt`: a stream counts as fast as its first byte. */
  protected report(status: number, answeredAt?: number): void {
    if (!this.endpoint || !this.upstream || !this.isTrying) return;
    const now = this.context.clock.monotonic();
    const latencyMs = (answeredAt ?? now) - this.tryStartedAt;
    this.upstream.report({ endpoint: this.endpoint, status, now }, latencyMs);
  }

  protected abandonTry(): void {
    this.dropHedge();
    this.connection?.abandon();
    this.endTry();
  }

  protected endTry(): void {
    if (this.isTrying) {
      this.isTrying = false;
      this.upstream?.end(this);
    }
    if (this.isRetry && this.upstream) {
      this.isRetry = false;
      this.upstream.retries.end();
    }
  }

  /** Keeps a run of the body for a connection to come, or for another try. */
  protected keepBody(bytes: Buffer, start: number, end: number): void {
    if (this.phase >= Phase.Waiting) {
      if (!this.mayRepeat || this.body?.isWhole === false) return;
      if ((this.body?.size ?? 0) + end - start > MAX_KEPT_BYTES) {
        this.mayRepeat = false;
        this.body?.forget();
        return;
      }
    }
    this.body ??= new RequestBody();
    this.body.keep(bytes, start, end);
  }

  protected sendKeptBody(connection: ClientConnection, chunked: boolean): void {
    const { body } = this;
    if (!body) return;
    if (body.size > 0) connection.writeRun(body.bytes, 0, body.size, chunked);
    if (!this.mayRepeat || body.size > MAX_KEPT_BYTES) {
      this.mayRepeat = false;
      body.forget();
    }
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
    this.upstream.retries.begin();
    this.isRetry = true;
    this.avoid = this.endpoint;
    this.tryDueAt = NEVER;
    this.pause(Math.max(waitMs, backoffMs(plan, this.retries, this.context.random)));
  }
}
