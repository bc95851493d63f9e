// The head of the answer that the caller gets.
import type { Exchange, Respond } from '#engine/pipeline/exchange.ts';
import { errorBody, phraseOf } from '../downstream/local-reply.ts';
import { safeValue } from '../http1/ascii.ts';
import { Kind } from '../http1/field-names.ts';
import type { FieldSection } from '../http1/field-section.ts';
import { type Drops, dropsOf, editLines, keptFields, responseKeeps } from '../http1/head-writer.ts';
import type { ResponseHead } from '../http1/response-head.ts';

/** How the body of an answer is delimited towards the caller. */
export type Framing =
  | { readonly type: 'none' }
  | { readonly type: 'length'; readonly bytes: number }
  | { readonly type: 'chunked' }
  | { readonly type: 'close' };

const NO_BODY: Framing = { type: 'none' };
const EMPTY: Framing = { type: 'length', bytes: 0 };
const CHUNKED: Framing = { type: 'chunked' };
const CLOSE: Framing = { type: 'close' };

export const framingOf = (head: ResponseHead, method: string, minor: number): Framing => {
  const { bodyLength, declaredLength, status } = head;
  if (bodyLength > 0 && bodyLength !== Number.POSITIVE_INFINITY)
    return { type: 'length', bytes: bodyLength };
  if (bodyLength !== 0) return minor === 0 ? CLOSE : CHUNKED;
  if (status < 200 || status === 204) return NO_BODY;
  if (declaredLength > 0) return { type: 'length', bytes: declaredLength };
  return method === 'HEAD' || status === 304 ? NO_BODY : EMPTY;
};

export interface ResponseFacts {
  readonly framing: Framing;
  /** 0 or 1: what the caller speaks. */
  readonly minor: number;
  readonly staysOpen: boolean;
}

const framingLine = (framing: Framing): string => {
  if (framing.type === 'length') return `content-length: ${framing.bytes}\r\n`;
  return framing.type === 'chunked' ? 'transfer-encoding: chunked\r\n' : '';
};

const connectionLine = ({ minor, staysOpen }: ResponseFacts): string => {
  if (!staysOpen) return 'connection: close\r\n';
  return minor === 0 ? 'connection: keep-alive\r\n' : '';
};

const responseDrops = (exchange: Exchange, nominated: readonly string[] | undefined): Drops => {
  const { responseHeaders } = exchange;
  if (!responseHeaders.some((each, i) => i % 2 === 0 && each.toLowerCase() === 'set-cookie'))
    return dropsOf(responseHeaders, exchange.removeResponseHeaders, nominated);
  const replaced: string[] = [];
  for (let i = 0; i < responseHeaders.length; i += 2)
    if ((responseHeaders[i] as string).toLowerCase() !== 'set-cookie')
      replaced.push(responseHeaders[i] as string, '');
  return dropsOf(replaced, exchange.removeResponseHeaders, nominated);
};

/** An upstream's head with policy's changes. */
export const downstreamHead = (
  head: ResponseHead,
  exchange: Exchange,
  facts: ResponseFacts,
): string =>
  `HTTP/1.1 ${head.status} ${head.reason}\r\n` +
  keptFields(head.fields, responseKeeps, responseDrops(exchange, head.nominated)) +
  (exchange.responseHeaders.length === 0 ? '' : editLines(exchange.responseHeaders)) +
  framingLine(facts.framing) +
  connectionLine(facts) +
  '\r\n';

/** 102, 103. */
export const informationalHead = (head: ResponseHead): string =>
  `HTTP/1.1 ${head.status} ${head.reason}\r\n${keptFields(head.fields, responseKeeps, dropsOf([], [], head.nominated))}\r\n`;

export const switchingHead = (head: ResponseHead, exchange: Exchange): string =>
  `HTTP/1.1 101 ${head.reason}\r\n` +
  keptFields(head.fields, responseKeeps, responseDrops(exchange, undefined)) +
  editLines(exchange.responseHeaders) +
  'connection: upgrade\r\nupgrade: websocket\r\n\r\n';

/** Trailers say nothing about framing, routing or who is who. */
export const trailerLines = (trailers: FieldSection): string => {
  let lines = '';
  for (let i = 0; i < trailers.count; i++)
    if (trailers.kind(i) === Kind.Other) lines += trailers.line(i);
  return lines;
};

export interface LocalFacts {
  readonly method: string;
  readonly minor: number;
  readonly staysOpen: boolean;
  readonly requestId: string;
  readonly nowMs: number;
}

let dateAt = -1;
let dateLine = '';
/** Rendered once per second. */
const dateOf = (nowMs: number): string => {
  const second = Math.floor(nowMs / 1000);
  if (second !== dateAt) {
    dateAt = second;
    dateLine = `date: ${new Date(second * 1000).toUTCString()}\r\n`;
  }
  return dateLine;
};

/** Head and body of a local reply, the body as Latin-1 text. */
export const localReply = (
  reply: Respond,
  facts: LocalFacts,
): { readonly head: string; readonly body: string } => {
  const { status } = reply;
  const hasNoBody = status < 200 || status === 204 || status === 304;
  const plain = reply.body ?? errorBody(reply.error, reply.reason, facts.requestId);
  // Head and body leave as one Latin-1 string, so UTF-8 is spelled out byte by byte.
  const body = hasNoBody ? '' : Buffer.from(plain, 'utf8').latin1Slice();
  const type =
    hasNoBody || body === ''
      ? ''
      : `content-type: ${safeValue(reply.contentType ?? 'application/json')}\r\n`;
  const head =
    `HTTP/1.1 ${status} ${phraseOf(status)}\r\n` +
    type +
    editLines(reply.headers) +
    (reply.exchange ? editLines(reply.exchange.responseHeaders) : '') +
    dateOf(facts.nowMs) +
    (hasNoBody ? '' : `content-length: ${body.length}\r\n`) +
    connectionLine({ framing: { type: 'none' }, ...facts }) +
    '\r\n';
  return { head, body: facts.method === 'HEAD' ? '' : body };
};
