// HTTP/2 connections of one upstream: as few as serve its requests.
import type { ConnectionOptions } from 'node:tls';
import type { Upstream } from '#engine/model/snapshot.ts';
import type { Deadline } from '../deadlines.ts';
import type { EndpointState } from '../upstream/endpoint.ts';
import { type SessionOwner, UpstreamSession } from './upstream-session.ts';

/** The upstream that the pool is part of. */
export interface PoolHost {
  readonly plan: Upstream;
  readonly tlsOptions: ConnectionOptions | undefined;
  /** Open connections, counted together with those of HTTP/1.1. */
  connections: number;
  arm(deadline: Deadline, inMs: number): void;
}

export class SessionPool implements SessionOwner {
  private readonly host: PoolHost;
  private readonly sessions = new Map<EndpointState, UpstreamSession[]>();

  constructor(host: PoolHost) {
    this.host = host;
  }

  get connectTimeoutMs(): number {
    return this.host.plan.pool.connectTimeoutMs;
  }

  get maxRequestsPerConnection(): number {
    return this.host.plan.pool.maxRequestsPerConnection;
  }

  get idleTimeoutMs(): number {
    return this.host.plan.pool.idleTimeoutMs;
  }

  /** Undefined when one more request would go beyond the limits. */
  find(endpoint: EndpointState): UpstreamSession | undefined {
    const known = this.sessions.get(endpoint) ?? [];
    const free = known.find((session) => session.hasRoom);
    if (free) return free;
    const { pool } = this.host.plan;
    if (this.host.connections < pool.maxConnections) return this.open(endpoint, known);
    // Waits for its turn where the fewest wait.
    const busy = known.filter((session) => session.isOpen).sort((a, b) => a.active - b.active)[0];
    return busy !== undefined && this.waitingIn(known) < pool.maxPendingRequests ? busy : undefined;
  }

  /** No more requests for the endpoint, or for any. */
  leave(endpoint?: EndpointState): void {
    const leaving = endpoint ? this.sessions.get(endpoint) : [...this.sessions.values()].flat();
    for (const session of leaving ?? []) session.leave();
  }

  onSessionReady(): void {}

  onSessionClosed(session: UpstreamSession): void {
    this.host.connections--;
    const rest = (this.sessions.get(session.endpoint) ?? []).filter((each) => each !== session);
    if (rest.length > 0) this.sessions.set(session.endpoint, rest);
    else this.sessions.delete(session.endpoint);
  }

  arm(deadline: Deadline, inMs: number): void {
    this.host.arm(deadline, inMs);
  }

  private waitingIn(sessions: readonly UpstreamSession[]): number {
    return sessions.reduce((sum, session) => sum + session.waiting, 0);
  }

  private open(endpoint: EndpointState, known: readonly UpstreamSession[]): UpstreamSession {
    this.host.connections++;
    const session = new UpstreamSession(this, endpoint, this.host.tlsOptions);
    this.sessions.set(endpoint, [...known, session]);
    return session;
  }
}
