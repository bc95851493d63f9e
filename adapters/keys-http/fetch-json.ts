// One GET of one small JSON document, with every limit that a hostile address calls for.
import { lookup } from 'node:dns';
import { isIP } from 'node:net';
import { Agent, request } from 'undici';
import { isRefusedAddress } from './refused-address.ts';

export interface FetchLimits {
  /** Default 5000, from the first packet to the last byte. */
  readonly deadlineMs?: number;
  /** Default 512 KiB, after decoding. */
  readonly maxBytes?: number;
}

/** Names are judged by what they resolve to, at the moment of connecting. */
const guardedLookup: typeof lookup = ((
  hostname: string,
  options: object,
  callback: (error: Error | null, addresses?: unknown, family?: number) => void,
) => {
  lookup(hostname, { ...options, all: true }, (error, addresses) => {
    if (error) return callback(error);
    const allowed = addresses.filter(({ address }) => !isRefusedAddress(address));
    const [first] = allowed;
    if (!first) return callback(new Error(`${hostname} resolves to a refused address`));
    if ((options as { all?: boolean }).all) return callback(null, allowed);
    return callback(null, first.address, first.family);
  });
}) as never;

export const createJsonFetcher = (limits: FetchLimits = {}) => {
  const deadlineMs = limits.deadlineMs ?? 5000;
  const maxBytes = limits.maxBytes ?? 512 * 1024;
  const dispatcher = new Agent({
    connect: { lookup: guardedLookup, timeout: deadlineMs },
    keepAliveTimeout: 1000,
    maxResponseSize: maxBytes,
  });

  /** Throws an Error whose message says in one sentence what is wrong with the address or its answer. */
  const fetchJson = async (address: string): Promise<unknown> => {
    const url = new URL(address);
    if (url.protocol !== 'https:' && url.protocol !== 'http:')
      throw new Error('only http and https addresses are fetched');
    const host = url.hostname.replace(/^\[|\]$/g, '');
    if (isIP(host) && isRefusedAddress(host)) throw new Error(`${host} is a refused address`);
    const { statusCode, body } = await request(url, {
      dispatcher,
      headers: { accept: 'application/json' },
      signal: AbortSignal.timeout(deadlineMs),
    });
    // undici's request never follows a redirect by itself; a 3xx is an answer like any other wrong one.
    if (statusCode !== 200) {
      await body.dump({ limit: 4096 });
      throw new Error(`answered ${statusCode}`);
    }
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of body) {
      const bytes = chunk as Buffer;
      size += bytes.length;
      if (size > maxBytes) throw new Error(`answered more than ${maxBytes} bytes`);
      chunks.push(bytes);
    }
    try {
      return JSON.parse(Buffer.concat(chunks).toString('utf8'));
    } catch {
      throw new Error('did not answer JSON');
    }
  };

  return { fetchJson, close: () => dispatcher.destroy() };
};
