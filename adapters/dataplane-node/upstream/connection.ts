// One HTTP/1.1 connection to an endpoint: serves one exchange after the other, and is destroyed as soon as the endpoint says
// anything that it was not asked.
import type { Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { connectStream, type StreamReader } from '../byte-stream.ts';
import { Deadline } from '../deadlines.ts';
import { enterRead, leaveRead, precedes, roundOfWrite } from '../event-rounds.ts';
import { BodyReader } from '../http1/body-reader.ts';
import { ResponseHead } from '../http1/response-head.ts';
import { SocketWriter } from '../socket-writer.ts';
import type { ClientConnection, UpstreamClient, UpstreamFailure } from './client.ts';
import type { EndpointState } from './endpoint.ts';

const MAX_HEAD_BYTES = 65_536;
const FIRST_LOOK = 2048;
/** An answer that nobody wants any more is read to its end, for the connection's sake, up to this size. */
const MAX_DISCARD_BYTES = 65_536;
const MAX_INFORMATIONAL = 8;

const State = { Connecting: 0, Idle: 1, Head: 2, Body: 3, Raw: 4, Closed: 5 } as const;

/** Where the connection belongs. */
export interface ConnectionOwner {
  /** Connected, and handshaken with TLS. */
  onReady(connection: UpstreamConnection): void;
  /** The answer has ended and the connection may serve the next request. */
  onReusable(connection: UpstreamConnection): void;
  onClosed(connection: UpstreamConnection): void;
  readonly connectTimeoutMs: number;
  readonly maxRequestsPerConnection: number;
  arm(deadline: Deadline, inMs: number): void;
  log(message: string, error: unknown): void;
}

export class UpstreamConnection extends Deadline implements StreamReader, ClientConnection {
  readonly owner: ConnectionOwner;
  readonly endpoint: EndpointState;
  /** Of the owner's identity when it was made. */
  readonly generation: number;
  client: UpstreamClient | undefined;
  /** Requests sent so far. */
  requests = 0;
  private readonly socket: Socket;
  private readonly writer: SocketWriter;
  private readonly head = new ResponseHead();
  private readonly body = new BodyReader();
  private state: number = State.Connecting;
  private pendingHead = '';
  private requestDone = true;
  private receivedAny = false;
  /** Of the event loop, in which the request was written. */
  private round = 0;
  private informational = 0;
  private discarding = 0;
  private failure: UpstreamFailure | undefined;

  constructor(
    owner: ConnectionOwner,
    endpoint: EndpointState,
    options: { readonly generation: number; readonly tls: ConnectionOptions | undefined },
  ) {
    super();
    this.owner = owner;
    this.endpoint = endpoint;
    this.generation = options.generation;
    const { address, port } = endpoint;
    this.socket = connectStream({ address, port, tls: options.tls }, this, () => this.connected());
    this.writer = new SocketWriter(this.socket, () => this.onDrain());
    owner.arm(this, owner.connectTimeoutMs);
  }

  get isIdle(): boolean {
    return this.state === State.Idle;
  }

  /** What the endpoint said about idle connections with its last answer. */
  get keepAliveMs(): number {
    return this.head.keepAliveMs;
  }

  get isLastRequest(): boolean {
    const most = this.owner.maxRequestsPerConnection;
    return most > 0 && this.requests >= most;
  }

  /** From here on the client's. */
  serve(client: UpstreamClient, reused: boolean): void {
    this.client = client;
    this.requests++;
    this.state = State.Head;
    this.requestDone = false;
    this.receivedAny = false;
    this.round = reused ? roundOfWrite() : 0;
    this.informational = 0;
    this.discarding = 0;
    client.onConnected(this, reused);
  }

  writeHead(text: string): void {
    this.writer.write(text);
  }

  writeRun(bytes: Buffer, start: number, end: number, chunked: boolean): void {
    this.writer.writeRun(bytes, start, end, chunked);
  }

  /** HTTP/1.1 servers get no trailers: some would take them for headers. */
  writeTrailers(): void {
    this.writer.write('0\r\n\r\n');
  }

  endRequest(): void {
    this.requestDone = true;
  }

  flush(): void {
    this.writer.flush();
  }

  get isFull(): boolean {
    return this.writer.isFull;
  }

  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  /** Raw mode: half-close. */
  endRaw(): void {
    this.writer.end();
  }

  /** The client is no longer interested in the answer, of which the head has been read. */
  discard(): void {
    this.client = undefined;
    if (!this.requestDone || this.state !== State.Body) {
      this.close();
      return;
    }
    this.discarding = MAX_DISCARD_BYTES;
    this.socket.resume();
    this.owner.arm(this, this.owner.connectTimeoutMs);
  }

  /** Gives the client up: nothing is known of what the endpoint made of the request. */
  abandon(): void {
    this.client = undefined;
    // A handshake under way may as well end in an idle connection.
    if (this.state !== State.Connecting) this.close();
  }

  /** At once, as far as the owner is concerned. */
  close(): void {
    this.socket.destroy();
    this.onClose();
  }

  onBytes(bytes: Buffer, length: number): void {
    if (this.state === State.Raw) {
      this.client?.onResponseBytes(bytes, 0, length);
      this.client?.onResponsePause();
      return;
    }
    if (this.state === State.Idle || this.state === State.Connecting) {
      // Nobody asked: whatever it is, it must not become somebody's answer.
      this.close();
      return;
    }
    if (!this.receivedAny && precedes(this.round)) {
      this.close();
      return;
    }
    this.receivedAny = true;
    enterRead();
    const at = this.state === State.Head ? this.readHead(bytes, length) : 0;
    if (this.state === State.Body) this.readBody(bytes, at, length);
    this.client?.onResponsePause();
    leaveRead();
  }

  onDrain(): void {
    this.client?.onUpstreamDrain();
  }

  onEnd(): void {
    if (this.state === State.Raw) {
      this.client?.onUpstreamEnd();
      return;
    }
    if (this.state === State.Body && this.head.bodyLength === Number.POSITIVE_INFINITY) {
      this.finish(false);
      return;
    }
    this.socket.destroy();
  }

  onDefect(error: unknown): void {
    leaveRead();
    this.owner.log('upstream connection failed', error);
    this.fail('protocol');
  }

  onClose(): void {
    if (this.state === State.Closed) return;
    const state = this.state;
    this.state = State.Closed;
    this.owner.onClosed(this);
    const client = this.client;
    this.client = undefined;
    client?.onUpstreamFailure(this.failure ?? this.failureIn(state));
  }

  onDue(): void {
    if (this.state === State.Connecting) this.failure = 'connect-timeout';
    if (this.client === undefined || this.state === State.Connecting) this.close();
  }

  private failureIn(state: number): UpstreamFailure {
    if (state === State.Connecting) return 'connect';
    return this.receivedAny ? 'partial' : 'reset';
  }

  private connected(): void {
    this.owner.arm(this, Number.POSITIVE_INFINITY);
    this.state = State.Idle;
    this.owner.onReady(this);
  }

  /** Returns where the body starts; the state says whether the head was complete. */
  private readHead(bytes: Buffer, length: number): number {
    let at = 0;
    for (;;) {
      const before = this.pendingHead.length;
      let text = this.pendingHead + bytes.latin1Slice(at, Math.min(length, at + FIRST_LOOK));
      let end = text.indexOf('\r\n\r\n');
      if (end < 0 && length - at > FIRST_LOOK) {
        text = this.pendingHead + bytes.latin1Slice(at, length);
        end = text.indexOf('\r\n\r\n');
      }
      if (end < 0) {
        this.pendingHead = text;
        if (text.length > MAX_HEAD_BYTES) this.fail('protocol');
        return length;
      }
      this.pendingHead = '';
      at += end + 4 - before;
      const client = this.client;
      if (client === undefined || !this.head.parse(text, client.method)) {
        this.fail('protocol');
        return length;
      }
      if (this.head.status >= 200) {
        this.state = State.Body;
        this.body.start(this.head.bodyLength);
        client.onResponseHead(this.head);
        return at;
      }
      if (!this.readInformational(client, bytes, at, length)) return length;
      if (at === length) return length;
    }
  }

  /** Whether the final head is still to be read. */
  private readInformational(
    client: UpstreamClient,
    bytes: Buffer,
    at: number,
    length: number,
  ): boolean {
    if (this.head.status === 101) {
      if (!this.head.switches) this.fail('protocol');
      else {
        this.state = State.Raw;
        client.onSwitched(this.head, bytes, at, length);
      }
      return false;
    }
    if (++this.informational > MAX_INFORMATIONAL) {
      this.fail('protocol');
      return false;
    }
    if (this.head.status !== 100) client.onInformational(this.head);
    return this.client === client;
  }

  private readBody(bytes: Buffer, from: number, length: number): void {
    const body = this.body;
    let at = from;
    while (at < length && !body.done) {
      at = body.read(bytes, at, length);
      if (body.fault !== undefined) {
        this.fail('protocol');
        return;
      }
      if (body.dataEnd === body.dataStart) continue;
      if (this.discarding > 0 && (this.discarding -= body.dataEnd - body.dataStart) <= 0)
        this.close();
      this.client?.onResponseBytes(bytes, body.dataStart, body.dataEnd);
      if (this.state !== State.Body) return;
    }
    // More bytes than the answer has: it is complete, but the connection cannot be believed any more.
    if (body.done) this.finish(at === length);
  }

  private finish(clean: boolean): void {
    const client = this.client;
    this.client = undefined;
    const isReusable = clean && this.requestDone && this.head.keepAlive && !this.isLastRequest;
    if (isReusable && !this.socket.destroyed) {
      this.state = State.Idle;
      this.owner.onReusable(this);
    } else {
      this.state = State.Closed;
      this.socket.destroy();
      this.owner.onClosed(this);
    }
    client?.onResponseEnd(this.body.trailers);
    client?.onResponsePause();
  }

  private fail(failure: UpstreamFailure): void {
    this.failure = failure;
    this.close();
  }
}
