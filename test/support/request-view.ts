// A request as the pipeline sees it, from the few words that a test cares about.
import type { RequestView } from '#engine/pipeline/exchange.ts';

export interface RequestFacts
  extends Partial<Omit<RequestView, 'header' | 'headers' | 'path' | 'query'>> {
  /** Path, or path and query. */
  readonly url?: string;
  /** Names in any case; a list stands for several lines of that name. */
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
}

export const requestView = (facts: RequestFacts = {}): RequestView => {
  const { url = '/', headers = {}, ...rest } = facts;
  const mark = url.indexOf('?');
  const lines = new Map<string, readonly string[]>();
  for (const [name, value] of Object.entries(headers))
    lines.set(name.toLowerCase(), typeof value === 'string' ? [value] : value);
  const host = rest.host ?? 'api.bibby.com';
  return {
    listener: 'http',
    localPort: 8080,
    scheme: 'http',
    method: 'GET',
    authority: host,
    path: mark === -1 ? url : url.slice(0, mark),
    query: mark === -1 ? '' : url.slice(mark + 1),
    clientAddress: '203.0.113.9',
    peerAddress: '203.0.113.9',
    peerPrincipal: undefined,
    ...rest,
    host,
    header: (name) => lines.get(name)?.[0],
    headers: (name) => lines.get(name) ?? [],
  };
};
