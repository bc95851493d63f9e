// The head of the request that the upstream gets.
import type { Forward } from '#engine/pipeline/exchange.ts';
import type { DownstreamRequest } from '../downstream/request-view.ts';
import {
  type Drops,
  dropsOf,
  editLines,
  keptFields,
  noDrops,
  requestKeeps,
  safeTarget,
  trustedRequestKeeps,
} from '../http1/head-writer.ts';

/** Whether policy writes the field itself. */
const sets = (edits: readonly string[], name: string): boolean => {
  for (let i = 0; i < edits.length; i += 2)
    if ((edits[i] as string).toLowerCase() === name) return true;
  return false;
};

const forwardedLines = (request: DownstreamRequest, edits: readonly string[]): string => {
  const { fields } = request.head;
  const isTrusted = request.comesFromProxy;
  let lines = '';
  if (!sets(edits, 'x-forwarded-for')) {
    const before = isTrusted ? fields.all('x-forwarded-for') : [];
    const chain = before.length === 0 ? '' : `${before.join(', ')}, `;
    lines = `x-forwarded-for: ${chain}${request.peerAddress}\r\n`;
  }
  const keeps = (name: string): boolean => isTrusted && fields.find(name, 0) >= 0;
  if (!keeps('x-forwarded-proto') && !sets(edits, 'x-forwarded-proto'))
    lines += `x-forwarded-proto: ${request.scheme}\r\n`;
  if (!keeps('x-forwarded-host') && !sets(edits, 'x-forwarded-host') && request.authority !== '')
    lines += `x-forwarded-host: ${request.authority}\r\n`;
  return lines;
};

/** Names of the client's fields that do not travel. */
const requestDrops = (request: DownstreamRequest, forward: Forward): Drops => {
  const { setHeaders, removeHeaders } = forward.exchange;
  const { nominated } = request.head;
  return setHeaders.length + removeHeaders.length === 0 && nominated === undefined
    ? noDrops
    : dropsOf(setHeaders, removeHeaders, nominated);
};

const framingLines = (request: DownstreamRequest): string => {
  const { head } = request;
  if (head.contentLength > 0) return `content-length: ${head.contentLength}\r\n`;
  if (head.contentLength < 0) return 'transfer-encoding: chunked\r\n';
  // A method that expects a body says that there is none (RFC 9110 8.6).
  return head.method === 'POST' || head.method === 'PUT' || head.method === 'PATCH'
    ? 'content-length: 0\r\n'
    : '';
};

const connectionLines = (request: DownstreamRequest, isLast: boolean): string => {
  if (request.head.upgrades) return 'connection: upgrade\r\nupgrade: websocket\r\n';
  const te = request.head.acceptsTrailers ? 'te: trailers\r\n' : '';
  if (isLast) return `connection: close\r\n${te}`;
  return te === '' ? '' : `connection: te\r\n${te}`;
};

/** What a caller without Host could only have meant. */
const nameOf = (service: string): string => service.slice(service.indexOf('/') + 1);

/** `isLast`: the connection is not to be used again. */
export const upstreamHead = (
  request: DownstreamRequest,
  forward: Forward,
  requestId: string,
  isLast: boolean,
): string => {
  const { setHeaders } = forward.exchange;
  const host = forward.host ?? (request.authority || nameOf(forward.upstream.service));
  const keeps = request.comesFromProxy ? trustedRequestKeeps : requestKeeps;
  return (
    `${request.method} ${safeTarget(forward.target)} HTTP/1.1\r\nhost: ${host}\r\n` +
    keptFields(request.head.fields, keeps, requestDrops(request, forward)) +
    (setHeaders.length === 0 ? '' : editLines(setHeaders)) +
    forwardedLines(request, setHeaders) +
    (sets(setHeaders, 'x-request-id') ? '' : `x-request-id: ${requestId}\r\n`) +
    framingLines(request) +
    connectionLines(request, isLast) +
    '\r\n'
  );
};
