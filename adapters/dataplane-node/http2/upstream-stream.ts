// One HTTP/2 stream to an endpoint: one request and its answer, seen by its client like an HTTP/1.1 connection.
import { type ClientHttp2Stream, constants } from 'node:http2';
import { Duplex } from 'node:stream';
import type { FieldSection } from '../http1/field-section.ts';
import { ResponseHead } from '../http1/response-head.ts';
import { keptBytes } from '../shared-buffer.ts';
import type { ClientConnection, UpstreamClient, UpstreamFailure } from '../upstream/client.ts';
import {
  type FieldList,
  isOpenEnded,
  isSound,
  responseText,
  switchesProtocol,
  trailerFields,
  trailersOf,
  writtenRequest,
} from './head-text.ts';

const END_STREAM = 1;
const MAX_INFORMATIONAL = 8;
/** `close` with a code would end the body properly first. */
const cutOff = new Error('the request cannot be completed');
const ignore = (): void => {};

const ENDED = Symbol('ended');
type Noted = ClientHttp2Stream & { [ENDED]?: boolean };
/**
 * The endpoint itself said where its answer ends: a reset without an error looks like an end, too, but only what comes before it is one.
 * One function for all streams, in place of their own `push`.
 */
function pushAndNote(this: Noted, chunk: unknown, encoding?: BufferEncoding): boolean {
  if (chunk === null && !this.closed) this[ENDED] = true;
  return Duplex.prototype.push.call(this, chunk, encoding);
}

/** The session that the stream belongs to. */
export interface StreamOwner {
  readonly scheme: 'http' | 'https';
  request(list: readonly string[], options: RequestOptions): ClientHttp2Stream;
  /** The stream is over. */
  forget(stream: UpstreamStream): void;
  /** Nothing came back for so long that somebody gave up. */
  doubt(): void;
}

export interface RequestOptions {
  readonly endStream: boolean;
  readonly waitForTrailers: boolean;
}

export class UpstreamStream implements ClientConnection {
  readonly isLastRequest = false;
  client: UpstreamClient | undefined;
  private readonly owner: StreamOwner;
  private readonly method: string;
  private stream: ClientHttp2Stream | undefined;
  private readonly head = new ResponseHead();
  private hasHead = false;
  private isOver = false;
  private isRequestDone = false;
  private isRequestSent = false;
  private informational = 0;
  /** Declared bytes of the answer still to come; Infinity when it has not been said. */
  private left = Number.POSITIVE_INFINITY;
  private trailers: FieldSection | undefined;
  private heldHead = '';
  private held: Buffer[] = [];
  private requestTrailers = '';

  constructor(owner: StreamOwner, client: UpstreamClient) {
    this.owner = owner;
    this.client = client;
    this.method = client.method;
  }

  /** The session is there. */
  serve(reused: boolean): void {
    this.client?.onConnected(this, reused);
  }

  /** There is no session, or no longer. */
  fail(failure: UpstreamFailure): void {
    if (this.isOver) return;
    this.isOver = true;
    const { client, stream } = this;
    this.client = undefined;
    this.owner.forget(this);
    if (stream && !stream.destroyed) stream.destroy(cutOff);
    client?.onUpstreamFailure(failure);
  }

  // What the client asks for.

  get isFull(): boolean {
    return this.stream?.writableNeedDrain === true;
  }

  writeHead(text: string): void {
    this.heldHead = text;
  }

  writeRun(bytes: Buffer, start: number, end: number): void {
    if (end > start) this.held.push(keptBytes(bytes, start, end));
  }

  writeTrailers(lines: string): void {
    this.requestTrailers = lines;
  }

  endRequest(): void {
    this.isRequestDone = true;
  }

  flush(): void {
    if (this.isOver || this.isRequestSent) return;
    const isWhole = this.isRequestDone && this.held.length === 0 && this.requestTrailers === '';
    if (this.heldHead !== '' && !this.sendHead(isWhole)) return;
    const { stream } = this;
    if (!stream || stream.writableEnded) return;
    const bytes = this.takeHeld();
    if (this.isRequestDone) {
      this.isRequestSent = true;
      if (bytes) stream.end(bytes);
      else stream.end();
    } else if (bytes) {
      const wasFull = this.isFull;
      if (!stream.write(bytes) && !wasFull)
        stream.once('drain', () => this.client?.onUpstreamDrain());
    }
  }

  pause(): void {
    this.stream?.pause();
  }

  resume(): void {
    this.stream?.resume();
  }

  endRaw(): void {}

  discard(): void {
    this.leave();
  }

  abandon(): void {
    if (this.isOver) return;
    if (this.stream && !this.hasHead) this.owner.doubt();
    this.leave();
  }

  // What the endpoint says.

  private onHead(list: FieldList, flags: number): void {
    const { head, client } = this;
    if (!client || !this.read(list)) {
      this.fail('protocol');
      return;
    }
    if (head.status < 200) {
      this.fail('protocol');
      return;
    }
    this.hasHead = true;
    if ((flags & END_STREAM) !== 0) head.bodyLength = 0;
    else if (head.bodyLength !== 0) this.left = head.bodyLength;
    client.onResponseHead(head);
  }

  private onInformational(list: FieldList): void {
    const { head, client } = this;
    if (!client || this.hasHead) return;
    if (!this.read(list) || head.status === 101 || ++this.informational > MAX_INFORMATIONAL)
      this.fail('protocol');
    else if (head.status !== 100) client.onInformational(head);
  }

  private onBytes(bytes: Buffer): void {
    const { client } = this;
    if (!client) return;
    this.left -= bytes.length;
    if (this.left < 0) {
      this.fail('protocol');
      return;
    }
    client.onResponseBytes(bytes, 0, bytes.length);
    this.client?.onResponsePause();
  }

  private onEnd(): void {
    const { client, stream } = this;
    if (!client || this.isOver) return;
    const isShort = this.left > 0 && this.left !== Number.POSITIVE_INFINITY;
    if ((stream as Noted | undefined)?.[ENDED] !== true || isShort) {
      this.fail(this.hasHead ? 'partial' : 'reset');
      return;
    }
    this.isOver = true;
    this.client = undefined;
    this.owner.forget(this);
    // Nobody needs the rest of the request any more; it must not look complete.
    if (stream && !this.isRequestSent) stream.destroy(cutOff);
    client.onResponseEnd(this.trailers);
    this.trailers?.release();
    this.trailers = undefined;
    client.onResponsePause();
  }

  private onTrailers(list: FieldList): void {
    this.trailers = trailersOf(list);
    if (!this.trailers) this.fail('protocol');
  }

  /** In case nothing else has said so before. */
  private onClose(stream: ClientHttp2Stream): void {
    const isUntouched =
      stream.id === undefined || stream.rstCode === constants.NGHTTP2_REFUSED_STREAM;
    if (this.hasHead) this.fail('partial');
    else this.fail(isUntouched ? 'refused' : 'reset');
    this.head.fields.release();
  }

  // Reading and writing.

  private read(list: FieldList): boolean {
    const written = responseText(list);
    if (!written || !this.head.parse(written.text, this.method)) return false;
    return isSound(written, this.head.fields);
  }

  private sendHead(isWhole: boolean): boolean {
    const text = this.heldHead;
    this.heldHead = '';
    if (switchesProtocol(text)) {
      this.fail('protocol');
      return false;
    }
    const list = writtenRequest(text, this.owner.scheme);
    // Calls of gRPC have no trailers of their own, and waiting for some costs a frame.
    const waitForTrailers =
      isOpenEnded(text) && !isWhole && !text.includes('\r\ncontent-type: application/grpc');
    const stream = this.owner.request(list, { endStream: isWhole, waitForTrailers });
    this.stream = stream;
    this.isRequestSent = isWhole;
    this.listen(stream);
    if (waitForTrailers)
      stream.on('wantTrailers', () => stream.sendTrailers(trailerFields(this.requestTrailers)));
    return true;
  }

  private listen(stream: ClientHttp2Stream): void {
    stream.push = pushAndNote;
    stream.on('response', (_fields, flags, list?: FieldList) => this.onHead(list ?? [], flags));
    stream.on('headers', (_fields, _flags, list?: FieldList) => this.onInformational(list ?? []));
    stream.on('trailers', (_fields, _flags, list?: FieldList) => this.onTrailers(list ?? []));
    stream.on('data', (bytes: Buffer) => this.onBytes(bytes));
    stream.on('end', () => this.onEnd());
    stream.on('error', ignore);
    stream.on('close', () => this.onClose(stream));
  }

  /** The client has gone. */
  private leave(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.client = undefined;
    this.owner.forget(this);
    const { stream } = this;
    if (!stream) return;
    if (this.isRequestSent) stream.close(constants.NGHTTP2_CANCEL);
    else stream.destroy(cutOff);
  }

  private takeHeld(): Buffer | undefined {
    const { held } = this;
    if (held.length === 0) return undefined;
    this.held = [];
    return held.length === 1 ? held[0] : Buffer.concat(held);
  }
}
