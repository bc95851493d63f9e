// Active health: asks every endpoint at an interval, and takes those out that do not answer as expected.
import type { ConnectionOptions } from 'node:tls';
import type { Upstream } from '#engine/model/snapshot.ts';
import type { Random } from '#engine/ports/clock.ts';
import { Deadline, type Deadlines } from '../deadlines.ts';
import type { FieldSection } from '../http1/field-section.ts';
import type { ResponseHead } from '../http1/response-head.ts';
import { type SessionOwner, UpstreamSession } from '../http2/upstream-session.ts';
import type { ClientConnection, UpstreamClient } from './client.ts';
import { type ConnectionOwner, UpstreamConnection } from './connection.ts';
import type { EndpointState } from './endpoint.ts';
import { askGrpcHealth, GrpcHealthAnswer } from './grpc-health.ts';

export type HealthPlan = NonNullable<Upstream['healthCheck']>;

export interface HealthDeps {
  readonly deadlines: Deadlines;
  readonly random: Random;
  readonly onChange: () => void;
}

/** Share of the interval by which checks are spread. */
const JITTER = 0.1;

export class HealthChecker {
  private readonly deps: HealthDeps;
  private readonly checks = new Map<EndpointState, EndpointCheck>();

  constructor(deps: HealthDeps) {
    this.deps = deps;
  }

  /** Checks exactly these endpoints from now on; no plan ends all checks, and everybody counts as healthy. */
  update(
    upstream: Upstream | undefined,
    endpoints: Iterable<EndpointState>,
    tls?: ConnectionOptions,
  ): void {
    const plan = upstream?.healthCheck;
    const wanted = new Set(plan ? endpoints : []);
    for (const [endpoint, check] of this.checks)
      if (!wanted.has(endpoint)) {
        check.stop();
        endpoint.isHealthy = true;
        this.checks.delete(endpoint);
      }
    if (!plan) return;
    const rules = {
      plan,
      tls,
      isHttp2: upstream.protocol === 'http2' || upstream.protocol === 'grpc',
    };
    for (const endpoint of wanted) {
      const known = this.checks.get(endpoint);
      if (known) known.rules = rules;
      else this.checks.set(endpoint, new EndpointCheck(endpoint, rules, this.deps));
    }
  }
}

interface Rules {
  readonly plan: HealthPlan;
  readonly tls: ConnectionOptions | undefined;
  readonly isHttp2: boolean;
}

/** The repeated question to one endpoint, over a connection of its own each time. */
class EndpointCheck extends Deadline implements ConnectionOwner, SessionOwner, UpstreamClient {
  readonly maxRequestsPerConnection = 1;
  readonly idleTimeoutMs = 0;
  rules: Rules;
  private readonly endpoint: EndpointState;
  private readonly deps: HealthDeps;
  private connection: UpstreamConnection | UpstreamSession | undefined;
  private answer: GrpcHealthAnswer | undefined;
  private successes = 0;
  private failures = 0;

  constructor(endpoint: EndpointState, rules: Rules, deps: HealthDeps) {
    super();
    this.endpoint = endpoint;
    this.rules = rules;
    this.deps = deps;
    this.wait(rules.plan.intervalMs * JITTER * deps.random());
  }

  private get plan(): HealthPlan {
    return this.rules.plan;
  }

  get method(): string {
    return this.plan.type === 'GRPC' ? 'POST' : 'GET';
  }

  get connectTimeoutMs(): number {
    return this.plan.timeoutMs;
  }

  stop(): void {
    this.deps.deadlines.disarm(this);
    this.leave();
  }

  onDue(): void {
    if (this.connection) {
      this.conclude(false);
      return;
    }
    this.wait(this.plan.timeoutMs);
    const { tls, isHttp2, plan } = this.rules;
    if (!isHttp2 || plan.type === 'TCP')
      this.connection = new UpstreamConnection(this, this.endpoint, { generation: 0, tls });
    else {
      this.connection = new UpstreamSession(this, this.endpoint, tls);
      this.connection.serve(this, () => {});
    }
  }

  log(): void {}

  arm(deadline: Deadline, inMs: number): void {
    this.deps.deadlines.arm(deadline, this.deps.deadlines.now + inMs);
  }

  // As owner of the connection.

  onReady(connection: UpstreamConnection): void {
    if (connection !== this.connection) connection.close();
    else if (this.plan.type === 'TCP') this.conclude(true);
    else connection.serve(this, false);
  }

  onSessionReady(): void {}

  onSessionClosed(session: UpstreamSession): void {
    if (session === this.connection) this.conclude(false);
  }

  onReusable(connection: UpstreamConnection): void {
    connection.close();
  }

  onClosed(connection: UpstreamConnection): void {
    this.deps.deadlines.disarm(connection);
    if (connection === this.connection) this.conclude(false);
  }

  // As its client.

  onConnected(connection: ClientConnection): void {
    const { address } = this.endpoint;
    const host = address.includes(':') ? `[${address}]` : address;
    const authority = `${host}:${this.endpoint.port}`;
    this.answer = this.plan.type === 'GRPC' ? new GrpcHealthAnswer() : undefined;
    if (this.answer) askGrpcHealth(connection, authority);
    else
      connection.writeHead(
        `GET ${this.plan.path} HTTP/1.1\r\nhost: ${authority}\r\n` +
          'user-agent: weir-health-check\r\nconnection: close\r\n\r\n',
      );
    connection.endRequest();
    connection.flush();
  }

  onResponseHead(head: ResponseHead): void {
    if (!this.answer) this.conclude(this.plan.expectedStatuses.includes(head.status));
    else if (head.status !== 200) this.conclude(false);
  }

  onUpstreamFailure(): void {
    this.conclude(false);
  }

  onResponseBytes(bytes: Buffer, start: number, end: number): void {
    this.answer?.add(bytes, start, end);
  }

  onResponseEnd(trailers: FieldSection | undefined): void {
    this.conclude(this.answer?.isServing(trailers) === true);
  }

  onSwitched(): void {
    this.conclude(false);
  }

  onInformational(): void {}
  onResponsePause(): void {}
  onUpstreamDrain(): void {}
  onUpstreamEnd(): void {}

  private conclude(isGood: boolean): void {
    if (!this.connection) return;
    this.leave();
    this.successes = isGood ? this.successes + 1 : 0;
    this.failures = isGood ? 0 : this.failures + 1;
    const { endpoint, plan } = this;
    const changes = endpoint.isHealthy
      ? this.failures >= plan.unhealthyThreshold
      : this.successes >= plan.healthyThreshold;
    if (changes) {
      endpoint.isHealthy = !endpoint.isHealthy;
      endpoint.since = this.deps.deadlines.now;
      this.deps.onChange();
    }
    this.wait(plan.intervalMs * (1 - JITTER / 2 + JITTER * this.deps.random()));
  }

  private leave(): void {
    const { connection } = this;
    this.connection = undefined;
    if (!connection) return;
    if (connection instanceof UpstreamConnection) connection.client = undefined;
    connection.close();
  }

  private wait(ms: number): void {
    this.deps.deadlines.arm(this, this.deps.deadlines.now + ms);
  }
}
