// HTTP calls with every limit that an address out of a policy calls for. Certificates are checked against the system's
// authorities and those in the file that NODE_EXTRA_CA_CERTS names.
import { isIP } from 'node:net';
import { Agent, request as send } from 'undici';
import type { Web, WebAnswer, WebRequest } from '#engine/ports/web.ts';
import { guardedLookup } from './guarded-lookup.ts';
import { type BreakerOptions, OriginBreakers } from './origin-breakers.ts';
import { Abandoned, readBody, UselessAnswer } from './read-body.ts';
import { isRefusedAddress } from './refused-address.ts';

export interface WebOptions {
  /** Which IP addresses may be asked. Default: all but link-local, metadata, multicast and reserved ones. */
  readonly allow?: (address: string) => boolean;
  readonly breaker?: BreakerOptions;
}

const MAX_BYTES = 64 * 1024;
const CONNECTIONS_PER_ORIGIN = 128;

export const createWeb = (options: WebOptions = {}): Web => {
  const isAllowed = options.allow ?? ((address) => !isRefusedAddress(address));
  const dispatcher = new Agent({
    connect: { lookup: guardedLookup(isAllowed) },
    connections: CONNECTIONS_PER_ORIGIN,
    keepAliveTimeout: 4000,
    maxHeaderSize: 32 * 1024,
  });

  const exchange = async (request: WebRequest, signal: AbortSignal): Promise<WebAnswer> => {
    const { maxBytes = MAX_BYTES } = request;
    const { statusCode, headers, body } = await send(request.url, {
      dispatcher,
      method: request.method,
      headers: { ...request.headers },
      body: request.body ?? null,
      signal,
    });
    const names: Record<string, string> = Object.create(null);
    for (const [name, value] of Object.entries(headers))
      if (value !== undefined && name !== 'set-cookie') names[name] = [value].flat().join(', ');
    return {
      status: statusCode,
      headers: names,
      setCookies: [headers['set-cookie'] ?? []].flat(),
      body: await readBody(body, names['content-encoding'], maxBytes),
    };
  };

  /** A connection that was kept may be closed by the other side at the very moment it is used again. */
  const ask = async (request: WebRequest): Promise<WebAnswer> => {
    const timeout = AbortSignal.timeout(request.timeoutMs);
    const signal = request.signal ? AbortSignal.any([timeout, request.signal]) : timeout;
    try {
      return await exchange(request, signal).catch((error: unknown) => {
        if (request.method === 'POST' || !isCutOff(error)) throw error;
        return exchange(request, signal);
      });
    } catch (error) {
      throw request.signal?.aborted ? new Abandoned() : told(error, request);
    }
  };

  const breakers = new OriginBreakers(ask, options.breaker ?? {});
  return {
    async ask(request) {
      return breakers.fire(originOf(request.url, isAllowed), request);
    },
    async close() {
      breakers.close();
      await dispatcher.destroy();
    },
  };
};

const originOf = (address: string, isAllowed: (address: string) => boolean): string => {
  const url = URL.parse(address);
  if (url === null) throw new Error(`${address} is not an address`);
  if (url.protocol !== 'https:' && url.protocol !== 'http:')
    throw new Error('only http and https addresses are asked');
  if (url.username !== '' || url.password !== '')
    throw new Error('an address must not contain a name or password');
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (isIP(host) && !isAllowed(host)) throw new Error(`${host} is a refused address`);
  return url.origin;
};

const isCutOff = (error: unknown): boolean => {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'UND_ERR_SOCKET' || code === 'ECONNRESET' || code === 'EPIPE';
};

const told = (error: unknown, { timeoutMs }: WebRequest): Error => {
  if (error instanceof UselessAnswer) return error;
  if (!(error instanceof Error)) return new Error(String(error));
  if (error.name === 'TimeoutError')
    return new Error(`answered nothing within ${timeoutMs} ms`, { cause: error });
  // Several addresses failed, each for its own reason.
  const first: unknown = error instanceof AggregateError ? error.errors[0] : undefined;
  const { code } = error as NodeJS.ErrnoException;
  const words = error.message || (first instanceof Error ? first.message : code) || error.name;
  return new Error(words, { cause: error });
};
