// A second try beside one that is slow. The first good answer wins and the other try is cancelled; if it is this one's, the
// exchange goes on with its connection, and what comes from there is passed on.
import type { FieldSection } from '../http1/field-section.ts';
import type { ResponseHead } from '../http1/response-head.ts';
import type { ClientConnection, UpstreamClient, UpstreamFailure } from '../upstream/client.ts';
import type { EndpointState } from '../upstream/endpoint.ts';
import type { PoolClient, UpstreamState } from '../upstream/upstream-state.ts';

/** The exchange that is hedged. */
export interface Hedged extends UpstreamClient {
  /** Its own try has not failed yet. */
  readonly isTrying: boolean;
  adopt(hedge: Hedge, head: ResponseHead): void;
  /** No answer, or no good one while the own try may still bring a better one. */
  onHedgeLost(failure: UpstreamFailure): void;
}

export interface HedgePlan {
  readonly upstream: UpstreamState;
  /** Where the slow try is: another endpoint is preferred. */
  readonly avoid: EndpointState | undefined;
  readonly now: () => number;
  /** Head of the request; it has no body. */
  readonly write: (isLast: boolean) => string;
}

export class Hedge implements PoolClient {
  readonly method: string;
  readonly hashKey = undefined;
  readonly avoid: EndpointState | undefined;
  readonly wantsFresh = false;
  readonly startedAt: number;
  endpoint: EndpointState | undefined;
  connection: ClientConnection | undefined;
  private readonly hedged: Hedged;
  private readonly plan: HedgePlan;
  private isAdopted = false;

  constructor(hedged: Hedged, plan: HedgePlan) {
    this.hedged = hedged;
    this.plan = plan;
    this.method = hedged.method;
    this.avoid = plan.avoid;
    this.startedAt = plan.now();
  }

  /** False if nothing can be started; then it is over. */
  start(): boolean {
    this.plan.upstream.retries.begin();
    const isStarted = this.plan.upstream.acquire(this) === 'started';
    if (!isStarted) this.plan.upstream.retries.end();
    return isStarted;
  }

  /** The other try has won, or nobody waits any more. */
  cancel(): void {
    this.connection?.abandon();
    this.end();
  }

  onConnected(connection: ClientConnection): void {
    connection.writeHead(this.plan.write(connection.isLastRequest));
    connection.endRequest();
    connection.flush();
  }

  onResponseHead(head: ResponseHead): void {
    if (this.isAdopted) return;
    if (head.status >= 500 && this.hedged.isTrying) {
      this.report(head.status);
      this.connection?.discard();
      this.end();
      this.hedged.onHedgeLost('reset');
      return;
    }
    this.isAdopted = true;
    this.hedged.adopt(this, head);
  }

  onUpstreamFailure(failure: UpstreamFailure): void {
    if (this.isAdopted) {
      this.hedged.onUpstreamFailure(failure);
      return;
    }
    this.report(0);
    this.end();
    this.hedged.onHedgeLost(failure);
  }

  onSwitched(): void {
    this.connection?.abandon();
    this.onUpstreamFailure('protocol');
  }

  onInformational(): void {}

  onResponseBytes(bytes: Buffer, start: number, end: number): void {
    if (this.isAdopted) this.hedged.onResponseBytes(bytes, start, end);
  }

  onResponseEnd(trailers: FieldSection | undefined): void {
    if (this.isAdopted) this.hedged.onResponseEnd(trailers);
  }

  onResponsePause(): void {
    if (this.isAdopted) this.hedged.onResponsePause();
  }

  onUpstreamDrain(): void {}

  onUpstreamEnd(): void {}

  private report(status: number): void {
    const { endpoint, plan } = this;
    if (!endpoint) return;
    const now = plan.now();
    plan.upstream.report({ endpoint, status, now }, now - this.startedAt);
  }

  private end(): void {
    this.plan.upstream.end(this);
    this.plan.upstream.retries.end();
  }
}
