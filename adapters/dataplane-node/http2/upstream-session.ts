// One HTTP/2 connection to an endpoint, shared by many requests.
import http2, { type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2';
import net from 'node:net';
import tls from 'node:tls';
import { Deadline } from '../deadlines.ts';
import type { UpstreamClient, UpstreamFailure } from '../upstream/client.ts';
import type { EndpointState } from '../upstream/endpoint.ts';
import { CONNECTION_WINDOW, upstreamOptions } from './session-options.ts';
import { type RequestOptions, type StreamOwner, UpstreamStream } from './upstream-stream.ts';

/** Until the endpoint has said how many it takes. */
const FIRST_STREAMS = 100;
/** An endpoint that does not answer a PING for so long is gone. */
const PING_MS = 5000;

/** Where the session belongs. */
export interface SessionOwner {
  readonly connectTimeoutMs: number;
  readonly maxRequestsPerConnection: number;
  /** 0 keeps it for ever. */
  readonly idleTimeoutMs: number;
  onSessionReady(session: UpstreamSession): void;
  /** Last call. */
  onSessionClosed(session: UpstreamSession): void;
  arm(deadline: Deadline, inMs: number): void;
}

export class UpstreamSession extends Deadline implements StreamOwner {
  readonly endpoint: EndpointState;
  readonly scheme: 'http' | 'https';
  private readonly owner: SessionOwner;
  private readonly session: ClientHttp2Session;
  private readonly streams = new Set<UpstreamStream>();
  private maxStreams = FIRST_STREAMS;
  private requests = 0;
  private isReady = false;
  private isLeaving = false;
  private isClosed = false;
  private isDoubted = false;
  private failure: UpstreamFailure = 'connect';

  constructor(
    owner: SessionOwner,
    endpoint: EndpointState,
    tlsOptions: tls.ConnectionOptions | undefined,
  ) {
    super();
    this.owner = owner;
    this.endpoint = endpoint;
    this.scheme = tlsOptions ? 'https' : 'http';
    const { address: host, port } = endpoint;
    const session = http2.connect(`${this.scheme}://${endpoint.name}`, {
      ...upstreamOptions,
      createConnection: () =>
        tlsOptions ? tls.connect({ ...tlsOptions, host, port }) : net.connect({ host, port }),
    });
    this.session = session;
    session.on('connect', (_session, socket) => this.onConnect(socket));
    session.on('remoteSettings', ({ maxConcurrentStreams }) => {
      this.maxStreams = maxConcurrentStreams ?? Number.POSITIVE_INFINITY;
    });
    session.on('goaway', () => {
      this.isLeaving = true;
    });
    session.on('stream', (stream) => stream.close(http2.constants.NGHTTP2_REFUSED_STREAM));
    // Whatever it was, `close` follows.
    session.on('error', () => {});
    session.on('close', () => this.onClose());
    owner.arm(this, owner.connectTimeoutMs);
  }

  get active(): number {
    return this.streams.size;
  }

  /** Beyond what the endpoint takes at a time. */
  get waiting(): number {
    return Math.max(0, this.streams.size - this.maxStreams);
  }

  /** May be given one more request. */
  get isOpen(): boolean {
    return !this.isLeaving && !this.isClosed && !this.session.closed;
  }

  get hasRoom(): boolean {
    return this.isOpen && this.streams.size < this.maxStreams;
  }

  /** `onConnected` may come before this returns. The stream is the client's connection. */
  serve(client: UpstreamClient, take: (stream: UpstreamStream) => void): void {
    const stream = new UpstreamStream(this, client);
    this.streams.add(stream);
    this.requests++;
    const most = this.owner.maxRequestsPerConnection;
    if (most > 0 && this.requests >= most) this.isLeaving = true;
    take(stream);
    if (!this.isReady) return;
    this.owner.arm(this, Number.POSITIVE_INFINITY);
    stream.serve(this.requests > 1);
  }

  request(list: readonly string[], options: RequestOptions): ClientHttp2Stream {
    return this.session.request(list, options);
  }

  forget(stream: UpstreamStream): void {
    if (!this.streams.delete(stream) || this.streams.size > 0 || this.isClosed) return;
    if (this.isReady) this.rest();
  }

  /** Nothing is under way. */
  private rest(): void {
    if (this.isLeaving) this.session.close();
    else this.owner.arm(this, this.owner.idleTimeoutMs || Number.POSITIVE_INFINITY);
  }

  /** No more requests; those under way are finished. */
  leave(): void {
    this.isLeaving = true;
    if (this.streams.size === 0) this.session.close();
  }

  close(): void {
    this.session.destroy();
  }

  doubt(): void {
    if (this.isDoubted || this.isClosed) return;
    this.isDoubted = true;
    const isAsked = this.session.ping(() => {
      this.isDoubted = false;
      if (!this.isClosed && this.streams.size > 0) this.owner.arm(this, Number.POSITIVE_INFINITY);
    });
    if (isAsked) this.owner.arm(this, PING_MS);
    else this.close();
  }

  onDue(): void {
    if (!this.isReady) {
      this.failure = 'connect-timeout';
      this.close();
    } else if (this.isDoubted) this.close();
    else if (this.streams.size === 0) this.leave();
  }

  private onConnect(socket: net.Socket | tls.TLSSocket): void {
    if (this.isClosed) return;
    if (socket instanceof tls.TLSSocket && socket.alpnProtocol !== 'h2') {
      this.failure = 'protocol';
      this.close();
      return;
    }
    this.isReady = true;
    this.failure = 'reset';
    this.session.setLocalWindowSize(CONNECTION_WINDOW);
    this.owner.onSessionReady(this);
    if (this.streams.size === 0) this.rest();
    else this.owner.arm(this, Number.POSITIVE_INFINITY);
    // Others may come while these are served.
    const waiting = [...this.streams];
    for (const stream of waiting) stream.serve(false);
  }

  private onClose(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.owner.arm(this, Number.POSITIVE_INFINITY);
    this.owner.onSessionClosed(this);
    // Streams that reached the endpoint have said themselves what became of them.
    const left = [...this.streams];
    for (const stream of left) stream.fail(this.failure);
  }
}
