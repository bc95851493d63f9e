// Wraps JSON answers: `{"data": ..., "meta": {"version", "timestamp"}}`. The body inside stays byte for byte as it was.

import type { ResponseView } from '../../pipeline/exchange.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Filter, FilterExchange, FilterKind } from '../filter.ts';

export const envelope: FilterKind = {
  name: 'envelope',
  create({ envelope: plan }, { deps: { clock } }) {
    if (!plan) return undefined;
    const filter: Filter = {
      response(exchange, response) {
        // These describe the body as it was.
        if (isWrapped(exchange, response)) exchange.removeResponseHeaders.push(...stale);
      },
      body: {
        maxBytes: plan.maxBytes,
        wants: isWrapped,
        transform: (body) => wrap(body, plan.version, clock),
      },
    };
    return filter;
  },
};

const stale = ['etag', 'content-md5', 'digest', 'content-digest', 'repr-digest', 'accept-ranges'];

const bodiless = new Set([204, 205, 206]);

/** HEAD too: it has no body to wrap, but the length that it tells of is another. */
const isWrapped = (_exchange: FilterExchange, response: ResponseView): boolean =>
  response.status >= 200 &&
  response.status < 300 &&
  !bodiless.has(response.status) &&
  isPlain(response.header('content-encoding')) &&
  isJson(response.header('content-type'));

const isPlain = (encoding: string | undefined): boolean =>
  encoding === undefined || encoding.toLowerCase() === 'identity';

/** `application/json` and `application/x+json` in UTF-8; streams of JSON are not JSON. */
const isJson = (contentType: string | undefined): boolean => {
  if (contentType === undefined) return false;
  const [type = '', ...parameters] = contentType.toLowerCase().split(';');
  return (
    /^\s*application\/([a-z0-9.!#$&^_-]+\+)?json\s*$/.test(type) &&
    parameters.every((each) => !/^\s*charset\s*=/.test(each) || /utf-?8/.test(each))
  );
};

const wrap = (body: Uint8Array, version: string, clock: Clock): Uint8Array | undefined => {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body);
    JSON.parse(text);
  } catch {
    return undefined;
  }
  const meta = JSON.stringify({ version, timestamp: clock.now() });
  return new TextEncoder().encode(`{"data":${text},"meta":${meta}}`);
};
