// What Weir itself answers.
import type { Respond } from '#engine/pipeline/exchange.ts';
import type { Refusal } from '../http1/request-head.ts';

const ERRORS: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  413: 'Content Too Large',
  414: 'URI Too Long',
  417: 'Expectation Failed',
  421: 'Misdirected Request',
  426: 'Upgrade Required',
  429: 'Too Many Requests',
  431: 'Request Header Fields Too Large',
  499: 'Client Closed Request',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
  505: 'HTTP Version Not Supported',
};

const PHRASES: Readonly<Record<number, string>> = {
  ...ERRORS,
  200: 'OK',
  201: 'Created',
  202: 'Accepted',
  204: 'No Content',
  206: 'Partial Content',
  301: 'Moved Permanently',
  302: 'Found',
  303: 'See Other',
  304: 'Not Modified',
  307: 'Temporary Redirect',
  308: 'Permanent Redirect',
};

export const phraseOf = (status: number): string => PHRASES[status] ?? '';

/** `{"error", "reason", "requestId"}` */
export const errorBody = (error: string, reason: string, requestId: string): string =>
  JSON.stringify({ error, reason, requestId });

/** The data plane's own failures, in the shape of a pipeline's. */
export const failure = (
  status: number,
  reason: string,
  flag: string,
  headers: readonly string[] = [],
): Respond => ({
  type: 'respond',
  status,
  error: phraseOf(status) || 'Error',
  reason,
  flag,
  headers,
});

export const refused = (refusal: Refusal): Respond =>
  failure(refusal.status, refusal.reason, 'DPE');

/** The event loop is late: a quick no is better than a slow yes. */
export const overloaded: Respond = failure(503, 'overloaded, try again later', 'OM', [
  'retry-after',
  '1',
]);

export const httpsRedirect = (request: {
  readonly host: string;
  readonly path: string;
  readonly query: string;
}): Respond => ({
  ...failure(308, 'use https', ''),
  headers: [
    'location',
    `https://${request.host}${request.path}${request.query === '' ? '' : `?${request.query}`}`,
  ],
});
