// One request to a Bibby service becomes one reply. Pure, but for the collections that it was given.

import type { Collection, Reply } from './collection.ts';
import type { BibbyConfig } from './config.ts';
import type { Holdings } from './holdings.ts';

export interface BibbyRequest {
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

export interface TimedReply extends Reply {
  readonly waitMs: number;
}

export const answer = (
  { config, holdings }: { readonly config: BibbyConfig; readonly holdings: Holdings },
  request: BibbyRequest,
  random: () => number,
): TimedReply => {
  const url = URL.parse(request.target, 'http://bibby');
  if (!url) return { waitMs: 0, status: 400, body: { error: 'Bad Request', reason: 'bad target' } };
  const path = url.pathname.replace(/^\/api\/v1(?=\/)/, '');
  const { service, version } = config;
  if (path === '/health')
    return { waitMs: 0, status: 200, body: { status: 'ok', service, version } };
  if (path === '/whoami') return { waitMs: 0, status: 200, body: whoami(config, request) };

  const waitMs = waitFor(config.latencyMs, random);
  if (random() < config.errorRate)
    return { waitMs, status: 500, body: { error: 'Internal Server Error', service, version } };
  const [noun = '', id, ...rest] = path.slice(1).split('/');
  const collection = holdings.get(noun);
  if (!collection || rest.length > 0)
    return {
      waitMs,
      status: 404,
      body: { error: 'Not Found', reason: `no ${path} in ${service}` },
    };
  return { waitMs, ...serve(collection, id, { ...request, query: url.searchParams }) };
};

const serve = (
  collection: Collection,
  id: string | undefined,
  request: BibbyRequest & { readonly query: URLSearchParams },
): Reply => {
  const method = request.method === 'HEAD' ? 'GET' : request.method;
  if (method === 'GET') return id ? collection.get(id) : collection.list(request.query);
  if (method === 'DELETE' && id) return collection.remove(id);
  if (method === 'POST' && !id) {
    try {
      return collection.create(JSON.parse(request.body));
    } catch {
      return { status: 400, body: { error: 'Bad Request', reason: 'the body is not JSON' } };
    }
  }
  return { status: 405, body: { error: 'Method Not Allowed' } };
};

/** The version, for those who watch a canary, and the request's id, which the gateway's CORS lets pages read. */
export const answerHeaders = (
  { version }: BibbyConfig,
  { 'x-request-id': id }: BibbyRequest['headers'],
): Readonly<Record<string, string>> => ({
  'x-bibby-version': version,
  ...(typeof id === 'string' ? { 'x-request-id': id } : {}),
});

/** Who the gateway says is calling; the services trust it and do no authentication of their own. */
const whoami = ({ service, version }: BibbyConfig, { headers }: BibbyRequest) => ({
  service,
  version,
  user: headers['x-user-id'] ?? null,
  roles: headers['x-user-roles'] ?? null,
  requestId: headers['x-request-id'] ?? null,
  forwardedFor: headers['x-forwarded-for'] ?? null,
});

/** Log-normal around the median: a few answers take several times as long, as in life. */
const waitFor = (medianMs: number, random: () => number): number => {
  if (medianMs === 0) return 0;
  const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return Math.min(medianMs * Math.exp(0.4 * normal), medianMs * 20);
};
