// One request head (RFC 9112 2 to 6): request line, fields and framing, read strictly.
import { isProtectedName, Kind } from './field-names.ts';
import { type FieldFault, FieldSection } from './field-section.ts';

export interface HeadLimits {
  readonly maxHeaderBytes: number;
  readonly maxHeaders: number;
  readonly maxTargetBytes: number;
}

/** A request that is refused before policy sees it. The connection closes after the answer. */
export interface Refusal {
  readonly status: number;
  readonly reason: string;
}

const refusal = (status: number, reason: string): Refusal => ({ status, reason });

export const refusals = {
  requestLine: refusal(400, 'malformed request line'),
  target: refusal(400, 'malformed request target'),
  targetTooLong: refusal(414, 'request target too long'),
  version: refusal(505, 'HTTP version not supported'),
  field: refusal(400, 'malformed header field'),
  alias: refusal(400, 'header name imitates a protected one'),
  tooManyFields: refusal(431, 'too many header fields'),
  tooLarge: refusal(431, 'header fields too large'),
  host: refusal(400, 'exactly one valid Host header is required'),
  misdirected: refusal(421, 'this connection is not for that host'),
  framing: refusal(400, 'ambiguous message framing'),
  coding: refusal(501, 'transfer coding not supported'),
  expectation: refusal(417, 'expectation not supported'),
  duplicate: refusal(400, 'duplicate Authorization header'),
  nomination: refusal(400, 'Connection names a protected header'),
  connect: refusal(501, 'CONNECT is not supported'),
  path: refusal(400, 'path is not allowed by the path policy'),
} as const;

const METHOD = /^[A-Z][A-Z0-9-]{0,31}$/;
const LENGTH = /^[0-9]{1,15}$/;
const VERSION = /^HTTP\/[0-9](?:\.[0-9])?$/;
/** A name that may be nominated by Connection without saying anything. */
const HARMLESS = new Set(['close', 'keep-alive', 'upgrade', 'te', 'trailer', 'http2-settings']);

/** Empty if it is none. The common ones cost no new string. */
const methodIn = (text: string, start: number, end: number): string => {
  if (end - start === 3 && text.startsWith('GET', start)) return 'GET';
  if (end - start === 4 && text.startsWith('POST', start)) return 'POST';
  const method = text.slice(start, end);
  return METHOD.test(method) ? method : '';
};

/** Printable ASCII without `#`: fragments never travel. */
const isTarget = (text: string, start: number, end: number): boolean => {
  for (let i = start; i < end; i++) {
    const code = text.charCodeAt(i);
    if (code < 33 || code > 126 || code === 35) return false;
  }
  return end > start;
};

export class RequestHead {
  readonly fields = new FieldSection({ refusesAliases: true });
  method = '';
  /** As received. */
  target = '';
  /** 0 or 1 of HTTP/1.x. */
  minor = 1;
  /** Content-Length; -1 for chunked; 0 without a body. */
  contentLength = 0;
  /** Value of the Host field; empty if there is none. */
  hostField = '';
  keepAlive = true;
  expectsContinue = false;
  /** The caller asks to switch to WebSocket. */
  upgrades = false;
  acceptsTrailers = false;
  /** Lower-case names nominated by Connection, beside those that are hop-by-hop anyway. */
  nominated: string[] | undefined;

  private closes = false;
  private hosts = 0;
  private lengths = 0;
  private codings = 0;
  private authorizations = 0;
  private connectionUpgrade = false;
  private webSocket = false;

  /** Reads the head that starts at `start` of `text` and is known to end with an empty line. */
  parse(text: string, start: number, limits: HeadLimits): Refusal | undefined {
    this.reset();
    const lineEnd = text.indexOf('\r\n', start);
    const refused = this.parseRequestLine(text, start, lineEnd, limits.maxTargetBytes);
    if (refused) return refused;
    const fault = this.fields.parse(text, lineEnd + 2, limits.maxHeaders);
    if (fault !== undefined) return FAULTS[fault];
    for (let i = 0; i < this.fields.count; i++) {
      const kind = this.fields.kind(i);
      if (kind === Kind.Other) continue;
      const bad = this.note(kind, i);
      if (bad) return bad;
    }
    return this.settle();
  }

  private reset(): void {
    this.method = '';
    this.contentLength = 0;
    this.hostField = '';
    this.expectsContinue = false;
    this.acceptsTrailers = false;
    this.nominated = undefined;
    this.closes = false;
    this.hosts = 0;
    this.lengths = 0;
    this.codings = 0;
    this.authorizations = 0;
    this.connectionUpgrade = false;
    this.webSocket = false;
  }

  private parseRequestLine(
    text: string,
    start: number,
    lineEnd: number,
    maxTarget: number,
  ): Refusal | undefined {
    const methodEnd = text.indexOf(' ', start);
    if (methodEnd < 0 || methodEnd >= lineEnd) return refusals.requestLine;
    const targetEnd = text.indexOf(' ', methodEnd + 1);
    if (targetEnd < 0 || targetEnd >= lineEnd) return refusals.requestLine;
    this.method = methodIn(text, start, methodEnd);
    if (this.method === '') return refusals.requestLine;
    if (targetEnd - methodEnd - 1 > maxTarget) return refusals.targetTooLong;
    if (!isTarget(text, methodEnd + 1, targetEnd)) return refusals.target;
    this.target = text.slice(methodEnd + 1, targetEnd);
    const minor = text.charCodeAt(targetEnd + 8) - 48;
    const isOne = text.startsWith('HTTP/1.', targetEnd + 1) && lineEnd === targetEnd + 9;
    if (!isOne || (minor !== 0 && minor !== 1))
      return VERSION.test(text.slice(targetEnd + 1, lineEnd))
        ? refusals.version
        : refusals.requestLine;
    this.minor = minor;
    this.keepAlive = minor === 1;
    return undefined;
  }

  private note(kind: number, index: number): Refusal | undefined {
    switch (kind) {
      case Kind.Host:
        this.hosts++;
        this.hostField = this.fields.value(index);
        return undefined;
      case Kind.ContentLength:
        this.lengths++;
        return this.noteLength(this.fields.value(index));
      case Kind.TransferEncoding:
        this.codings++;
        return this.noteCoding(this.fields.value(index));
      case Kind.Connection:
        return this.noteConnection(this.fields.value(index));
      case Kind.Authorization:
        return ++this.authorizations > 1 ? refusals.duplicate : undefined;
      case Kind.Expect:
        this.expectsContinue = this.fields.value(index).toLowerCase() === '100-continue';
        return this.expectsContinue ? undefined : refusals.expectation;
      case Kind.Upgrade:
        this.webSocket = this.fields.value(index).toLowerCase() === 'websocket';
        return undefined;
      case Kind.Te:
        this.acceptsTrailers ||= /(?:^|,)[ \t]*trailers[ \t]*(?:,|$)/i.test(
          this.fields.value(index),
        );
        return undefined;
      default:
        return undefined;
    }
  }

  private noteLength(value: string): Refusal | undefined {
    if (!LENGTH.test(value)) return refusals.framing;
    this.contentLength = Number(value);
    return undefined;
  }

  private noteCoding(value: string): Refusal | undefined {
    if (value.toLowerCase() === 'chunked') {
      this.contentLength = -1;
      return undefined;
    }
    return /^(?:gzip|x-gzip|deflate|compress|x-compress)(?:[ \t]*,|$)/i.test(value)
      ? refusals.coding
      : refusals.framing;
  }

  private noteConnection(value: string): Refusal | undefined {
    if (value === 'keep-alive' || value === 'Keep-Alive') {
      this.keepAlive = !this.closes;
      return undefined;
    }
    for (const part of value.toLowerCase().split(',')) {
      const name = part.trim();
      if (name === 'close') {
        this.keepAlive = false;
        this.closes = true;
      } else if (name === 'keep-alive') this.keepAlive ||= !this.closes;
      else if (name === 'upgrade') this.connectionUpgrade = true;
      else if (name !== '' && !HARMLESS.has(name)) {
        if (isProtectedName(name)) return refusals.nomination;
        (this.nominated ??= []).push(name);
      }
    }
    return undefined;
  }

  /** What can only be judged once every field has been seen. */
  private settle(): Refusal | undefined {
    if (this.hosts > 1 || (this.hosts === 0 && this.minor === 1)) return refusals.host;
    if (this.lengths + this.codings > 1) return refusals.framing;
    if (this.codings === 1 && this.minor === 0) return refusals.framing;
    this.upgrades = this.connectionUpgrade && this.webSocket && this.minor === 1;
    if (this.upgrades && this.contentLength !== 0) return refusals.framing;
    if (this.expectsContinue && (this.minor === 0 || this.contentLength === 0))
      this.expectsContinue = false;
    return undefined;
  }
}

const FAULTS: Readonly<Record<FieldFault, Refusal>> = {
  malformed: refusals.field,
  'too-many': refusals.tooManyFields,
  alias: refusals.alias,
};
