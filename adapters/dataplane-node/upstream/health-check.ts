// Active health: asks every endpoint at an interval, and takes those out that do not answer as expected.
import type { ConnectionOptions } from 'node:tls';
import type { Upstream } from '#engine/model/snapshot.ts';
import type { Random } from '#engine/ports/clock.ts';
import { Deadline, type Deadlines } from '../deadlines.ts';
import type { ResponseHead } from '../http1/response-head.ts';
import type { ClientConnection, UpstreamClient } from './client.ts';
import { type ConnectionOwner, UpstreamConnection } from './connection.ts';
import type { EndpointState } from './endpoint.ts';

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

  /** Checks exactly these endpoints from now on; `plan` undefined ends all checks, and everybody counts as healthy. */
  update(
    plan: HealthPlan | undefined,
    endpoints: Iterable<EndpointState>,
    tls: ConnectionOptions | undefined,
  ): void {
    const wanted = new Set(plan ? endpoints : []);
    for (const [endpoint, check] of this.checks)
      if (!wanted.has(endpoint)) {
        check.stop();
        endpoint.isHealthy = true;
        this.checks.delete(endpoint);
      }
    if (!plan) return;
    for (const endpoint of wanted) {
      const known = this.checks.get(endpoint);
      if (known) known.change(plan, tls);
      else this.checks.set(endpoint, new EndpointCheck(endpoint, plan, tls, this.deps));
    }
  }
}

/** The repeated question to one endpoint, over a connection of its own each time. */
class EndpointCheck extends Deadline implements ConnectionOwner, UpstreamClient {
  readonly method = 'GET';
  readonly maxRequestsPerConnection = 1;
  private readonly endpoint: EndpointState;
  private readonly deps: HealthDeps;
  private plan: HealthPlan;
  private tls: ConnectionOptions | undefined;
  private connection: UpstreamConnection | undefined;
  private successes = 0;
  private failures = 0;

  constructor(
    endpoint: EndpointState,
    plan: HealthPlan,
    tls: ConnectionOptions | undefined,
    deps: HealthDeps,
  ) {
    super();
    this.endpoint = endpoint;
    this.plan = plan;
    this.tls = tls;
    this.deps = deps;
    this.wait(plan.intervalMs * JITTER * deps.random());
  }

  get connectTimeoutMs(): number {
    return this.plan.timeoutMs;
  }

  change(plan: HealthPlan, tls: ConnectionOptions | undefined): void {
    this.plan = plan;
    this.tls = tls;
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
    this.connection = new UpstreamConnection(this, this.endpoint, { generation: 0, tls: this.tls });
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
    connection.writeHead(
      `GET ${this.plan.path} HTTP/1.1\r\nhost: ${host}:${this.endpoint.port}\r\n` +
        'user-agent: weir-health-check\r\nconnection: close\r\n\r\n',
    );
    connection.endRequest();
    connection.flush();
  }

  onResponseHead(head: ResponseHead): void {
    this.conclude(this.plan.expectedStatuses.includes(head.status));
  }

  onUpstreamFailure(): void {
    this.conclude(false);
  }

  onSwitched(): void {
    this.conclude(false);
  }

  onInformational(): void {}
  onResponseBytes(): void {}
  onResponseEnd(): void {}
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
    connection.client = undefined;
    connection.close();
  }

  private wait(ms: number): void {
    this.deps.deadlines.arm(this, this.deps.deadlines.now + ms);
  }
}
