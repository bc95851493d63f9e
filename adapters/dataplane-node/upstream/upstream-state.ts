// One upstream at run time: its endpoints, the connections to them and the limits on both. It outlives snapshots, so that an
// activation neither drops connections nor forgets how endpoints are doing.
import type tls from 'node:tls';
import { endpointId, endpointName } from '#engine/model/endpoint.ts';
import type { Upstream } from '#engine/model/snapshot.ts';
import type { EndpointSeries } from '#engine/model/telemetry.ts';
import type { Random } from '#engine/ports/clock.ts';
import type { PickFacts } from '../balancer/balancer.ts';
import { Choices } from '../balancer/choices.ts';
import type { Deadline, Deadlines } from '../deadlines.ts';
import { SessionPool } from '../http2/session-pool.ts';
import type { ClientConnection, UpstreamClient } from './client.ts';
import { type ConnectionOwner, UpstreamConnection } from './connection.ts';
import { EndpointState } from './endpoint.ts';
import type { FleetWords } from './fleet-words.ts';
import { HealthChecker } from './health-check.ts';
import { isFailure, type Outcome, OutlierDetector } from './outlier.ts';
import { Probes } from './probes.ts';
import { Resting } from './resting.ts';
import { RetryBudget } from './retry-budget.ts';

/** A client of the pool. `endpoint` is set by `acquire`, and set anew when a waiting client gets another connection. */
export interface PoolClient extends UpstreamClient, PickFacts {
  endpoint: EndpointState | undefined;
  connection: ClientConnection | undefined;
  /** A reused connection has just proved stale; take a new one. */
  readonly wantsFresh: boolean;
}

export type Acquired = 'started' | 'no-endpoint' | 'overflow';

export interface UpstreamDeps {
  readonly deadlines: Deadlines;
  readonly monotonic: () => number;
  readonly random: Random;
  readonly log: (message: string, error?: unknown) => void;
  /** Where this agent stands, as region/zone. */
  readonly locality?: string | undefined;
  /** An endpoint has failed that had not for long: the fleet should hear of it soon. */
  readonly onNews?: () => void;
}

export class UpstreamState implements ConnectionOwner {
  plan: Upstream;
  readonly retries = new RetryBudget();
  /** Requests under way. */
  active = 0;
  connections = 0;
  readonly choices: Choices;
  private readonly deps: UpstreamDeps;
  private readonly byName = new Map<string, EndpointState>();
  private readonly outliers: OutlierDetector;
  private readonly health: HealthChecker;
  private readonly probes = new Probes();
  private readonly waiting: PoolClient[] = [];
  private readonly resting = new Resting(this);
  private readonly sessions = new SessionPool(this);
  private tls: tls.ConnectionOptions | undefined;
  /** Connections made under an older identity are not used again. */
  private generation = 0;
  private isRetired = false;

  constructor(plan: Upstream, tlsOptions: tls.ConnectionOptions | undefined, deps: UpstreamDeps) {
    this.plan = plan;
    this.tls = tlsOptions;
    this.deps = deps;
    this.choices = new Choices(deps.random, deps.locality);
    this.outliers = new OutlierDetector(deps, () => this.refresh());
    this.health = new HealthChecker({ ...deps, onChange: () => this.refresh() });
    this.list(plan);
  }

  get connectTimeoutMs(): number {
    return this.plan.pool.connectTimeoutMs;
  }

  get tlsOptions(): tls.ConnectionOptions | undefined {
    return this.tls;
  }

  /** Its endpoints take many requests at a time on one connection, and may hand some back unseen. */
  get isHttp2(): boolean {
    return this.plan.protocol === 'http2' || this.plan.protocol === 'grpc';
  }

  get maxRequestsPerConnection(): number {
    return this.plan.pool.maxRequestsPerConnection;
  }

  get endpoints(): Iterable<EndpointState> {
    return this.byName.values();
  }

  /** Takes over what a new snapshot says. `tlsOptions` is undefined for plain connections. */
  update(plan: Upstream, tlsOptions: tls.ConnectionOptions | undefined): void {
    const previous = this.plan;
    if (previous === plan) return;
    this.plan = plan;
    this.isRetired = false;
    if (JSON.stringify(previous.tls) !== JSON.stringify(plan.tls)) {
      this.generation++;
      this.sessions.leave();
      for (const endpoint of this.byName.values()) closeIdle(endpoint);
    }
    this.tls = tlsOptions;
    this.list(plan);
  }

  /** No longer in the snapshot: what is under way ends in peace, nothing is kept for later. */
  retire(): void {
    this.isRetired = true;
    this.outliers.close();
    this.health.update(undefined, []);
    this.sessions.leave();
    for (const endpoint of this.byName.values()) closeIdle(endpoint);
  }

  /** Chooses an endpoint and a connection. `onConnected` may come before this returns. */
  acquire(client: PoolClient): Acquired {
    const { pool } = this.plan;
    if (this.active >= pool.maxRequests) return 'overflow';
    const endpoint = this.choose(client);
    if (!endpoint) return 'no-endpoint';
    if (this.isHttp2) return this.openStream(client, endpoint);
    const idle = client.wantsFresh ? undefined : endpoint.idle.pop();
    if (idle) {
      this.begin(client, endpoint);
      client.connection = idle;
      idle.serve(client, true);
      return 'started';
    }
    if (this.connections >= pool.maxConnections) this.evictIdle();
    if (this.connections < pool.maxConnections) {
      this.begin(client, endpoint);
      this.open(client, endpoint);
      return 'started';
    }
    if (this.waiting.length >= pool.maxPendingRequests + this.resting.size) return 'overflow';
    this.begin(client, endpoint);
    this.waiting.push(client);
    return 'started';
  }

  /** An endpoint for a connection that is not the pool's; counted until `release`. */
  reserve(facts: PickFacts): EndpointState | Exclude<Acquired, 'started'> {
    const endpoint = this.choices.pick(facts, this.deps.monotonic());
    if (!endpoint) return 'no-endpoint';
    if (this.connections >= this.plan.pool.maxConnections) return 'overflow';
    this.connections++;
    endpoint.active++;
    return endpoint;
  }

  release(endpoint: EndpointState): void {
    this.connections--;
    endpoint.active--;
  }

  private choose(client: PoolClient): EndpointState | undefined {
    const now = this.deps.monotonic();
    return this.probes.next(client.avoid !== undefined, now) ?? this.choices.pick(client, now);
  }

  /** The try is over, one way or the other. Once per `acquire` that started. */
  end(client: PoolClient): void {
    const { endpoint } = client;
    if (!endpoint) return;
    this.active--;
    endpoint.active--;
    client.connection = undefined;
    const place = this.waiting.length > 0 ? this.waiting.indexOf(client) : -1;
    if (place >= 0) this.waiting.splice(place, 1);
  }

  /** What came of a try: a status, or 0 for no answer at all. */
  report(outcome: Outcome, latencyMs: number): void {
    const { endpoint, status, now } = outcome;
    // Who refuses fast must not look like who serves fast.
    const isRefusal = status === 0 || status === 429 || status === 503;
    endpoint.observe(isRefusal ? Math.max(latencyMs, REFUSAL_MS) : latencyMs, now);
    const plan = this.plan.outlierDetection;
    if (!plan || this.isRetired) return;
    if (plan.shared) {
      const failed = isFailure(plan, status);
      endpoint.requests++;
      if (failed) this.noteFailure(endpoint, now);
      this.probes.report(endpoint, failed, now);
    }
    this.outliers.report(plan, this.byName, outcome);
  }

  private noteFailure(endpoint: EndpointState, now: number): void {
    endpoint.failures++;
    if (now - endpoint.failedAt > NEWS_MS) this.deps.onNews?.();
    endpoint.failedAt = now;
  }

  /** What is to be done by decision of control. */
  obey({ breakers, retryPercents }: FleetWords): void {
    const { id, service, outlierDetection } = this.plan;
    this.retries.limit(retryPercents.get(service));
    let changed = false;
    for (const endpoint of this.byName.values()) {
      const word = outlierDetection?.shared ? breakers.get(endpointId(id, endpoint)) : undefined;
      if (word === endpoint.word) continue;
      if (word === undefined) endpoint.since = this.deps.monotonic();
      endpoint.word = word;
      changed = true;
    }
    if (changed) this.refresh();
  }

  /** What endpoints answered since this was last asked. */
  takeSeries(): readonly EndpointSeries[] {
    const series: EndpointSeries[] = [];
    for (const endpoint of this.byName.values()) {
      const { requests, failures } = endpoint;
      if (requests === 0) continue;
      series.push({ endpoint: endpointId(this.plan.id, endpoint), requests, failures });
      endpoint.requests = endpoint.failures = 0;
    }
    return series;
  }

  log(message: string, error: unknown): void {
    this.deps.log(`${this.plan.id}: ${message}`, error);
  }

  arm(deadline: Deadline, inMs: number): void {
    this.deps.deadlines.arm(deadline, this.deps.deadlines.now + inMs);
  }

  onReady(connection: UpstreamConnection): void {
    const client = connection.client as PoolClient | undefined;
    if (client) connection.serve(client, false);
    else this.onReusable(connection);
  }

  onReusable(connection: UpstreamConnection): void {
    this.resting.add(connection);
  }

  get hasWaiting(): boolean {
    return this.waiting.length > 0;
  }

  onRested(connection: UpstreamConnection): void {
    const { endpoint } = connection;
    const isCurrent = connection.generation === this.generation && endpoint.isListed;
    if (!isCurrent || this.isRetired) {
      connection.close();
      return;
    }
    const next = this.waiting.shift();
    if (next === undefined) {
      endpoint.idle.push(connection);
      this.arm(connection, this.idleMs(connection));
      return;
    }
    const isOther = next.endpoint !== endpoint;
    if (isOther && (next.hashKey !== undefined || !this.choices.has(endpoint))) {
      // It has to go to its own endpoint, or must not go here; this connection makes room for one there.
      this.waiting.unshift(next);
      connection.close();
      return;
    }
    (next.endpoint as EndpointState).active--;
    endpoint.active++;
    next.endpoint = endpoint;
    next.connection = connection;
    connection.serve(next, true);
  }

  onClosed(connection: UpstreamConnection): void {
    this.connections--;
    this.deps.deadlines.disarm(connection);
    if (this.resting.size > 0) this.resting.forget(connection);
    const { idle } = connection.endpoint;
    const place = idle.indexOf(connection);
    if (place >= 0) idle.splice(place, 1);
    if (this.waiting.length === 0 || this.connections >= this.plan.pool.maxConnections) return;
    const next = this.waiting.shift() as PoolClient;
    this.open(next, next.endpoint as EndpointState);
  }

  /** Health or ejection changed. */
  refresh(): void {
    const listed = [...this.byName.values()].filter((each) => each.weight > 0);
    const own = listed.filter((each) => each.isUsable);
    const allowed = own.filter((each) => each.word === undefined);
    // The fleet's word is not taken for the last one that works here.
    const usable = allowed.length > 0 ? allowed : own;
    this.probes.set(listed.filter((each) => each.word === 'probing'));
    this.choices.update(this.plan, listed, new Set(usable));
  }

  /** A little less than the endpoint allows: a request must not cross its farewell. */
  private idleMs(connection: UpstreamConnection): number {
    const own = this.plan.pool.idleTimeoutMs || Number.POSITIVE_INFINITY;
    return Math.min(own, Math.max(connection.keepAliveMs - 1000, 500));
  }

  private list(plan: Upstream): void {
    const names = new Set(plan.endpoints.map(endpointName));
    for (const [name, endpoint] of this.byName)
      if (!names.has(name)) {
        endpoint.isListed = false;
        closeIdle(endpoint);
        this.sessions.leave(endpoint);
        this.byName.delete(name);
      }
    for (const each of plan.endpoints) {
      const known = this.byName.get(endpointName(each));
      if (known) known.update(each);
      else this.byName.set(endpointName(each), new EndpointState(each, this.deps.monotonic()));
    }
    if (!plan.outlierDetection) this.outliers.close();
    this.health.update(plan, this.byName.values(), this.tls);
    this.refresh();
  }

  private begin(client: PoolClient, endpoint: EndpointState): void {
    client.endpoint = endpoint;
    this.active++;
    endpoint.active++;
  }

  private openStream(client: PoolClient, endpoint: EndpointState): Acquired {
    const session = this.sessions.find(endpoint);
    if (!session) return 'overflow';
    this.begin(client, endpoint);
    session.serve(client, (stream) => {
      client.connection = stream;
    });
    return 'started';
  }

  private open(client: PoolClient, endpoint: EndpointState): void {
    this.connections++;
    const connection = new UpstreamConnection(this, endpoint, {
      generation: this.generation,
      tls: this.tls,
    });
    connection.client = client;
    client.connection = connection;
  }

  /** Makes room for a connection to a busy endpoint at the cost of an idle one elsewhere. */
  private evictIdle(): void {
    for (const endpoint of this.byName.values()) {
      const idle = endpoint.idle.shift();
      if (!idle) continue;
      idle.close();
      return;
    }
  }
}

/** A failure after so long without one is news. */
const NEWS_MS = 30_000;

/** Latency that a refusal counts as. */
const REFUSAL_MS = 5000;

const closeIdle = (endpoint: EndpointState): void => {
  for (const connection of endpoint.idle.splice(0)) connection.close();
};
